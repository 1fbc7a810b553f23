/* Between key.c, which knows the keys, and key_guard.c, which guards their values from their destructors. */
#ifndef BATON_SLOTS_KEY_GUARD_H
#define BATON_SLOTS_KEY_GUARD_H

#include "slots/keys.h"
#include "slots/slots.h"

/* Trampoline ids (key_will_create) that are none: nothing to guard; all are taken. */
enum { NO_TRAMPOLINE = -1, UNGUARDED = -2 };

/* The key that is guarded; its own destructor, NULL: it has none that we know. */
key_destructor *key_guard_keep(int trampoline_id, pthread_key_t key);
/* The key is not carried any more, but may still be destroyed: by its own destructor alone. */
void key_guard_end(int trampoline_id);
/* There is no such key, or no more. */
void key_guard_drop(int trampoline_id);

#endif
