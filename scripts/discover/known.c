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

static const char *items_of(unsigned known)
{
    return known_all[known].is_chosen ? known_items(&known_all[known]) : "";
}

/* Is there one that carries? Presets hand over. */
bool known_is_any(void)
{
    for (unsigned i = 0; i < known_count; i++) {
        for (const char *item = items_of(i); *item; item += strspn(item, "; ")) {
            if (strncmp(item, "preset:", 7) != 0)
                return true;
            item += strcspn(item, ";");
        }
    }
    return false;
}

void known_print(FILE *out)
{
    bool is_any = false;

    for (unsigned i = 0; i < known_count; i++) {
        const char *item = items_of(i);

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
