// promise: long random lives of threads end as the rules say, whatever is left by longjmp or pthread_exit
/*
 * A life sets slots, captures, runs, lets go; starts threads that inherit, adopts contexts, enters
 * runs of variables, deletes keys and makes them again; and leaves tasks by longjmp or the thread by
 * pthread_exit, at random and inside one another. A model says what every slot must be, and which
 * values must have been destroyed, once, at the end. LIVES=N tries N seeds, SEED=N one of them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "context/coroutine.h"
#include "context/variables.h"
#include "core.h"
#include "memory.h"
#include "on_valgrind.h"
#include "suite.h"

/* Sanitizers do not follow longjmp on the stack of a coroutine, nor does valgrind follow to the stack. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

enum {
    KEYS = 6,
    OWNED = 2,  /* of the keys: the last, with a destructor */
    CLONED = 2, /* the first, where there are policies */
    WORDS = 3,
    BEHIND = KEYS + WORDS, /* two functions, where there are policies */
    SLOTS = BEHIND + 2,
    VARIABLE = SLOTS - 1, /* one of baton.h */
    HELD = 12,
    DEPTH = 6,
    VALUES = 1 << 17,
    BOARD = 16,
    STEPS = 250,
    ATTACHED = 4,
    COROUTINES = 4,
    STACK = 256 * 1024,
};

static pthread_key_t key_0, key_1, key_2, key_3, key_4, key_5;
static pthread_key_t *const keys[KEYS] = {&key_0, &key_1, &key_2, &key_3, &key_4, &key_5};
__thread long word_0, word_1, word_2;
static bool has_words, has_policies, is_child, is_alone; /* threads do not run at the same time */
static struct var *variable;
static _Atomic uint32_t made_again[KEYS];

/* ---- values that are destroyed ---- */

enum { OWED_NOT, OWED_ONCE, OWED_ANY };
static _Atomic uint8_t owed[VALUES], destroyed[VALUES], slot_of[VALUES];
static _Atomic uint32_t values_made, wrong;
static uint32_t life_seed;

static void is_wrong(const char *what, long have, long want)
{
    if (atomic_fetch_add(&wrong, 1) < 5)
        fprintf(stderr, "seed %u: %s: %ld, not %ld\n", life_seed, what, have, want);
    if (getenv("TRAP"))
        __builtin_trap();
}

static void do_nothing(void *unused)
{
}

/* Some hand work over, wherever they are called. */
static void destroy(void *value)
{
    struct context *context;

    atomic_fetch_add(&destroyed[(uintptr_t)value], 1);
    if ((uintptr_t)value % 2 || !(context = context_capture(FAMILY_UNIT)))
        return;
    if ((uintptr_t)value % 4)
        context_release(context);
    else
        core_run(context, do_nothing, NULL);
}

static bool is_owned(unsigned slot)
{
    return slot >= KEYS - OWNED && slot < KEYS;
}

/* ---- values that are cloned ---- */

static struct {
    uintptr_t value;
    _Atomic int alive;
    bool is_clone;
} objects[VALUES];
static _Atomic uint32_t objects_made;

static uintptr_t object_new(uintptr_t value, bool is_clone)
{
    uint32_t number = 1 + atomic_fetch_add(&objects_made, 1);

    if (number >= VALUES)
        _exit(77);
    objects[number].value = value;
    objects[number].is_clone = is_clone;
    atomic_store(&objects[number].alive, 1);
    return number;
}

void *lives_clone(void *object);
void lives_free(void *object);

__attribute__((used, noinline)) void *lives_clone(void *object)
{
    if (!atomic_load(&objects[(uintptr_t)object].alive))
        is_wrong("cloned after its end", (long)object, 0);
    return (void *)object_new(objects[(uintptr_t)object].value, true);
}

__attribute__((used, noinline)) void lives_free(void *object)
{
    if (atomic_fetch_sub(&objects[(uintptr_t)object].alive, 1) != 1)
        is_wrong("freed twice", (long)object, 0);
}

static bool is_cloned(unsigned slot)
{
    return has_policies && slot < CLONED;
}

