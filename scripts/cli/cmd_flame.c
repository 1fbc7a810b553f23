/*
 * baton flame: a profile and a trace of one run become a flame graph, in which a pool's time stands under
 * who asked for it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "trace/flame.h"

int cmd_flame(const struct cli *cli)
{
    const char *output = cli_value(cli, OPT_flame_output);
    struct trace trace;
    struct flame flame;
    FILE *in, *out = stdout;

    if (cli->argc != 2)
        usage_error(
            "flame: what perf script has printed, and the trace of the same run, are needed");
    in = strcmp(cli->argv[0], "-") != 0 ? fopen(cli->argv[0], "re") : stdin;
    if (!in)
        fail(EXIT_FAILED, "%s: %s", clean(cli->argv[0]), strerror(errno));
    progress_begin(joined("reading %s and %s", clean(cli->argv[0]), clean(cli->argv[1])));
    trace_read(&trace, cli->argv[1]);
    flame_read(&flame, &trace, in);
    progress_end();
    if (!flame.count)
        fail(EXIT_FAILED, "%s: no sample with a stack in it (perf record -g, then perf script)",
             clean(cli->argv[0]));
    if (output && strcmp(output, "-") != 0 && !(out = fopen(output, "we")))
        fail(EXIT_FAILED, "%s: %s", clean(output), strerror(errno));
    if (cli_has(cli, OPT_flame_folded))
        flame_write_folded(&flame, out);
    else
        flame_write_svg(&flame, out);
    if (fflush(out) != 0 || (out != stdout && fclose(out) != 0))
        fail(EXIT_FAILED, "%s: %s", output ? clean(output) : "standard output", strerror(errno));
    if (!flame.joined)
        say("%s: no sample was taken in a run of the trace: another process, or another clock "
            "(perf "
            "record -k CLOCK_MONOTONIC)",
            clean(cli->argv[0]));
    return 0;
}
