// A request's value is freed when the request ends; a task that outlives it still reads its own copy, and each is ended once.
// libs: glib-2.0
// usage: policies KIND POLICY EVENT... [kind=KIND EVENT...]...
// KIND: key, owned (a key with a destructor), tls, fn, swap. POLICY: copy, string, clone, ref, weak. EVENT: see owner and task_body.
#include "carrier.h"
#include "older_glib.h"

enum { LIVE = 0x11fe, DEAD = 0xdead };

struct item {
    long state, number, references;
};

pthread_key_t item_key, item_owned;
__thread void *item_tls;
static __thread void *behind_item, *behind_swap; /* two: both may be carried at once */
static const char *kind, *policy, *event;
static long live, task_saw = -1, task_after = -1, end_errors;
static struct gate gate;

__attribute__((noinline, used)) void *item_get(void)
{
    return behind_item;
}

__attribute__((noinline, used)) void item_set(void *value)
{
    behind_item = value;
}

__attribute__((noinline, used)) void item_fill(void **value)
{
    *value = behind_item;
}

__attribute__((noinline, used)) void **item_at(void)
{
    return &behind_item;
}

__attribute__((noinline, used)) void *item_swap(void *value)
{
    void *old = behind_swap;
    behind_swap = value;
    return old;
}

__attribute__((noinline)) static struct item *item_new(long number)
{
    struct item *item = malloc(sizeof(*item));
    *item = (struct item){LIVE, number, 1};
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return item;
}

__attribute__((noinline, used)) struct item *item_clone(struct item *item)
{
    return item_new(item->number);
}

__attribute__((noinline, used)) void item_free(struct item *item)
{
    end_errors += item->state != LIVE;
    item->state = DEAD;
    __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free(item);
}

__attribute__((noinline, used)) void item_ref(struct item *item)
{
    __atomic_add_fetch(&item->references, 1, __ATOMIC_RELAXED);
}

__attribute__((noinline, used)) void item_unref(struct item *item)
{
    if (__atomic_sub_fetch(&item->references, 1, __ATOMIC_ACQ_REL) == 0)
        item_free(item);
}

/* A value that its maker ends with `end`, whatever the policy. */
static void *make(long number)
{
    char text[32];
    if (strcmp(policy, "string") != 0)
        return item_new(number);
    snprintf(text, sizeof(text), "request %ld", number);
    return strdup(text);
}

static void end(void *value)
{
    if (!strcmp(policy, "string"))
        free(value);
    else if (!strcmp(policy, "ref"))
        item_unref(value);
    else if (!strcmp(policy, "copy")) /* plain bytes: copies are not counted */
        free(value);
    else
        item_free(value);
}

static long number_of(void *value)
{
    if (!value)
        return 0;
    if (!strcmp(policy, "string"))
        return atol((char *)value + strlen("request "));
    return ((struct item *)value)->state == LIVE ? ((struct item *)value)->number : -2;
}

static void *get(void)
{
    if (!strcmp(kind, "key"))
        return pthread_getspecific(item_key);
    if (!strcmp(kind, "owned"))
        return pthread_getspecific(item_owned);
    if (!strcmp(kind, "tls"))
        return item_tls;
    return !strcmp(kind, "fn") ? item_get() : behind_swap;
}

static void set(void *value)
{
    if (!strcmp(kind, "key"))
        pthread_setspecific(item_key, value);
    else if (!strcmp(kind, "owned"))
        pthread_setspecific(item_owned, value);
    else if (!strcmp(kind, "tls"))
        item_tls = value;
    else if (!strcmp(kind, "fn"))
        item_set(value);
    else
        item_swap(value);
}

static int is(const char *name)
{
    return !strcmp(event, name);
}

/* kind=KIND among the events: those that follow are for it. */
static int is_other_kind(void)
{
    if (strncmp(event, "kind=", 5) != 0)
        return 0;
    kind = event + 5;
    puts(event);
    return 1;
}

static void task_body(void)
{
    void *mine = get(), *other;
    task_saw = number_of(mine);
    if (is("task-replaces") && mine) {
        other = make(9);
        set(other);
        end(mine); /* taken over: who overwrites a value looks after it */
        if (strcmp(kind, "owned") != 0) {
            set(NULL);
            end(other);
        }
    } else if (is("task-frees") && mine) {
        set(NULL);
        end(mine);
    } else if (is("task-writes") && mine && strcmp(policy, "ref") != 0 && strcmp(policy, "weak") != 0) {
        if (!strcmp(policy, "string"))
            strcpy(mine, "request 3");
        else
            ((struct item *)mine)->number = 3;
    } else if (is("task-exits")) {
        pthread_exit(NULL);
    }
}

