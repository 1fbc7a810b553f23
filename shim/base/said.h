/* What was said already: a page of hashes that processes share, so that none repeats what another said. */
#ifndef BATON_BASE_SAID_H
#define BATON_BASE_SAID_H

#include <stdatomic.h>
#include <stdint.h>

/* Where a launcher that stays has its page, as "PROCESS:DESCRIPTOR". No setting: nobody but `baton run` writes it. */
#define SAID_VARIABLE "_BATON_SAID"

/* What the launcher calls its page, which lies in memory and is sealed: nobody can make it shorter. */
#define SAID_NAME "baton-said"

enum { SAID_MAX = 512, SAID_BYTES = SAID_MAX * 8 };

/* The launcher's page, else one of this process and its forks; NULL: there is no memory. At the start; no descriptor stays. */
_Atomic uint64_t *said_page(char **environment);

#endif
