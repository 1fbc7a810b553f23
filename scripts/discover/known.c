/*
 * What `auto` would carry in the program that was watched: the same known.conf, asked of the modules that it had.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "facts.h"
#include "userhooks/known.h"
#include "write.h"

extern char **environ;

void known_find(void)
{
    static const struct config_item word = {.text = "auto", .name = "BATON_CARRY", .len = 4};
    struct config config;

    memset(&config, 0, sizeof config);
    config.carry = (struct config_list){&word, 1};
    log_level = -1; /* who runs with it is told */
    known_each_module = modules_each;
    known_read(&config, environ);
}

void known_print(FILE *out)
{
    bool is_any = false;

    for (unsigned i = 0; i < known_count; i++) {
        const char *item = known_all[i].is_chosen ? known_items(&known_all[i]) : "";

        if (!*item)
            continue;
        if (!is_any)
            fprintf(out, "\n# Of its libraries, as baton run --auto carries it:\n");
        is_any = true;
        fprintf(out, "#   %s\n", known_all[i].about);
        while (*item) {
            int len = (int)strcspn(item, ";");

            fprintf(out, "%.*s\n", len, item);
            item += len;
            item += strspn(item, "; ");
        }
    }
}

void known_print_json(void)
{
    unsigned told = 0;

    for (unsigned i = 0; i < known_count; i++) {
        if (!known_all[i].is_chosen)
            continue;
        fputs(told++ ? "," : "", stdout);
        print_json(known_items(&known_all[i]));
    }
}