/* ---- slots ---- */

static __thread uintptr_t behind;
uintptr_t lives_get(void);
void lives_set(uintptr_t value);

__attribute__((used, noinline)) uintptr_t lives_get(void)
{
    return behind;
}

__attribute__((used, noinline)) void lives_set(uintptr_t value)
{
    behind = value;
}

static bool is_there(unsigned slot)
{
    return slot < KEYS || slot == VARIABLE || (slot == BEHIND ? has_policies : has_words);
}

static uintptr_t get_word(unsigned slot)
{
    const struct vars_entry *entry;

    if (slot < KEYS) {
        const struct thread *thread = thread_self;
        unsigned key_index = key_index_of[*keys[slot]];

        if (!key_index || !thread_is_attached(thread))
            return (uintptr_t)pthread_getspecific(*keys[slot]);
        return (uintptr_t)context_get_key(thread, key_index - 1);
    }
    if (slot < KEYS + WORDS)
        return (uintptr_t)(slot == KEYS ? word_0 : slot == KEYS + 1 ? word_1 : word_2);
    if (slot == BEHIND)
        return behind;
    entry = vars_find(vars_now(thread_self), variable);
    return entry ? (uintptr_t)entry->value : 0;
}

static uintptr_t get(unsigned slot)
{
    uintptr_t word = get_word(slot);

    if (!word || !is_cloned(slot))
        return word;
    if (!atomic_load(&objects[word].alive))
        is_wrong("seen after its end", (long)word, 0);
    return objects[word].value;
}

static void set(unsigned slot, uintptr_t value)
{
    if (slot < KEYS) {
        core_set(*keys[slot], (void *)value);
    } else if (slot < KEYS + WORDS) {
        *(slot == KEYS ? &word_0 : slot == KEYS + 1 ? &word_1 : &word_2) = (long)value;
    } else if (slot == BEHIND) {
        behind = value;
    } else {
        struct thread *thread = thread_enter();
        struct vars_entry *entry = vars_entry_new(variable, (void *)value);
        struct vars_map *map;

        if (!vars_where(thread) || !vars_with(vars_now(thread), entry, &map))
            abort();
        vars_set_now(thread, map);
        vars_entry_unref(entry);
    }
}

/* ---- the model ---- */

struct view {
    uintptr_t value[SLOTS];
    uint32_t made_again[KEYS]; /* when it was so */
};

struct held {
    struct context *context;
    struct view view;
    bool was_rolled;
};

/* Adopted, or attached by a scope of baton.h. */
struct attached {
    struct view before;
    bool mine_before[SLOTS];
    struct held *held; /* a scope's: it borrows the context */
    uint32_t entry;
    uintptr_t frame_mark;
};

struct frame {
    struct frame *outer;
    struct view now;
    bool is_mine[SLOTS];    /* set here */
    uintptr_t outside_runs; /* the variable */
    unsigned runs;
    struct attached attached[ATTACHED]; /* by hand, and not yet left */
    unsigned attached_count;
    uintptr_t (*scopes)[4]; /* on the stack */
    struct held *held[HELD];
    jmp_buf out;
    bool can_land;
    unsigned depth;
};

struct routine;
struct life {
    struct routine *routines, *routine; /* the one that runs */
    uint32_t random;
    struct frame *innermost;
    unsigned threads; /* that have started one another */
    struct newborn *newborn;
};

static __thread struct life life;
static struct held *_Atomic board[BOARD];

static uint32_t below(uint32_t limit)
{
    life.random = life.random * 1664525u + 1013904223u;
    return (life.random >> 8) % limit;
}

static void renew(struct view *view, bool *is_mine)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (view->made_again[i] == atomic_load(&made_again[i]))
            continue;
        view->made_again[i] = atomic_load(&made_again[i]);
        view->value[i] = 0;
        if (is_mine)
            is_mine[i] = false;
    }
}

