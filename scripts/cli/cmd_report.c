/*
 * baton report: what runs have counted, as tables, JSON or Prometheus text, and whether it worked.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

#ifdef HAVE_JANSSON
#include "report.h"
#include "verdict.h"

static void read_file(struct reports *reports, const char *file)
{
    progress_begin(joined("reading %s", clean(file)));
    reports_read(reports, file);
    progress_end();
}

int cmd_report(const struct cli *cli)
{
    struct reports reports = {.count = 0};
    bool is_plain = !cli_has(cli, OPT_report_json) && !cli_has(cli, OPT_report_prometheus);
    struct verdict verdict;

    if (!cli->argc && !cli_has(cli, OPT_report_now))
        usage_error("report: which FILE? It is the one of baton run --report FILE");
    if (cli_has(cli, OPT_report_json) && cli_has(cli, OPT_report_prometheus))
        usage_error("report: --json or --prometheus, not both");
    for (unsigned i = 0; i < cli->given_count; i++) {
        if (cli->given[i].option == OPT_report_now)
            reports_read_now(&reports, cli->given[i].value);
    }
    for (int i = 0; i < cli->argc; i++)
        read_file(&reports, cli->argv[i]);
    if (is_plain)
        report_print_tables(&reports);
    else if (cli_has(cli, OPT_report_json))
        report_print_json(&reports);
    else
        report_print_prometheus(&reports);
    verdict = verdict_of(&reports, NULL);
    if (cli_has(cli, OPT_report_verdict) ||
        (is_plain && !cli_has(cli, OPT_report_no_verdict) && isatty(STDOUT_FILENO))) {
        if (is_plain)
            putchar('\n');
        verdict_print(is_plain ? stdout : stderr, &verdict);
    }
    return cli_has(cli, OPT_report_require) && verdict.word != VERDICT_OK ? EXIT_REQUIRED : 0;
}
#else
int cmd_report(const struct cli *cli)
{
    fail(EXIT_FAILED, "report: baton was built without libjansson (Debian: libjansson-dev)");
}
#endif
