/*
 * LLVM's OpenMP runtime, through the tool interface that it offers (OMPT, OpenMP 5.0 chapter 4).
 *
 * libomp asks ompt_start_tool whether there is a tool; there is room for one. Whoever else wants to
 * be it comes first: a definition that would have been found without us, or OMP_TOOL_LIBRARIES.
 *
 * A region captures when it begins and lends its context to every member but the thread that
 * started it. Members leave it at each implicit barrier and take it up again when they come out:
 * that of the region's end looks like any other, its end is told when the thread's next region
 * begins, and by then what the member knows is gone. The starting thread lets everything go at the
 * region's end, when all members have arrived. An explicit task captures when it is made; the one
 * that is switched away from waits on the same stack below, unless it is untied and has returned.
 *
 * Attaches here have no frame of their own; their marks lie just below those of the attach around.
 * Tried with LLVM 14: all callbacks are delivered ("always").
 */
#include "base/lock.h"
#include "elf/elf.h"
#include "families/handoff.h"

enum { SET_ALWAYS = 5 };
enum { SCOPE_BEGIN = 1 };
enum { STATUS_COMPLETE = 1, STATUS_CANCEL = 3, STATUS_DETACH = 4, STATUS_SWITCH = 7 };
enum { TASK_EXPLICIT = 4, TASK_UNTIED = 0x10000000 };
enum { SYNC_IMPLICIT = 2, SYNC_IMPLICIT_PARALLEL = 9, SYNC_TEAMS = 10 };
enum {
    CALLBACK_PARALLEL_BEGIN = 3,
    CALLBACK_PARALLEL_END = 4,
    CALLBACK_TASK_CREATE = 5,
    CALLBACK_TASK_SCHEDULE = 6,
    CALLBACK_IMPLICIT_TASK = 7,
    CALLBACK_SYNC_REGION = 23,
};

union data {
    uint64_t value;
    void *pointer;
};
typedef void callback(void);
typedef callback *lookup_function(const char *name);

struct ompt_start_tool_result_t {
    int (*initialize)(lookup_function *lookup, int device, union data *tool);
    void (*finalize)(union data *tool);
    union data tool;
};

/* Whose values a flow of execution has: a member's or an explicit task's. */
struct flow {
    struct context *held; /* one reference, what it starts from when it is entered */
    uintptr_t frame_mark; /* while entered, else 0 */
    bool is_member, is_untied;
    bool has_run;      /* entered again it is the same run */
    struct flow *next; /* of the region's members */
};

struct region {
    struct context *context;
    struct flow *members; /* under lock_of (region) */
};

static void flow_enter(struct flow *flow)
{
    struct thread *thread = thread_enter();
    uintptr_t around;

    if (!thread || flow->frame_mark)
        return;
    around = thread_is_attached(thread) ? thread->frame_mark & ~(uintptr_t)FRAME_FLAGS
                                        : UINTPTR_MAX & ~(uintptr_t)255;
    flow->frame_mark = (around - 64) & ~(uintptr_t)FRAME_FLAGS;
    if (!scope_enter_slow(flow->held, flow->frame_mark | FRAME_KEEP)) {
        flow->frame_mark = 0;
        return;
    }
    if (slot_counts_on && !flow->has_run)
        slot_counts_ran(thread_self, flow->held);
    flow->has_run = true;
}

/* It goes on later, from what it has set. */
static void flow_pause(struct flow *flow)
{
    if (flow->frame_mark)
        flow->held = scope_leave_keep(thread_self, flow->frame_mark, flow->held);
    flow->frame_mark = 0;
}

static void flow_free(struct flow *flow)
{
    if (flow->frame_mark)
        scope_leave_slow(thread_self, flow->frame_mark);
    context_release(flow->held);
    handoff_free(flow, sizeof *flow);
}

static struct flow *flow_new(struct context *held)
{
    struct flow *flow = handoff_alloc(sizeof *flow);

    if (!flow)
        return NULL;
    flow->held = held;
    return flow;
}

/* ---- regions ---- */

static void parallel_begin(union data *parent, const void *frame, union data *parallel,
                           unsigned requested, int flags, const void *address)
{
    struct context *context = context_capture(FAMILY_LIBOMP);
    struct region *region = context ? handoff_alloc(sizeof *region) : NULL;

    if (region) {
        region->context = context;
    } else if (context) {
        context_rollback(FAMILY_LIBOMP, context);
        context_count_bare(FAMILY_LIBOMP, BARE_MEMORY);
    }
    parallel->pointer = region;
}

static void parallel_end(union data *parallel, union data *parent, int flags, const void *address)
{
    struct region *region = parallel->pointer;
    struct flow *next;

    if (!region)
        return;
    parallel->pointer = NULL;
    for (struct flow *member = region->members; member; member = next) {
        next = member->next;
        member->frame_mark = 0; /* it has left, or is no thread of ours to leave for */
        flow_free(member);
    }
    context_release(region->context);
    handoff_free(region, sizeof *region);
}

