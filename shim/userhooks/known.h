/* The word `auto` of BATON_CARRY: what is known of libraries, written down as data.
 *
 * known.conf has an entry for each context whose meaning is known:
 *
 *   known=NAME        begins it; in a file that comes first, one of the same name stands instead of it,
 *                     and one without lines takes it away
 *   about=TEXT        what is carried, in one line
 *   when=CONDITION    when it is there (slots/known.h); of several lines one is enough
 *   ITEM              of BATON_CARRY, or preset:NAME; in it $LIB is the folder of this library
 *
 * It is looked for where presets are (data.h), as known.conf; all files that are there are read.
 */
#ifndef BATON_USERHOOKS_KNOWN_H
#define BATON_USERHOOKS_KNOWN_H

#include "base/config.h"
#include "slots/known.h"

/*
 * Puts what is chosen in the place of `auto`: items to carry, and presets, which come before presets_read. Where
 * something is carried, the items of what is not there yet follow, to wait for it (struct slot, is_dormant); else they
 * are kept for known_late. Does nothing where `auto` was not asked for. Mistakes are told with the file and the line.
 */
void known_read(struct config *config, char **environment);

/* Nothing was carried so far: looks again. True: CONFIG->carry is what is to be carried now, to be
 * parsed by slots_parse. Once only. */
bool known_late(struct config *config);

/* Is anything left to be looked for by known_late? */
extern bool known_is_waiting;

/* What a chosen entry stands for, as "ITEM; ITEM". */
const char *known_items(const struct known *known);

#endif
