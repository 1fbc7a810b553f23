/* Where threads waited and from where they were woken, as libbaton-waits.so has noted it: for the report. */
#ifndef BATON_OBSERVE_WAITED_H
#define BATON_OBSERVE_WAITED_H

#include <stdbool.h>

struct waited {
    char at[80], from[80];                 /* MODULE+0xOFFSET, of the calls */
    unsigned threads, wakes, held, missed; /* as in struct waits_chosen */
};

/* Lends that library, if it is loaded, the room in the live report's file. */
void waited_begin(void);
/* Those that waited and were woken most; false: nothing was noted. */
bool waited_most(struct waited *out);

#endif
