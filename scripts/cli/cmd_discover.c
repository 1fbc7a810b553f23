/*
 * baton discover: what a program has that could be carried. What looks into files and judges what a run has noted
 * down is baton-discover, a process of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char *form(const struct cli *cli)
{
    return cli_has(cli, OPT_discover_json) ? "json" : "text";
}

/* What the file of a program is, as check says it. */
static char *look_at(const struct cli *cli)
{
    char *path = program_find(cli->argv[0]), *behind = program_behind(path, cli->argv + 1);
    struct program program;

    if (behind)
        path = behind;
    program_inspect(path, &program);
    if (program_refusal(&program))
        fail(EXIT_FAILED, "%s: %s", program_name(&program), program_refusal(&program));
    return program.is_script ? allocated(strdup(program.file)) : path;
}

static int become_static(const struct cli *cli)
{
    char *helper = our_file("baton-discover"), *path;

    if (cli->argc != 1)
        usage_error("discover: --static takes one program");
    path = look_at(cli);
    unsetenv("LD_PRELOAD");
    execl(helper, helper, "static", path, form(cli), (char *)NULL);
    fail(EXIT_FAILED, "cannot run %s: %s", clean(helper), strerror(errno));
}

int cmd_discover(const struct cli *cli)
{
    if (!cli->argc)
        usage_error("discover: no program given");
    if (cli_has(cli, OPT_discover_static))
        return become_static(cli);
    usage_error("discover: only with --static so far");
}