static void look(struct frame *frame, const char *when)
{
    renew(&frame->now, frame->is_mine);
    for (unsigned i = 0; i < SLOTS; i++) {
        uintptr_t value;

        if (!is_there(i))
            continue;
        value = get(i);
        if (value != frame->now.value[i]) {
            char what[80];

            snprintf(what, sizeof what, "slot %u %s, depth %u", i, when, frame->depth);
            is_wrong(what, (long)value, (long)frame->now.value[i]);
        }
        if (is_owned(i) && value && atomic_load(&destroyed[value]))
            is_wrong("destroyed and seen", (long)value, 0);
    }
}

static void set_some(struct frame *frame)
{
    unsigned slot = below(SLOTS);
    uintptr_t value = below(3) ? 1 + below(1000) : 0;

    if (!is_there(slot))
        return;
    if (is_cloned(slot)) {
        uintptr_t old;

        renew(&frame->now, frame->is_mine);
        old = get_word(slot);
        set(slot, value ? object_new(value, false) : 0);
        if (old && !frame->is_mine[slot] && !objects[old].is_clone)
            is_wrong("lent as it was", (long)old, 0);
        if (old)
            lives_free((void *)old); /* its own, or lent and taken over */
        frame->now.value[slot] = value;
        frame->is_mine[slot] = true;
        return;
    }
    if (is_owned(slot)) {
        uintptr_t old = frame->now.value[slot];

        renew(&frame->now, frame->is_mine);
        old = frame->now.value[slot];
        if (value) {
            value = 1 + atomic_fetch_add(&values_made, 1);
            if (value >= VALUES)
                return;
            atomic_store(&slot_of[value], (uint8_t)slot);
            atomic_store(&owed[value], OWED_ONCE);
        }
        if (old && frame->is_mine[slot])
            atomic_store(&owed[old], OWED_NOT); /* who replaces a value looks after it */
    }
    set(slot, value);
    frame->now.value[slot] = value;
    frame->is_mine[slot] = true;
    if (slot == VARIABLE && !frame->runs)
        frame->outside_runs = value;
}

static __attribute__((noinline)) struct context *capture(void)
{
    return context_capture(FAMILY_UNIT);
}

static struct held *hold(struct frame *frame)
{
    struct held *held = calloc(1, sizeof *held);

    look(frame, "before a capture");
    held->context = capture();
    held->view = frame->now;
    return held;
}

static void let_go(struct held *held)
{
    if (below(8) == 0)
        context_rollback(FAMILY_UNIT, held->context);
    else
        context_release(held->context);
    free(held);
}

static void live(struct frame *frame, unsigned steps);

static struct frame *frame_new(const struct view *view)
{
    struct frame *frame = calloc(1, sizeof *frame);

    frame->now = *view;
    renew(&frame->now, NULL);
    frame->outside_runs = frame->now.value[VARIABLE];
    frame->outer = life.innermost;
    frame->depth = frame->outer ? frame->outer->depth + 1 : 0;
    life.innermost = frame;
    return frame;
}

/* Gives back what the frames inside of `last` still hold. */
static void frames_drop(struct frame *last)
{
    while (life.innermost != last) {
        struct frame *frame = life.innermost;

        life.innermost = frame->outer;
        for (unsigned i = 0; i < HELD; i++)
            if (frame->held[i])
                let_go(frame->held[i]);
        for (unsigned i = 0; i < frame->attached_count; i++)
            if (frame->attached[i].held)
                let_go(frame->attached[i].held);
        free(frame);
    }
}

static void task(void *view)
{
    struct frame *outer = life.innermost, *frame = frame_new(view);

    live(frame, below(30));
    look(frame, "at a task's end");
    frames_drop(outer);
}

/* As a library between the program and its callback. */
static __attribute__((noinline)) void run_owned(struct context *context, struct view *view)
{
    volatile char frames[512];

    frames[0] = 0;
    core_run(context, task, view);
    frames[1] = frames[0];
}

static GUARDED void run_borrowed_guarded(struct context *context, struct view *view)
{
    GUARDED_FRAME();
    SCOPE_RUN(context, 0, task(view));
}

