/*
 * kind=call, until it is known that its callback gets what arg= says. A position that is wrong must not change what the
 * program does, and whether one is shows only when a callback runs.
 *
 * So the first calls of a function change nothing but the callback, each for a thunk of its own (THUNK_PROBE), which knows
 * what to call and in what context, and looks whether the callback got the data. Once one did the item is believed.
 * If it did not, that callback runs all the same, and nothing more is handed over.
 *
 * PROBES_MAX calls may wait at once. Those beyond get a record in the place of their data, as they will when the item
 * is believed, and a thunk that knows their function (THUNK_TRIED), so that it is called even where the record is lost.
 * The data is no proof where it is no address: any argument may be 0. Nor is it elsewhere than cbarg= says in the thread
 * that handed it over: who runs a callback at once has all that was handed over in registers.
 */
#include "base/mem.h"
#include "context/internal.h"
#include "families/handoff.h"
#include "userhooks/kinds.h"
#include "userhooks/probe.h"
#include "userhooks/tally.h"

enum { PROBES_MAX = 64 }; /* of a function */

static struct probe *probe_new(struct thunk *of, uint64_t data, void *held)
{
    struct probe *probe = mem_alloc(sizeof *probe);

    if (probe) {
        probe->of = of;
        probe->by = thread_self;
        probe->data = data;
        atomic_init(&probe->held, held);
    }
    return probe;
}

/* The thunk of this call alone; 0: there have been enough. CONTEXT is its registration's from then on, if it has one. */
static unsigned take_probe(struct thunk *of, void *function, uint64_t data, struct context *context)
{
    struct named_hook *hook = of->hook;
    void *held = context;
    struct probe *probe;
    unsigned index;

    if (atomic_load_explicit(&of->probes, memory_order_relaxed) >= PROBES_MAX ||
        atomic_fetch_add(&of->probes, 1) >= PROBES_MAX)
        return 0;
    probe = probe_new(of, data, NULL);
    index = probe ? thunk_take_probe(hook, function, probe) : 0;
    if (!index) {
        mem_free(probe, sizeof *probe);
        return 0;
    }
    if (hook->spec.is_repeating)
        held = kinds_node(hook, function, (void *)data, context);
    atomic_store(&probe->held, held);
    if (held)
        tally_carried(hook, 1);
    return index;
}

/* The thunk of all calls with this callback; 0: there is no room. */
static unsigned take_tried(struct thunk *of, void *function)
{
    unsigned index = thunk_take(of->hook, THUNK_TRIED, function);
    struct probe *probe, *none = NULL;

    if (!index || atomic_load(&thunks[index].probe))
        return index;
    probe = probe_new(of, 0, NULL);
    if (!probe)
        return 0;
    if (!atomic_compare_exchange_strong(&thunks[index].probe, &none, probe))
        mem_free(probe, sizeof *probe);
    return index;
}

void probe_submit(struct thunk *of, struct thunk_frame *frame, struct wrap *wrap)
{
    struct named_hook *hook = of->hook;
    void *function = (void *)*frame_argument(frame, hook->spec.fn);
    void *data = (void *)*frame_argument(frame, hook->spec.arg), *node;
    struct context *context;
    unsigned index;

    if (atomic_load(&of->fault) == FAULT_DATA) {
        named_unmet(hook);
        return;
    }
    if (!named_has_function(of, function))
        return;
    context = context_capture(FAMILY_NAMED);
    if (!context)
        return;
    index = take_probe(of, function, (uint64_t)data, context);
    if (index) {
        kinds_exchange(hook, frame, wrap, thunk_address(index, true), data);
        return;
    }
    index = take_tried(of, function);
    node = kinds_node(hook, function, data, context);
    if (!node)
        return;
    kinds_exchange(hook, frame, wrap, thunk_address(index ? index : hook->callback, true), node);
    tally_carried(hook, 1);
}

static bool is_proof(uint64_t data)
{
    return data - NO_ADDRESS < -2 * (uint64_t)NO_ADDRESS;
}

/* At which argument the callback has its data; 0: at none. Of 0 nobody can tell where else it was meant to be. */
static unsigned find_data(const struct named_hook *hook, struct thunk_frame *frame, uint64_t data)
{
    unsigned said = named_callback_at(hook);

    if (*frame_argument(frame, said) == data)
        return said;
    for (unsigned position = 1; data && position <= NAMED_ARGUMENTS; position++) {
        if (*frame_argument(frame, position) == data)
            return position;
    }
    return 0;
}

/* One that has run already is where it was said to be, too. */
static unsigned find_node(const struct named_hook *hook, struct thunk_frame *frame)
{
    unsigned said = named_callback_at(hook);
    uint64_t value = *frame_argument(frame, said);

    if (kinds_is_node(hook, value) ||
        (!hook->spec.is_repeating && record_is_at((const struct record *)value)))
        return said;
    for (unsigned position = 1; position <= NAMED_ARGUMENTS; position++) {
        if (kinds_is_node(hook, *frame_argument(frame, position)))
            return position;
    }
    return 0;
}

static void *run_as_ever(struct thunk *thunk, struct wrap *wrap)
{
    context_count_bare(FAMILY_NAMED, BARE_ERROR);
    wrap->stack_words = WRAP_JUMP;
    return atomic_load(&thunk->original);
}

static void believe(struct named_hook *hook, struct thunk *of, unsigned position)
{
    if (position != named_callback_at(hook))
        named_record_missing(hook, position);
    named_found_right(hook, of);
}

static void *run_tried(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap)
{
    struct probe *probe = atomic_load(&thunk->probe);
    struct named_hook *hook = thunk->hook;
    unsigned position = find_node(hook, frame);

    if (!position) {
        if (probe)
            named_data_missing(probe->of);
        return run_as_ever(thunk, wrap);
    }
    if (probe)
        believe(hook, probe->of, position);
    return hook->spec.is_repeating ? kinds_run_repeat(hook, frame, wrap, true)
                                   : kinds_run_call(hook, frame, wrap, true);
}

static void *run_probe(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap)
{
    struct probe *probe = atomic_load(&thunk->probe);
    struct named_hook *hook = thunk->hook;
    bool is_repeating = hook->spec.is_repeating;
    void *held = is_repeating ? atomic_load(&probe->held) : atomic_exchange(&probe->held, NULL);
    unsigned position = find_data(hook, frame, probe->data);

    if (position != named_callback_at(hook) && probe->by == thread_self)
        position = 0;
    if (!held) {
        if (!is_repeating)
            named_ran_again(hook);
        return run_as_ever(thunk, wrap);
    }
    if (!named_is_right(hook, probe->of)) {
        if (!position)
            named_data_missing(probe->of);
        else if (is_proof(probe->data))
            believe(hook, probe->of, position);
    }
    if (is_repeating) {
        wrap->node = held;
        named_repeat_enter(held, wrap);
    } else {
        kinds_enter(wrap, held);
    }
    return atomic_load(&thunk->original);
}

void *probe_run(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap)
{
    return thunk->role == THUNK_PROBE ? run_probe(thunk, frame, wrap)
                                      : run_tried(thunk, frame, wrap);
}
