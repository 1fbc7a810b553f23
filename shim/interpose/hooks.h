/*
 * The table of hooked functions and how a call goes through it.
 *
 * Every exported name is one instruction: a jump through its `enter` pointer (hooks_ARCH.S). The
 * pointer leads to
 *     a resolver        until the first call;
 *     the real function when its family is off, or nothing is carried: the cost is that one jump;
 *     hook_NAME         when it is on.
 * Bodies are reached by jumps, so __builtin_return_address(0) in a body is the program's caller.
 *
 * Every body has the same order: pass through when there is nothing to carry (null callback, nested
 * call of the library itself); capture; build the record; call REAL(name); on failure take the
 * record back; return exactly what it returned, errno untouched.
 */
#ifndef BATON_INTERPOSE_HOOKS_H
#define BATON_INTERPOSE_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "interpose/types.h"

#define FAMILY(id, name) FAMILY_##id,
enum family {
#include "interpose/families.def"
    FAMILY_COUNT
};
#undef FAMILY

#define HOOK(family, ret, name, params) HOOK_##name,
enum hook_id {
#include "interpose/hooks.def"
    HOOK_COUNT
};
#undef HOOK

#define HOOK(family, ret, name, params) \
    __attribute__((visibility("hidden"))) ret hook_##name params;
#include "interpose/hooks.def"
#undef HOOK

/* By id; hooks_ARCH.S jumps through the first, which is filled at every start (early.c). A real one is NULL while unknown, or when several copies of the function are loaded and
 * the caller decides (next.c). */
extern void *hook_enter[HOOK_COUNT] __attribute__((visibility("hidden")));
extern void *hook_real[HOOK_COUNT] __attribute__((visibility("hidden")));

/* hooks_ARCH.S: what is exported and where it leads until the first call, in the order of hooks.def, of this
 * many bytes a row. */
enum { HOOK_STRIDE = 16 };
extern const char hook_exports[] __attribute__((visibility("hidden")));
extern const char hook_stubs[] __attribute__((visibility("hidden")));

/* Nothing is to be done in this process, so a call needs no more than its real function (early.c). */
extern bool hooks_are_idle __attribute__((visibility("hidden")));

/* The function of the caller's library; slow: several copies are loaded, or it is not found yet. */
void *hooks_real_for(enum hook_id id, const void *caller);

/* The function that came with the program, NULL: none did. */
void *hooks_real_startup(enum hook_id id);

#define REAL_TYPE(name) __typeof__(&hook_##name)
/* The real function as the calling body's caller would reach it. Use in the body only. */
#define REAL(name)                                                      \
    ((REAL_TYPE(name))(__builtin_expect(hook_real[HOOK_##name] != 0, 1) \
                           ? hook_real[HOOK_##name]                     \
                           : hooks_real_for(HOOK_##name, __builtin_return_address(0))))
/*
 * For bodies that should need no stack frame: the real function or NULL, to be tested and called
 * last; where it is NULL, call a noinline function with the caller's address, and there REAL_FOR.
 */
#define REAL_KNOWN(name) ((REAL_TYPE(name))hook_real[HOOK_##name])
#define REAL_FOR(name, caller)                                              \
    ((REAL_TYPE(name))(hook_real[HOOK_##name] != 0 ? hook_real[HOOK_##name] \
                                                   : hooks_real_for(HOOK_##name, caller)))
/* Of a function of the C library: known when its body is reached, there is no second copy. */
#define REAL_LIBC(name) REAL_KNOWN(name)

/*
 * uv_async_send sleeps: libuv calls it for each finished request, and it has nothing to do before the
 * program has an async handle of its own. Until hooks_wake its jump leads to the real function.
 */
void hooks_wake(enum hook_id id);

/* Set before hooks_init: the calling thread's last call of a hooked function is in hook_call. */
extern bool hooks_are_seen;
struct hook_call {
    const void *site;    /* its return address */
    uintptr_t sp, frame; /* the stack pointer, the frame pointer where it was called */
    uint32_t id;         /* enum hook_id */
};
extern __thread struct hook_call hook_call
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* A row's family, and where its name begins among all of them. */
struct hook_info {
    uint8_t family;
    uint16_t name;
};
extern const struct hook_info hook_infos[HOOK_COUNT] __attribute__((visibility("hidden")));

const char *hooks_name(enum hook_id id);
enum family hooks_family(enum hook_id id);
const char *family_name(enum family family);
bool family_is_on(enum family family);

void hooks_switch_on(void);
bool hooks_are_on(void); /* something is carried */

/* Set before hooks_init: dlsym and dlvsym are watched even when nothing is carried (interpose/loader.h). */
extern bool hooks_look_ups;

/* Switches the table on: from now on `enter` of the families that are on leads to the bodies.
 * Wrong names in BATON_DISABLE are reported once. */
void hooks_init(const struct config *config, bool carries_anything, bool carries_keys);

#endif