static __attribute__((noinline)) void run_borrowed(struct context *context, struct view *view)
{
    volatile char frames[512];

    frames[0] = 0;
    run_borrowed_guarded(context, view);
    frames[1] = frames[0];
}

/* What it sets is there in its next run. */
static void keeping_task(void *arg)
{
    struct view *view = arg;
    struct frame *outer = life.innermost, *frame = frame_new(view);

    live(frame, below(20));
    look(frame, "at a repeating task's end");
    *view = frame->attached_count ? frame->attached[0].before : frame->now;
    frames_drop(outer);
}

static GUARDED void run_keep_guarded(struct context **holder, struct view *view)
{
    GUARDED_FRAME();
    SCOPE_RUN_KEEP(holder, keeping_task(view));
}

static __attribute__((noinline)) void run_keep(struct context **holder, struct view *view)
{
    volatile char frames[512];

    frames[0] = 0;
    run_keep_guarded(holder, view);
    frames[1] = frames[0];
}

static void run(struct frame *frame, unsigned place)
{
    struct held *held = frame->held[place];
    struct context *context = held->context;
    struct view view = held->view;

    switch (below(3)) {
    case 0:
        frame->held[place] = NULL;
        free(held);
        run_owned(context, &view);
        break;
    case 1:
        run_borrowed(context, &view);
        break;
    default:
        for (unsigned i = 1 + below(3); i-- > 0;) {
            run_keep(&held->context, &held->view);
            look(frame, "between two runs");
        }
    }
    look(frame, "after a run");
}

/* ---- threads ---- */

struct newborn {
    struct view view;
    uint32_t random;
    unsigned threads;
    struct frame *left; /* what its frames hold */
};

static void thread_exits(void)
{
    life.newborn->left = life.innermost;
    pthread_exit(NULL);
}

static void born(void *arg)
{
    struct newborn *newborn = arg;
    struct frame *frame;

    life =
        (struct life){.random = newborn->random, .threads = newborn->threads, .newborn = newborn};
    frame = frame_new(&newborn->view);
    live(frame, below(60));
    look(frame, "at a thread's end");
    if (is_child) /* whose parent's other stacks are gone */
        _exit(wrong != 0);
    newborn->left = frame;
}

static void start(struct frame *frame)
{
    struct newborn newborn = {.random = below(1 << 30), .threads = life.threads + 1};
    struct frame *innermost = life.innermost;

    if (life.threads > 2)
        return;
    look(frame, "before a start");
    newborn.view = frame->now;
    pthread_join(core_thread(born, &newborn), NULL);
    life.innermost = newborn.left;
    frames_drop(NULL);
    life.innermost = innermost;
    look(frame, "after a thread");
}

/* ---- runs of variables ---- */

static void in_a_run(void *arg)
{
    struct frame *frame = arg;

    frame->now.value[VARIABLE] = 0;
    frame->runs++;
    live(frame, below(12));
    frame->runs--;
}

static __attribute__((noinline)) void enter_run(struct vars_context *context, struct frame *frame)
{
    volatile char frames[512];

    frames[0] = 0;
    vars_run(context, in_a_run, frame);
    frames[1] = frames[0];
}

static void run_variables(struct frame *frame)
{
    struct vars_context *context = vars_context_new(NULL);
    uintptr_t before = frame->now.value[VARIABLE];

    enter_run(context, frame);
    vars_context_unref(context);
    frame->now.value[VARIABLE] = before;
    look(frame, "after a run of variables");
}

/* ---- attaching by hand ---- */

static struct attached *attached_push(struct frame *frame, const struct view *view)
{
    struct attached *attached = &frame->attached[frame->attached_count++];

    *attached = (struct attached){.before = frame->now};
    memcpy(attached->mine_before, frame->is_mine, sizeof frame->is_mine);
    memset(frame->is_mine, 0, sizeof frame->is_mine);
    frame->now = *view;
    renew(&frame->now, NULL);
    frame->outside_runs = frame->now.value[VARIABLE];
    return attached;
}

