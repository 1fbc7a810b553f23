/* Functions of the C library's own: a program may have one of the same name, which is something else. */
#ifndef BATON_DISCOVER_OWN_H
#define BATON_DISCOVER_OWN_H

/* NULL: the loader's list is not known. A program that refers to _r_debug has a copy of it, which is filled last. */
void *discover_own(const char *name);

#define OWN(name)                                                                \
    ({                                                                           \
        static __typeof__(&name) own_one;                                        \
        __typeof__(&name) own_now = __atomic_load_n(&own_one, __ATOMIC_RELAXED); \
        if (!own_now) {                                                          \
            own_now = (__typeof__(&name))discover_own(#name);                    \
            own_now = own_now ? own_now : name;                                  \
            __atomic_store_n(&own_one, own_now, __ATOMIC_RELAXED);               \
        }                                                                        \
        own_now;                                                                 \
    })

#endif
