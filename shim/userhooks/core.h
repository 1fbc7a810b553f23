/* Between the files behind the thunks. */
#ifndef BATON_USERHOOKS_CORE_H
#define BATON_USERHOOKS_CORE_H

#include "base/lock.h"
#include "userhooks/arch.h"
#include "userhooks/named.h"

/* A wrap thunk's own memory, in its frame. thunks_ARCH.S knows the first two and WRAP_SIZE. */
enum { WRAP_SIZE = 96 };
struct wrap {
    void *target;
    uint64_t stack_words;
    struct thunk *thunk;
    struct context *context; /* attached for this call; the attach owns the reference */
    struct named_repeat *node;
    uint64_t ours[2], theirs[2]; /* arguments that we changed; get: [0] is its argument */
};

/* Where the attach of this call stands on the stack, for its mark. */
static inline uintptr_t wrap_place(const struct wrap *wrap)
{
    return (uintptr_t)wrap & ~(uintptr_t)FRAME_FLAGS;
}

/*
 * What to jump to or call; NULL: nothing done, the slow one is to be asked. The frame's registers are
 * what the real function gets. No frame remains of thunk_enter.
 */
void *thunk_enter(struct thunk_frame *frame, struct thunk *thunk);
void *thunk_wrap_enter(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk);
/* The same of what is no function but a callback. */
void *thunk_task_enter(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk);
/* After the call: the frame's registers are what the program gets. False: the slow one is to be called. */
bool thunk_wrap_leave(struct thunk_frame *frame, struct wrap *wrap);
bool thunk_task_leave(struct thunk_frame *frame, struct wrap *wrap);
/* Called with the vector state saved. They keep errno. */
void *thunk_enter_slowly(struct thunk_frame *frame);
void *thunk_wrap_enter_slowly(struct thunk_frame *frame, struct wrap *wrap);
void thunk_wrap_leave_slowly(struct thunk_frame *frame, struct wrap *wrap);

/* The same of every kind, where quick_gpr.c does not know how. */
void *core_enter(struct thunk_frame *frame, struct thunk *thunk, bool is_slow);
void *core_wrap_enter(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk,
                      bool is_slow);
bool core_wrap_leave(struct thunk_frame *frame, struct wrap *wrap, bool is_slow);

/* Bytes that the vector state needs, and which parts of it are saved (0: the old 512 bytes only). */
uint64_t thunk_state_size(void);
extern uint32_t thunk_state_mask;

/* thunk_words_ARCH.S, where THUNK_WORDS says so: as words_move.h moves plain words, from values and to saved ones that end there. */
void thunk_words_attach(const void *values_end, void *saved_end);
void thunk_words_detach(const void *unused, void *saved_end);
bool thunk_words_same(const void *values_end, void *unused);

/* Where the thunks are. */
extern const char named_bank[] __attribute__((visibility("hidden"))); /* baton_named_bank */
/* The same, once hooks are in use; NULL before. */
extern const char *thunk_bank;
/* dlsym as the program's modules are to call it (thunks_ARCH.S); what leads to it, once hooks are in use. */
void named_dlsym(void);
extern void *thunk_dlsym;

static inline void *thunk_address(unsigned index, bool is_wrapping)
{
    return (void *)(uintptr_t)(thunk_bank + THUNK_SIZE * (index + (is_wrapping ? THUNKS : 0)));
}

/* Once hooks are in use. */
static inline bool thunk_is_in_bank(const void *address)
{
    return (uintptr_t)address - (uintptr_t)thunk_bank < (uintptr_t)THUNK_SIZE * 2 * THUNKS;
}

static inline bool thunk_is_ours(const void *address)
{
    return thunk_bank && thunk_is_in_bank(address);
}

/* The thunk that thunk_take would answer if there is one already; 0: none. */
unsigned thunk_find(const struct named_hook *hook, enum thunk_role role, const void *original);

/* ---- probe.c: kind=call, until it is known that its callback gets what arg= says ---- */

/* Slow. In front of the function, and around a callback: what to call. */
void probe_submit(struct thunk *of, struct thunk_frame *frame, struct wrap *wrap);
void *probe_run(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap);

/* ---- repeat.c: kind=call,repeat ---- */

struct named_repeat;
struct named_repeat *named_repeat_new(void *function, void *data, struct context *context);
/* Is there one at PLACE, a value that anybody may have made up? */
bool named_repeat_is_at(const void *place);
void named_repeat_enter(struct named_repeat *registration, struct wrap *wrap);
void named_repeat_leave(struct named_repeat *registration, struct wrap *wrap);

#endif
