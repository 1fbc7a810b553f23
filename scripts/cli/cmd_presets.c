/*
 * baton presets: what --preset can name. baton-plan knows where they are, as the library does.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

int cmd_presets(const struct cli *cli)
{
    char *planner = our_file("baton-plan");

    if (cli->argc)
        usage_error("presets: nothing more to be given than that");
    execl(planner, planner, "presets", (char *)NULL);
    fail(EXIT_FAILED, "%s: cannot be run: %s", clean(planner), strerror(errno));
}