/* Index 0 is the thread that began the region. What ends has been left at its last barrier. */
static void implicit_task(int endpoint, union data *parallel, union data *task, unsigned count,
                          unsigned index, int flags)
{
    struct region *region = endpoint == SCOPE_BEGIN && parallel ? parallel->pointer : NULL;
    struct flow *member;

    if (endpoint == SCOPE_BEGIN)
        task->pointer = NULL;
    if (!region || index == 0)
        return;
    member = flow_new(context_ref(region->context));
    if (!member) {
        context_release(region->context);
        return;
    }
    member->is_member = true;
    lock_take(lock_of(region));
    member->next = region->members;
    region->members = member;
    lock_drop(lock_of(region));
    task->pointer = member;
    flow_enter(member);
}

static void sync_region(int kind, int endpoint, union data *parallel, union data *task,
                        const void *address)
{
    /* Without a region: the end of its last barrier, told too late for anything. */
    if (!parallel || !parallel->pointer || !task || !task->pointer)
        return;
    if (kind != SYNC_IMPLICIT && kind != SYNC_IMPLICIT_PARALLEL && kind != SYNC_TEAMS)
        return;
    if (endpoint == SCOPE_BEGIN)
        flow_pause(task->pointer);
    else
        flow_enter(task->pointer);
}

/* ---- explicit tasks ---- */

static void task_create(union data *parent, const void *frame, union data *task, int flags,
                        int has_dependences, const void *address)
{
    struct context *context;
    struct flow *flow;

    task->pointer = NULL;
    if (!(flags & TASK_EXPLICIT) || !(context = context_capture(FAMILY_LIBOMP)))
        return;
    flow = flow_new(context);
    if (!flow) {
        context_rollback(FAMILY_LIBOMP, context);
        context_count_bare(FAMILY_LIBOMP, BARE_MEMORY);
        return;
    }
    flow->is_untied = (flags & TASK_UNTIED) != 0;
    task->pointer = flow;
}

static void task_schedule(union data *prior, int status, union data *next)
{
    struct flow *left = prior ? prior->pointer : NULL, *entered = next ? next->pointer : NULL;
    bool is_done = status == STATUS_COMPLETE || status == STATUS_CANCEL || status == STATUS_DETACH;

    if (left && is_done && !left->is_member) {
        prior->pointer = NULL;
        flow_free(left);
    } else if (left && left->is_untied && status == STATUS_SWITCH &&
               (!entered || entered->is_member || entered->frame_mark)) {
        flow_pause(left); /* back to what goes on below it: its part has returned */
    }
    if (entered && !entered->is_member) /* a member has been entered, or waits in a barrier */
        flow_enter(entered);
}

/* ---- being a tool ---- */

static int initialize(lookup_function *lookup, int device, union data *tool)
{
    int (*set)(int, callback *) = (int (*)(int, callback *))lookup("ompt_set_callback");
    static const struct {
        int event;
        callback *function;
    } wanted[] = {
        {CALLBACK_PARALLEL_BEGIN, (callback *)parallel_begin},
        {CALLBACK_PARALLEL_END, (callback *)parallel_end},
        {CALLBACK_IMPLICIT_TASK, (callback *)implicit_task},
        {CALLBACK_SYNC_REGION, (callback *)sync_region},
        {CALLBACK_TASK_CREATE, (callback *)task_create},
        {CALLBACK_TASK_SCHEDULE, (callback *)task_schedule},
    };
    bool is_complete = set != NULL;

    for (unsigned i = 0; is_complete && i < sizeof wanted / sizeof wanted[0]; i++)
        is_complete = set(wanted[i].event, wanted[i].function) == SET_ALWAYS;
    return is_complete; /* 0: no tool after all, every region runs bare */
}

static void finalize(union data *tool)
{
}

static struct ompt_start_tool_result_t result = {initialize, finalize, {0}};

static bool user_has_tools(void)
{
    static const char name[] = "OMP_TOOL_LIBRARIES=";

    for (char **entry = elf_environment(); entry && *entry; entry++) {
        unsigned i = 0;

        while (name[i] && (*entry)[i] == name[i])
            i++;
        if (!name[i] && (*entry)[i])
            return true;
    }
    return false;
}

struct ompt_start_tool_result_t *hook_ompt_start_tool(unsigned version, const char *runtime)
{
    struct ompt_start_tool_result_t *other = REAL(ompt_start_tool)(version, runtime);

    if (other || user_has_tools()) {
        context_count_bare(FAMILY_LIBOMP, BARE_FULL);
        return other;
    }
    return &result;
}