/* When the worker of the pool ends it has thrown away what waited: older versions of GLib tell nobody of each. */
static pthread_key_t worker_key;
static int worker_ended;

static void worker_ends(void *mark)
{
    __atomic_store_n((int *)mark, 1, __ATOMIC_RELEASE);
}

static void work(gpointer data, gpointer pool)
{
    if (data == &worker_key || data == &gate)
        pthread_setspecific(worker_key, &worker_ended);
    if (data == &worker_key)
        return;
    if (data == &gate) {
        gate_wait(&gate); /* keeps the worker until the owner is done */
        task_after = number_of(get());
        return;
    }
    task_body();
}

static void *thread(void *arg)
{
    gate_wait(&gate);
    task_body();
    return NULL;
}

static GThreadPool *pool;
static pthread_t child;

static void discard(gpointer data)
{
    expect("discarded", data == &child, TRUE);
}

/* GLib joins no worker: until it has ended it has what it was started with, also when `main` is done (under a sanitizer, which
 * starts it in GLib's place). */
static void await_worker(void)
{
    while (!__atomic_load_n(&worker_ended, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    pool = NULL;
}

static void finish_tasks(void)
{
    gate_open(&gate);
    if (is("task-exits")) {
        pthread_join(child, NULL);
        g_thread_pool_push(pool, &worker_key, NULL);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    await_worker();
}

/* Answers a value that nobody has ended yet. */
static void *owner(void *arg)
{
    void *value = make(7);
    set(value);
    if (is("task-exits"))
        pthread_create(&child, NULL, thread, NULL);
    else
        g_thread_pool_push(pool, &child, NULL);
    if (is("twice") || is("task-writes"))
        g_thread_pool_push(pool, &child, NULL);
    if (is("owner-exits")) /* and leaves it where it is */
        return strcmp(kind, "owned") != 0 ? value : NULL;
    if (is("owner-deletes-key")) {
        end(value);
        pthread_key_delete(!strcmp(kind, "owned") ? item_owned : item_key);
        return NULL;
    }
    if (is("owner-replaces")) {
        void *other = make(8);
        set(other);
        end(value);
        value = other;
        finish_tasks();
    } else if (is("owner-cancels")) {
        /* The worker stands at the gate until the pool knows that the queue is to be thrown away. */
        g_thread_pool_free(pool, TRUE, FALSE);
        gate_open(&gate);
        await_worker();
    } else if (is("unchanged") || (is("task-exits") && !strcmp(policy, "weak"))) {
        finish_tasks();
    }
    if (!strcmp(kind, "owned") && !is("owner-frees"))
        return NULL; /* its destructor */
    set(NULL);
    end(value);
    if (is("owner-frees")) /* and lives on */
        finish_tasks();
    return NULL;
}

static void destroy(void *value)
{
    end(value);
}

static void run(void)
{
    pthread_t thread;
    void *left;
    gate = (struct gate)GATE_CLOSED;
    task_saw = task_after = -1, worker_ended = 0;
    pthread_key_create(&item_key, NULL);
    pthread_key_create(&item_owned, destroy);
    pthread_key_create(&worker_key, worker_ends);
    g_thread_pool_set_max_idle_time(1); /* it ends at once, and not in 15 seconds */
    pool = g_thread_pool_new_full(work, NULL, discard, 1, TRUE, NULL);
    if (!is("task-exits")) {
        g_thread_pool_push(pool, &gate, NULL);
        gate_await(&gate, 1);
    }
    pthread_create(&thread, NULL, owner, NULL);
    pthread_join(thread, &left);
    if (left)
        end(left);
    if (pool)
        finish_tasks();
    printf("%s: task saw %ld\n", event, task_saw);
    expect("worker has", task_after == -1 ? 0 : task_after, 0);
    if (strcmp(policy, "copy") != 0)
        expect("live", live, 0);
    expect("ended twice", end_errors, 0);
    pthread_key_delete(worker_key);
    if (!is("owner-deletes-key") || strcmp(kind, "key") != 0)
        pthread_key_delete(item_key);
    if (!is("owner-deletes-key") || strcmp(kind, "owned") != 0)
        pthread_key_delete(item_owned);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    kind = argv[1], policy = argv[2];
    for (int i = 3; i < argc; i++) {
        event = argv[i];
        if (!is_other_kind())
            run();
    }
    return verdict();
}