static void attached_pop(struct frame *frame)
{
    struct attached *attached = &frame->attached[--frame->attached_count];

    frame->now = attached->before;
    frame->outside_runs = frame->now.value[VARIABLE];
    memcpy(frame->is_mine, attached->mine_before, sizeof frame->is_mine);
    if (attached->held)
        let_go(attached->held);
}

static void adopt(struct frame *frame, unsigned place)
{
    struct held *held = frame->held[place];

    if (held->context == thread_self->attached)
        return; /* nothing is done then */
    frame->held[place] = NULL;
    attached_push(frame, &held->view);
    if (!scope_adopt(held->context))
        abort();
    free(held);
    look(frame, "adopted");
}

/* As attach of api.c. */
static void attach(struct frame *frame, unsigned place)
{
    struct held *held = frame->held[place];
    struct attached *attached = attached_push(frame, &held->view);
    struct thread *thread = thread_self;
    uintptr_t frame_mark = ((uintptr_t)&frame->scopes[frame->attached_count - 1][2] + FRAME_FLAGS) &
                           ~(uintptr_t)FRAME_FLAGS;

    frame->held[place] = NULL;
    attached->held = held;
    if (thread_is_attached(thread)) {
        uintptr_t innermost = thread->frame_mark & ~(uintptr_t)FRAME_FLAGS;

        if (innermost <= frame_mark)
            frame_mark = innermost - (FRAME_FLAGS + 1);
    }
    if (!scope_enter_slow(held->context, frame_mark))
        abort();
    attached->entry = scope_top_entry(thread_self);
    attached->frame_mark = frame_mark;
    look(frame, "attached");
}

/* Of scopes any one, with all that lie above it. */
static void detach(struct frame *frame, unsigned number)
{
    struct attached *attached = &frame->attached[number];

    if (attached->held)
        scope_leave_entry(thread_self, attached->entry, attached->frame_mark);
    else if (number == frame->attached_count - 1)
        scope_leave_adopted(thread_self);
    else
        return;
    while (frame->attached_count > number)
        attached_pop(frame);
    look(frame, "detached");
}

/* ---- coroutines ---- */

struct routine {
    ucontext_t here, back;
    struct routine *outer; /* that has resumed it */
    char *stack;
    struct coroutine *coroutine;
    struct context *context;
    struct view view;
    struct frame *innermost;
    struct frame *left; /* base of its frames, for what they hold */
    bool is_fresh, is_over, runs;
};

/* As the hook of swapcontext. */
static __attribute__((noinline)) void swap_stacks(ucontext_t *left, ucontext_t *target)
{
    struct coroutines *own = coroutine_own_slow();

    own->current->sp = (uintptr_t)__builtin_dwarf_cfa();
    own->recent[coroutine_slot(left)] = own->current;
    coroutine_switch(thread_self, own, coroutine_find(own, target, arch_context_sp(target)));
    swapcontext(left, target);
}

static void routine_task(void *arg)
{
    struct routine *routine = arg;
    struct frame *frame = frame_new(&routine->view);

    frame->depth = 3;
    live(frame, below(60));
    look(frame, "at a coroutine's end");
    while (frame->attached_count)
        detach(frame, frame->attached_count - 1);
    frames_drop(NULL);
}

static void routine_main(unsigned high, unsigned low)
{
    struct routine *routine = (struct routine *)((uintptr_t)high << 32 | low);
    struct context *context = routine->coroutine->start;
    struct coroutines *own;

    routine->coroutine->start = NULL;
    core_run(context, routine_task, routine);
    routine->is_over = true;
    own = thread_self->coroutines;
    coroutine_end(own, routine->coroutine,
                  coroutine_find(own, &routine->back, arch_context_sp(&routine->back)));
    setcontext(&routine->back);
}

