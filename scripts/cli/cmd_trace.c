/*
 * baton trace: runs a program with BATON_TRACE set, or reads what such a run has left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "trace/trace.h"

static const char *const formats[] = {"perfetto", "chrome", "otlp", "csv", "html", NULL};

static int convert(const struct cli *cli, const char *format)
{
    const char *output = cli_value(cli, OPT_trace_output), *near;
    const char *slot = cli_value(cli, OPT_trace_trace_id);
    struct cli rest = {.command = cli->command}; /* options behind the file */
    struct trace trace;
    unsigned which = 0;
    FILE *out = stdout;

    while (formats[which] && strcmp(formats[which], format) != 0)
        which++;
    near = formats[which] ? NULL : nearest(format, formats);
    if (near)
        usage_error("trace: unknown format %s; did you mean %s?", clean(format), near);
    if (!formats[which])
        usage_error("trace: unknown format %s; there are perfetto, chrome, otlp, csv, html",
                    clean(format));
    if (cli->argc)
        cli_parse(&rest, cli->argc - 1, cli->argv + 1);
    if (!cli->argc || rest.argc)
        usage_error("trace: --convert takes one trace file");
    output = cli_has(&rest, OPT_trace_output) ? cli_value(&rest, OPT_trace_output) : output;
    slot = cli_has(&rest, OPT_trace_trace_id) ? cli_value(&rest, OPT_trace_trace_id) : slot;
    progress_begin(joined("converting %s", clean(cli->argv[0])));
    trace_read(&trace, cli->argv[0]);
    if (output && strcmp(output, "-") != 0 && !(out = fopen(output, "we")))
        fail(EXIT_FAILED, "%s: %s", clean(output), strerror(errno));
    if (isatty(fileno(out)))
        progress_end(); /* who reads there sees it */
    switch (which) {
    case 0:
        write_perfetto(&trace, out);
        break;
    case 1:
        write_chrome(&trace, out);
        break;
    case 2:
        write_otlp(&trace, slot, out);
        break;
    case 3:
        write_csv(&trace, out);
        break;
    default:
        write_html(&trace, out);
    }
    progress_end();
    if (fflush(out) != 0 || (out != stdout && fclose(out) != 0))
        fail(EXIT_FAILED, "%s: %s", output ? clean(output) : "standard output", strerror(errno));
    if (trace.lost || trace.unwatched || trace.damaged)
        say("%s: %llu records are missing (the file is full: BATON_TRACE_MIB), %llu handoffs were "
            "not watched, %llu "
            "chunks are damaged",
            clean(cli->argv[0]), (unsigned long long)trace.lost,
            (unsigned long long)trace.unwatched, (unsigned long long)trace.damaged);
    return 0;
}

/* What follows is `baton run`, with the environment as it is now. */
static int as_run(const struct cli *cli)
{
    char *self = our_file("baton-cli"),
         **argv = allocated(calloc((size_t)cli->argc + 4, sizeof *argv));

    argv[0] = self;
    argv[1] = "run";
    argv[2] = "--";
    memcpy(argv + 3, cli->argv, (size_t)cli->argc * sizeof *argv);
    execv(self, argv);
    fail(EXIT_FAILED, "cannot run %s: %s", clean(self), strerror(errno));
}

int cmd_trace(const struct cli *cli)
{
    const char *format = cli_has(cli, OPT_trace_html) ? "html" : cli_value(cli, OPT_trace_convert);
    const char *output = cli_value(cli, OPT_trace_output);

    if (format)
        return convert(cli, format);
    if (!cli->argc)
        usage_error("trace: no program given");
    if (output && !strcmp(output, "-"))
        usage_error(
            "trace: -o -: expected a file, for a trace is not text; one of this name is ./-");
    setenv("BATON_TRACE", absolute(output ? output : "baton.trace"), 1);
    if (cli_has(cli, OPT_trace_size))
        setenv("BATON_TRACE_MIB", cli_value(cli, OPT_trace_size), 1);
    if (cli_has(cli, OPT_trace_stacks))
        setenv("BATON_STACKS", cli_value(cli, OPT_trace_stacks), 1);
    for (unsigned i = 0; i < cli->given_count; i++) {
        const char *value = cli->given[i].value;

        switch (cli->given[i].option) {
        case OPT_trace_auto:
            setting_add("BATON_CARRY", "auto");
            break;
        case OPT_trace_carry:
            setting_add("BATON_CARRY", value);
            break;
        case OPT_trace_hook:
            setting_add("BATON_HOOKS", value);
            break;
        case OPT_trace_preset:
            setting_add("BATON_HOOKS", joined("preset:%s", value));
            break;
        case OPT_trace_config:
            setting_config(value);
            break;
        case OPT_trace_report:
            setting_report(value);
            break;
        default:
            break;
        }
    }
    return as_run(cli);
}
