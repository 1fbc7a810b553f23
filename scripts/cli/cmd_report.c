/*
 * baton report: what runs have counted, as tables.
 */
#include "cli.h"

#ifdef HAVE_JANSSON
#include "report.h"

int cmd_report(const struct cli *cli)
{
    struct reports reports = {NULL, 0};

    if (!cli->argc)
        usage_error("report: which FILE? It is the one of baton run --report FILE");
    for (int i = 0; i < cli->argc; i++)
        reports_read(&reports, cli->argv[i]);
    report_print_tables(&reports);
    return 0;
}
#else
int cmd_report(const struct cli *cli)
{
    fail(EXIT_FAILED, "report: baton was built without libjansson (Debian: libjansson-dev)");
}
#endif