static void routine_make(struct frame *frame, struct routine *routine)
{
    look(frame, "before a coroutine is made");
    if (!routine->stack)
        routine->stack = malloc(STACK);
    routine->view = frame->now;
    routine->is_over = false;
    routine->innermost = NULL;
    routine->coroutine = coroutine_new((uintptr_t)routine->stack, STACK, capture(), NULL, 0);
    getcontext(&routine->here);
    routine->here.uc_stack.ss_sp = routine->stack;
    routine->here.uc_stack.ss_size = STACK;
    routine->here.uc_link = NULL;
    makecontext(&routine->here, (void (*)(void))routine_main, 2,
                (unsigned)((uintptr_t)routine >> 32), (unsigned)(uintptr_t)routine);
    coroutine_made(routine->coroutine, &routine->here, arch_context_sp(&routine->here));
}

static void routine_resume(struct frame *frame, struct routine *routine)
{
    struct frame *innermost = life.innermost;
    struct newborn *newborn = life.newborn;

    look(frame, "before a resume");
    life.innermost = routine->innermost;
    life.newborn = NULL; /* no pthread_exit there */
    routine->outer = life.routine;
    life.routine = routine;
    routine->runs = true;
    swap_stacks(&routine->back, &routine->here);
    routine->runs = false;
    life.routine = routine->outer;
    routine->innermost = life.innermost;
    life.innermost = innermost;
    life.newborn = newborn;
    look(frame, "after a resume");
    if (routine->is_over)
        routine->coroutine = NULL;
}

static void routine_yield(struct frame *frame)
{
    struct routine *routine = life.routine;

    look(frame, "before a yield");
    swap_stacks(&routine->here, &routine->back);
    look(frame, "after a yield");
}

/* One that is not at its end is dropped when its stack is used again. */
static void routine_drop(struct routine *routine)
{
    struct frame *innermost = life.innermost;
    struct coroutine *coroutine;

    if (!routine->coroutine)
        return;
    coroutine = coroutine_new((uintptr_t)routine->stack, STACK, NULL, NULL, 0);
    if (!coroutine)
        abort();
    life.innermost = routine->innermost;
    frames_drop(NULL);
    life.innermost = innermost;
    routine->coroutine = NULL;
}

static void routine_step(struct frame *frame)
{
    struct routine *routine = &life.routines[below(COROUTINES)];

    if (life.routine && below(2))
        routine_yield(frame);
    else if (routine->runs)
        return;
    else if (!routine->coroutine)
        routine_make(frame, routine);
    else if (below(10) == 0)
        routine_drop(routine);
    else
        routine_resume(frame, routine);
}

/* ---- keys ---- */

static __attribute__((noinline)) void key_again(unsigned slot)
{
    core_key_delete(*keys[slot]);
    for (uint32_t value = 1; is_owned(slot) && value <= atomic_load(&values_made); value++)
        if (atomic_load(&slot_of[value]) == slot)
            atomic_store(&owed[value], OWED_ANY);
    atomic_fetch_add(&made_again[slot], 1);
    core_key_create(keys[slot], is_owned(slot) ? destroy : NULL);
    __asm__("");
}

/* ---- children ---- */

/* The others are not there: whatever they were doing. */
static __attribute__((noinline)) void fork_a_child(struct frame *frame)
{
    int status;
    pid_t child;

    context_fork_lock();
    child = fork();
    context_fork_unlock(child == 0);
    if (child == 0) {
        is_child = is_alone = true;
        life.newborn = NULL;
        atomic_store(&wrong, 0);
        look(frame, "in a child");
        live(frame, 30);
        look(frame, "later in a child");
        _exit(wrong != 0);
    }
    waitpid(child, &status, 0);
    if (status)
        is_wrong("status of a child", status, 0);
}

/* ---- a life ---- */

static void jump(struct frame *frame)
{
    struct frame *to = frame;

    if (life.newborn && below(6) == 0)
        thread_exits();
    while (to->outer && below(2))
        to = to->outer;
    if (to->can_land)
        longjmp(to->out, 1);
}

static void swap_on_board(struct frame *frame, unsigned place)
{
    struct held *held = atomic_exchange(&board[below(BOARD)], frame->held[place]);

    frame->held[place] = held;
}

