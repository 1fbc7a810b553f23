// The policies in the other shapes of handoffs: a callback that repeats, a source that is removed, a parallel region, a coroutine.
// libs: glib-2.0
// flags: -fopenmp
// usage: policy_shapes KIND POLICY SHAPE... [kind=KIND SHAPE...]...: repeats, removed, parallel, coroutine; KIND and POLICY as in policies.c
#define main policies_main
#include "policies.c"
#undef main
#include <omp.h>
#include <ucontext.h>

enum { RUNS = 3, THREADS = 4 };

static long runs, saw[RUNS], right, kept;
static ucontext_t outside, inside;

static int is_copy(void)
{
    return strcmp(policy, "ref") != 0 && strcmp(policy, "weak") != 0;
}

static void write_number(void *value, long number)
{
    if (!value || !is_copy())
        return;
    if (!strcmp(policy, "string"))
        sprintf(value, "request %ld", number);
    else
        ((struct item *)value)->number = number;
}

static gboolean again(gpointer loop)
{
    saw[runs] = number_of(get());
    write_number(get(), (saw[runs] + 1) % 10); /* one digit: a string has no more room */
    if (++runs < RUNS)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static void coroutine(void)
{
    saw[0] = number_of(get());
    write_number(get(), 9);
    swapcontext(&inside, &outside);
    saw[1] = number_of(get());
}

static void repeats(void *value)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    runs = 0;
    g_timeout_add(1, again, loop);
    set(NULL);
    end(value);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    for (int i = 0; i < RUNS; i++)
        expect("a run sees", saw[i], !strcmp(policy, "weak") ? 0 : is_copy() ? 7 + i : 7);
}

static void parallel(void *value)
{
    right = kept = 0;
#pragma omp parallel num_threads(THREADS) reduction(+ : right, kept)
    {
        long number = omp_get_thread_num() ? omp_get_thread_num() : 7; /* the owner's is the owner's */
        right += number_of(get()) == 7;
#pragma omp barrier
        write_number(get(), number);
#pragma omp barrier
        kept += number_of(get()) == (is_copy() ? number : 7);
    }
    expect("threads that see", right, THREADS);
    expect("threads that keep their own", kept, THREADS);
    expect("the owner has", number_of(get()), 7);
    set(NULL);
    end(value);
}

static void switches(void *value)
{
    static char stack[65536];
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = sizeof(stack);
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    set(NULL);
    end(value);
    swapcontext(&outside, &inside);
    expect("the maker has", number_of(get()), 0);
    swapcontext(&outside, &inside);
    expect("the coroutine saw", saw[0], !strcmp(policy, "weak") ? 0 : 7);
    expect("the coroutine kept", saw[1], !strcmp(policy, "weak") ? 0 : is_copy() ? 9 : 7);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    kind = argv[1], policy = argv[2];
    pthread_key_create(&item_key, NULL);
    pthread_key_create(&item_owned, destroy);
    for (int i = 3; i < argc; i++) {
        void *value;
        event = argv[i];
        if (is_other_kind())
            continue;
        value = make(7);
        puts(event);
        set(value);
        if (is("repeats"))
            repeats(value);
        else if (is("parallel"))
            parallel(value);
        else if (is("coroutine"))
            switches(value);
        else {
            g_source_remove(g_timeout_add(100000, again, NULL));
            set(NULL);
            end(value);
        }
        if (strcmp(policy, "copy") != 0)
            expect("live", live, 0);
        expect("ended twice", end_errors, 0);
    }
    return verdict();
}
