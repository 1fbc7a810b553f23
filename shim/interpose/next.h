/* Finding the function behind a hooked name. */
#ifndef BATON_INTERPOSE_NEXT_H
#define BATON_INTERPOSE_NEXT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What RTLD_NEXT would find from our library in what was loaded with the program. Such a definition
 * wins for every caller and stays loaded: the answer may be kept. NULL: nobody has it.
 */
void *next_find_startup(const char *name);

/*
 * The copy that `caller`'s library is bound to when only libraries loaded later have the name: they
 * may be RTLD_LOCAL (where RTLD_NEXT fails) and there may be several. Cached by caller.
 */
void *next_find_for(const char *name, const void *caller);

/* What MODULE's own search list finds: itself, then the libraries that it needs. NULL: nothing. This
 * is where a module that was opened with RTLD_DEEPBIND looks before it looks at the program. */
struct elf_module;
void *next_find_own(const struct elf_module *module, const char *name);
/* Calls VISIT for MODULE and for what it needs, breadth first, until it answers other than 0. Not
 * under the loader's lock. with_startup: what came with the program is visited too. */
int next_each_needed(const struct elf_module *module, bool with_startup,
                     int (*visit)(const struct elf_module *module, void *arg), void *arg);

/*
 * A function that is not hooked, for a body or trampoline: kept in *kept once it is known to have come
 * with the program. `caller` as above; in a trampoline any address of the library that called it.
 */
void *next_keep(const char *name, const void *caller, void **kept);
#define NEXT(type, name, caller)                                     \
    ({                                                               \
        static void *kept_;                                          \
        void *function_ = __atomic_load_n(&kept_, __ATOMIC_RELAXED); \
                                                                     \
        if (__builtin_expect((uintptr_t)function_ <= 1, 0))          \
            function_ = next_keep(name, caller, &kept_);             \
        (type) function_;                                            \
    })

/* A library may have been unloaded: forget what was found by caller. */
void next_forget(void);

/* In a forked child: whoever was keeping an answer is not there. */
void next_forked(void);

#endif