static void step(struct frame *frame)
{
    unsigned what = below(100), place = below(HELD);

    if (what < 30) {
        set_some(frame);
    } else if (what < 62) {
        if (!frame->held[place])
            frame->held[place] = hold(frame);
    } else if (what < 75) {
        if (frame->held[place] && frame->depth < DEPTH)
            run(frame, place);
    } else if (what < 82) {
        if (frame->held[place]) {
            let_go(frame->held[place]);
            frame->held[place] = NULL;
        }
    } else if (what < 85) {
        jump(frame);
    } else if (what < 87) {
        start(frame);
    } else if (what < 90) {
        if (frame->depth < DEPTH)
            run_variables(frame);
    } else if (what < 92) {
        if (frame->held[place] && !frame->runs && frame->attached_count < ATTACHED) {
            if (below(2))
                adopt(frame, place);
            else
                attach(frame, place);
        }
    } else if (what < 94) {
        if (frame->attached_count && !frame->runs)
            detach(frame, below(frame->attached_count));
    } else if (what < 96) {
        if (life.routines && !IS_SANITIZED && !RUNNING_ON_VALGRIND)
            routine_step(frame);
    } else if (what < 98) {
        swap_on_board(frame, place);
    } else if (what < 99 && below(2)) {
        /* What other threads held is lost in a child, on purpose: valgrind would complain. */
        if (!is_child && !IS_SANITIZED && !RUNNING_ON_VALGRIND && below(8) == 0)
            fork_a_child(frame);
    } else if (what < 99) {
        struct context *context;

        thread_enter()->suppress++;
        context_drop_snapshot(thread_self);
        context = capture();
        thread_self->suppress--;
        if (context != context_empty)
            is_wrong("suppressed", 0, 1);
        context_release(context);
    } else if (is_alone && life_seed % 4 == 0 && below(10) == 0) {
        key_again(below(KEYS));
        look(frame, "after a key was made again");
    }
}

/* May be entered again for the same frame, in a run of variables. */
static __attribute__((noinline)) void live(struct frame *frame, unsigned count)
{
    struct frame *volatile here = frame;
    volatile unsigned steps = count;
    volatile bool is_outermost = !frame->can_land;
    uintptr_t scopes[ATTACHED][4];

    if (is_outermost) {
        frame->scopes = scopes;
        frame->can_land = true;
        if (setjmp(frame->out)) {
            struct context *context = capture();

            context_release(context);
            frames_drop(here);
            here->runs = 0;
            here->now.value[VARIABLE] = here->outside_runs;
            while (here->attached_count)
                detach(here, here->attached_count - 1);
            look(here, "after a jump");
        }
    }
    while (steps > 0) {
        steps--;
        step(here);
    }
    if (!is_outermost)
        return;
    here->can_land = false;
    for (unsigned i = here->attached_count;
         i-- > 0;) /* scopes are left, what is adopted may stay */
        if (here->attached[i].held)
            detach(here, i), i = here->attached_count;
}

/* Handlers capture wherever they come, and let go. */
static _Atomic uint32_t captured_in_handlers;

static void on_signal(int number)
{
    struct context *context = context_capture_signal(FAMILY_UNIT);

    if (!context) {
        context_count_bare_signal(FAMILY_UNIT);
        return;
    }
    if (atomic_load(&context->refs) < 2 || context->flags & CONTEXT_OVERLAY)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&captured_in_handlers, 1);
    context_unref_signal(context);
}

