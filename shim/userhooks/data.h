/* Files of data that users may have their own of: presets/NAME.conf (preset.h) and known.conf (known.h).
 * A line is KEY=TEXT or an item; '#' at its start or behind a space begins a comment. */
#ifndef BATON_USERHOOKS_DATA_H
#define BATON_USERHOOKS_DATA_H

#include "base/config.h"
#include "base/config_parse.h"

enum { DATA_FOLDERS = 4, DATA_INSTALLED = 2, DATA_PATH = 4096 };

/* The folders, in the order in which they count: the user's ($XDG_CONFIG_HOME/baton/, else
 * $HOME/.config/baton/), the machine's (/etc/baton/), the installation's, the source tree's; BELOW, a name in them,
 * is put behind. ENVIRONMENT is where the variables stand. False: there is no such folder. */
bool data_folder(unsigned number, const char *below, char **environment, char *path);

/* Terminated; NULL: it cannot be read. SIZE is what to give back. */
char *data_read(int fd, size_t *size);

/* The next line that says something, without its comment, not terminated. False: there are no more. */
bool data_line(char **text, struct place *line);

/* The text behind "KEY=", when the line is one; else NULL. */
char *data_value(char *line, const char *key);

/* A list that grows; what it was before stays where it is. False: no memory. */
struct data_list {
    struct config_item *items;
    size_t count, capacity;
};
bool data_add(struct data_list *list, const struct config_item *item);

#endif
