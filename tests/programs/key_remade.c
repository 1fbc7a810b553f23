// A key is deleted and made again while a task runs: the new key is empty in the task, and is the task's own from then on.
// libs: glib-2.0
// usage: key_remade shared|copied CASE...; CASE: key|owned task|other|thread untouched|set|taken
// copied: what the task reads is a copy of its own.
// Who makes it again: the task, another thread, or another thread while a thread runs that was started with the value.
// What was done before: nothing, the task has set its own value, the task has taken over what it was lent.
#include "carrier.h"
#include <glib.h>

struct value {
    long number;
};

pthread_key_t item_key;
static GThreadPool *pool;
static struct gate reached = GATE_CLOSED, made_again = GATE_CLOSED;
static const char *who, *before;
static int is_owned, is_copied;
static long ended, first = -1, second = -1, third = -1, nested = -1, after = -1, left_ended;

static void destroy(void *value)
{
    ended++;
    free(value);
}

static struct value *new_value(long number)
{
    struct value *value = malloc(sizeof(*value));
    value->number = number;
    return value;
}

static long seen(void)
{
    struct value *value = pthread_getspecific(item_key);
    return value ? value->number : 0;
}

static void make_again(void)
{
    pthread_key_delete(item_key);
    pthread_key_create(&item_key, is_owned ? destroy : NULL);
}

static void *look(void *arg)
{
    nested = seen();
    return NULL;
}

static void task(void)
{
    struct value *lent = pthread_getspecific(item_key), *own;
    pthread_t id;
    first = seen();
    if (!strcmp(before, "set"))
        pthread_setspecific(item_key, new_value(5));
    own = pthread_getspecific(item_key);
    if (!strcmp(before, "taken"))
        pthread_setspecific(item_key, NULL);
    if (!strcmp(who, "task")) {
        make_again();
    } else {
        gate_open(&reached);
        gate_wait(&made_again);
    }
    second = seen();
    if (!strcmp(before, "set") || (!strcmp(before, "taken") && is_copied))
        free(own); /* nobody else can: its key is gone */
    if (!strcmp(before, "set") && is_copied)
        free(lent); /* as who overwrites what it was lent */
    pthread_setspecific(item_key, new_value(8));
    third = seen();
    if (is_copied && !strcmp(before, "untouched"))
        third += lent->number - 7; /* still the task's, although its key is gone */
    pthread_create(&id, NULL, look, NULL);
    pthread_join(id, NULL);
    if (!is_owned) {
        free(pthread_getspecific(item_key));
        pthread_setspecific(item_key, NULL);
    }
}

static void work(gpointer data, gpointer user_data)
{
    if (data == pool) {
        left_ended = ended;
        after = seen();
    } else {
        task();
    }
}

static void *thread(void *arg)
{
    task();
    return NULL;
}

static void run(const char *kind)
{
    struct value *mine = new_value(7);
    pthread_t id;
    is_owned = !strcmp(kind, "owned");
    reached = made_again = (struct gate)GATE_CLOSED;
    first = second = third = nested = after = -1;
    ended = left_ended = 0;
    pthread_key_create(&item_key, is_owned ? destroy : NULL);
    pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    pthread_setspecific(item_key, mine);
    if (!strcmp(who, "thread"))
        pthread_create(&id, NULL, thread, NULL);
    else
        g_thread_pool_push(pool, &id, NULL);
    if (strcmp(who, "task") != 0) {
        gate_wait(&reached);
        make_again();
        gate_open(&made_again);
    }
    if (!strcmp(who, "thread"))
        pthread_join(id, NULL);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    free(mine);
    printf("%s %s %s\n", kind, who, before);
    expect("the task saw", first, 7);
    expect("made again, it saw", second, 0);
    expect("it set and saw", third, 8);
    expect("its own task saw", nested, 8);
    expect("the worker has", after, 0);
    expect("destroyed after the task", left_ended, is_owned);
    expect("destroyed in the end", ended, is_owned);
    pthread_key_delete(item_key);
}

int main(int argc, char **argv)
{
    is_copied = argc > 1 && !strcmp(argv[1], "copied");
    for (int i = 2; i + 2 < argc; i += 3) {
        who = argv[i + 1], before = argv[i + 2];
        run(argv[i]);
    }
    return verdict();
}