static void begin_signals(void)
{
    struct itimerspec often = {{0, 30000}, {0, 30000}};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
    timer_t timer;

    sigaction(SIGURG, &action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
        timer_settime(timer, 0, &often, NULL);
}

static void *life_of_a_thread(void *seed)
{
    static const struct view nothing;
    struct frame *frame;

    thread_enter();
    life = (struct life){.random = (uint32_t)(uintptr_t)seed,
                         .routines = calloc(COROUTINES, sizeof *life.routines)};
    frame = frame_new(&nothing);
    for (unsigned i = 0; i < KEYS; i++)
        frame->now.made_again[i] = atomic_load(&made_again[i]);
    live(frame, STEPS);
    while (frame->attached_count)
        detach(frame, frame->attached_count - 1);
    for (unsigned i = 0; i < COROUTINES; i++)
        routine_drop(&life.routines[i]);
    for (unsigned i = 0; i < SLOTS; i++) {
        uintptr_t value = is_owned(i) && frame->is_mine[i] ? frame->now.value[i] : 0;

        if (value && atomic_load(&owed[value]) == OWED_ONCE)
            atomic_store(&owed[value], OWED_NOT);
        if (i != VARIABLE)
            set(i, 0);
    }
    frames_drop(NULL);
    if (is_child)
        _exit(wrong != 0);
    return NULL;
}

static __attribute__((noinline)) void create_keys(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        core_key_create(keys[i], is_owned(i) ? destroy : NULL);
    __asm__("");
}

/* The unwinder is loaded at its first use; a child that is forked meanwhile has none that works. */
static void *load_unwinder(void *unused)
{
    pthread_exit(unused);
}

/* Answers how much was wrong. */
static unsigned one_life(uint32_t seed)
{
    static char carry[300];
    unsigned threads = seed % 3 == 0 ? 3 : 1;
    pthread_t thread[3];
    sigset_t urgent;

    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    life_seed = seed;
    has_words = seed & 2;
    has_policies = seed % 5 == 0;
    is_alone = threads == 1;
    snprintf(carry, sizeof carry,
             "BATON_CARRY=key:key_0%s;key:key_1%s;%s%skey:key_2;key:key_3;"
             "key:key_4;key:key_5",
             has_policies ? ",clone=lives_clone,free=lives_free" : "",
             has_policies ? ",clone=lives_clone,free=lives_free" : "",
             has_words ? "tls:word_0;tls:word_1;tls:word_2;" : "",
             has_policies ? "fn:get=lives_get,set=lives_set;" : "");
    core_start(carry);
    create_keys();
    variable = vars_new_var("variable", NULL, NULL);
    if (seed % 7 == 0)
        begin_signals();
    pthread_create(&thread[0], NULL, load_unwinder, NULL);
    pthread_join(thread[0], NULL);
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, life_of_a_thread, (void *)(uintptr_t)(seed * 7 + i));
    pthread_sigmask(SIG_BLOCK, &urgent, NULL); /* not for the one that waits */
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < BOARD; i++)
        if (board[i])
            let_go(board[i]);
    if (core_alive())
        is_wrong("contexts alive", (long)core_alive(), 0);
    if (values_count())
        is_wrong("values held", (long)values_count(), 0);
    for (uint32_t value = 1; value <= values_made && value < VALUES; value++) {
        unsigned times = destroyed[value];

        if (owed[value] == OWED_ANY ? times > 1 : times != (owed[value] == OWED_ONCE))
            is_wrong("destroyed", (long)times, owed[value]);
    }
    for (uint32_t number = 1; number <= objects_made; number++)
        if (objects[number].is_clone && objects[number].alive)
            is_wrong("a clone is left", number, 0);
    return wrong;
}

static unsigned in_child(uint32_t seed)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        bool is_right = one_life(seed) == 0 && VALGRIND_COUNT_ERRORS == 0;

        /* What frames that were jumped out of had in hand is lost: valgrind is not to look for it. */
        if (RUNNING_ON_VALGRIND && is_right)
            execl("/bin/true", "true", (char *)NULL);
        _exit(!is_right);
    }
    waitpid(child, &status, 0);
    if (status)
        fprintf(stderr, "seed %u: status %x\n", seed, (unsigned)status);
    return status != 0;
}

START_TEST(test_lives_end_as_they_should)
{
    const char *lives = getenv("LIVES"), *seed = getenv("SEED");
    unsigned count = lives ? (unsigned)atoi(lives) : 60, failed = 0;
    uint32_t first = seed ? (uint32_t)atoi(seed) : 1;

    if (seed && !lives) {
        ck_assert_uint_eq(one_life(first), 0);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        failed += in_child(first + i);
    ck_assert_uint_eq(failed, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("lives");

    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, test_lives_end_as_they_should);
    return suite_run("lives", tc);
}
