/*
 * baton run: sets the environment and becomes the program, so that its process is the one that was
 * started: same number, same status, same signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "kept.h"

static void take_settings(const struct cli *cli)
{
    for (unsigned i = 0; i < cli->given_count; i++) {
        const char *value = cli->given[i].value;

        switch (cli->given[i].option) {
        case OPT_run_auto:
            setting_add("BATON_CARRY", "auto");
            break;
        case OPT_run_carry:
            setting_add("BATON_CARRY", value);
            break;
        case OPT_run_hook:
            setting_add("BATON_HOOKS", value);
            break;
        case OPT_run_preset:
            setting_add("BATON_HOOKS", joined("preset:%s", value));
            break;
        case OPT_run_config:
            setting_config(value);
            break;
        case OPT_run_report:
            setting_report(value);
            break;
        case OPT_run_require:
            setenv("BATON_STRICT", "require", 1);
            break;
        default:
            break;
        }
    }
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

/* Is there anything that has to be planned before the program starts? weak: a setter may have to be watched. */
static bool needs_plan(void)
{
    const char *carry = getenv("BATON_CARRY");

    return is_set("BATON_HOOKS") || is_set("BATON_CONFIG") ||
           (carry && (strstr(carry, ",weak") || setting_has(carry, "auto")));
}

/*
 * The object for functions that are named; NULL: none is needed. baton-plan says what cannot be hooked. Where `auto`
 * alone was asked for and found nothing, that is said, unless a verdict will, or the program is only a WRAPPER.
 */
static char *plan_object(const struct cli *cli, const char *program, bool is_wrapper)
{
    char *object, key[KEPT_KEY + 1];
    int status;

    answer_key(program, key);
    status = answer_find(key, &object);
    if (status < 0)
        status = planner_run("object", program, key, &object);

    if (status == PLANNER_NOTHING_KNOWN && !is_wrapper && !watch_is_wanted(cli) &&
        !cli_has(cli, OPT_run_no_verdict))
        say("auto: nothing that baton knows is in %s at its start; what else it has: baton "
            "discover -- %s",
            clean(program), quoted(cli->argv[0]));
    /* Hooks that were found have no place to be: it has said why. */
    if (status == EXIT_FAILED)
        exit(EXIT_FAILED);
    if (status != 0)
        return NULL;
    object[strcspn(object, "\n")] = '\0';
    return object[0] ? object : NULL;
}

/* Says why nothing of a program will be carried, which the library cannot tell where it is not. BY: who starts it; NULL. */
static void say_kind(const struct program *program, const char *by)
{
    const char *refusal = program_refusal(program);

    if (refusal && by)
        say("%s, which %s starts: %s", program_name(program), clean(by), refusal);
    else if (refusal)
        say("%s: %s", program_name(program), refusal);
}

/* Would the library be a fault in it, or a loader's complaint? It runs without then, also behind a wrapper. */
static bool runs_without(const struct program *program, const char *library)
{
    char *lack = program_lacks(program, library);

    if (lack)
        say("%s: %s", program_name(program), lack);
    return lack || program->kind == PROGRAM_MUSL || program->kind == PROGRAM_CLASS ||
           program->kind == PROGRAM_MACHINE;
}

/* key:a and the like, which cannot be meant otherwise; a word such as `locale` is a program's name, too. */
static bool is_item_alone(const char *text)
{
    return strchr(text, ':') && looks_like_item(text) && !program_look(text);
}

/* "baton run --carry key:a;key:b PROGRAM", which the shell took apart; "baton run PROGRAM --carry key:a". */
static void say_mistakes(const struct cli *cli)
{
    if (!cli->argc)
        usage_error(
            "run: no program given%s",
            cli_has(cli, OPT_run_carry) || cli_has(cli, OPT_run_hook)
                ? "; if there was a ';' between items, the shell took it: quote them, as in "
                  "--carry 'key:a;key:b'"
                : "");
    if (is_item_alone(cli->argv[0])) {
        int program = cli->argc > 1 && !strcmp(cli->argv[1], "--") ? 2 : 1;

        setting_add("BATON_CARRY", cli->argv[0]);
        usage_error("run: %s is an item, and no program: baton run --carry %s -- %s",
                    clean(cli->argv[0]), quoted(getenv("BATON_CARRY")),
                    program < cli->argc ? quoted(cli->argv[program]) : "PROGRAM");
    }
    if (cli->dashes >= 0 || is_set("BATON_CARRY") || is_set("BATON_HOOKS") ||
        is_set("BATON_CONFIG"))
        return;
    if (cli->argc == 2 && is_item_alone(cli->argv[1]))
        say("note: %s stands behind the program's name, so it is the program's; for baton write: "
            "baton run --carry %s -- %s",
            clean(cli->argv[1]), quoted(cli->argv[1]), quoted(cli->argv[0]));
    for (int i = 1; i + 1 < cli->argc; i++) {
        if ((!strcmp(cli->argv[i], "--carry") && looks_like_item(cli->argv[i + 1])) ||
            (!strncmp(cli->argv[i], "--carry=", 8) && looks_like_item(cli->argv[i] + 8)))
            say("note: %s stands behind the program's name, so it is the program's; for baton "
                "write: baton run "
                "%s %s -- %s",
                "--carry", "--carry", quoted(cli->argv[i + 1]), quoted(cli->argv[0]));
    }
}

int cmd_run(const struct cli *cli)
{
    char *library, *object = NULL, *path, *behind;
    struct program program, other;
    bool is_without;

    take_settings(cli);
    say_mistakes(cli);
    path = program_find(cli->argv[0]);
    library = preload_library("libbaton.so");
    program_inspect(path, &program);
    is_without = runs_without(&program, library);
    behind = is_without ? NULL : program_behind(path, cli->argv + 1);
    if (behind)
        program_inspect(behind, &other);
    say_kind(behind ? &other : &program, behind ? path : NULL);
    if (is_without || (behind && runs_without(&other, library)))
        return cli_has(cli, OPT_run_require) ? EXIT_REQUIRED : become_program(cli->argv);
    if (needs_plan())
        object = plan_object(cli, path, behind != NULL);
    if (setenv("LD_PRELOAD", preload_list(path, object, library), 1) != 0)
        fail(EXIT_FAILED, "out of memory");
    if (watch_is_wanted(cli)) {
        preload_waits(&program, behind ? &other : NULL);
        watch_run(cli, become_program);
    }
    watch_say_why_not(cli);
    if (!cli_has(cli, OPT_run_no_verdict))
        setenv("BATON_WARN", "on", 0);
    return become_program(cli->argv);
}
