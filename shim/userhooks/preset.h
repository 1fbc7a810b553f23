/* Presets: what hands work over in one library, written down as data.
 *
 * A preset is a file NAME.conf. Its lines, with '#' for comments as in the file of BATON_CONFIG:
 *
 *   about=TEXT      what it does, in one line
 *   tried=TEXT      the versions of the library that it was tried with
 *   pool=MODULE     a library whose own threads are workers: they do not inherit their creator's context
 *   ITEM            of BATON_HOOKS when (kind=...) is in it, else of BATON_CARRY
 *
 * It is looked for in $XDG_CONFIG_HOME/baton/presets (else $HOME/.config/baton/presets), in
 * /etc/baton/presets, and where baton itself is: the first that is there counts, whole.
 */
#ifndef BATON_USERHOOKS_PRESET_H
#define BATON_USERHOOKS_PRESET_H

#include "base/config.h"

/*
 * Replaces each preset:NAME among the hooks by what is in its file, adds its items to what is carried and its
 * libraries to config->preset_pools. ENVIRONMENT is where the variables stand. Mistakes are told with the file
 * and the line, and counted. The texts stay for the life of the process.
 */
void presets_read(struct config *config, char **environment);

/* Calls SHOW for every preset that there is, by name, with its file and the text of one of its lines
 * (KEY as in "about"; "" when it has none). For the launcher. */
void presets_each(char **environment, const char *key,
                  void (*show)(const char *name, const char *file, const char *text));

#endif
