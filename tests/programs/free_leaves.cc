// What ends a value where its task is left, a free or unref function or the key's destructor, throws, jumps away or ends its thread: the thread has its own values back at once, and what comes after carries as ever.
// libs: libuv
// flags: -rdynamic
// usage: free_leaves throw|longjmp|exit timer|work set|held|word [too]: a value that the task has set, or one that it was lent by a key or a word, and has set another; items: key:own_key ; key:left_key or key:left_key,clone=left_clone,free=left_free or ref=left_ref,unref=left_unref or tls:left_word,clone=left_clone,free=left_free
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <uv.h>

static thread_local uv_loop_t *loop;
static thread_local bool leaves;
static const char *how, *what, *kind;
static bool arms, sets_too;
static jmp_buf out;
static int wrong, made, counted, destroyed;
pthread_key_t own_key, left_key;
thread_local long *left_word;

static void leave()
{
    if (!leaves)
        return;
    leaves = false;
    if (!strcmp(how, "throw"))
        throw std::runtime_error("left");
    if (!strcmp(how, "longjmp"))
        longjmp(out, 1);
    pthread_exit(nullptr);
}

extern "C" void *left_clone(void *of)
{
    made++;
    return new long(*static_cast<long *>(of));
}
extern "C" void left_free(void *copy)
{
    made--;
    delete static_cast<long *>(copy);
    leave();
}
extern "C" void left_ref(void *)
{
    counted++;
}
extern "C" void left_unref(void *)
{
    counted--;
    leave();
}
static void destroy(void *value)
{
    destroyed++;
    delete static_cast<long *>(value);
    leave();
}

static bool is(const char *which)
{
    return !strcmp(kind, which);
}

static void put(long *value)
{
    pthread_setspecific(own_key, value);
    if (is("word"))
        left_word = value;
    else if (!is("set"))
        pthread_setspecific(left_key, value);
}

// Both have the value of `number`; a key whose value only tasks set has none.
static bool has(long number)
{
    long *own = static_cast<long *>(pthread_getspecific(own_key));
    long *left = is("word") ? left_word : static_cast<long *>(pthread_getspecific(left_key));
    return own && *own == number && (is("set") ? !left : left && *left == number);
}

static long due;
static void look()
{
    wrong += !has(due);
    if (!arms)
        return;
    arms = false;
    leaves = true;
    if (is("set"))
        pthread_setspecific(left_key, new long(99));
    if (sets_too)
        pthread_setspecific(own_key, &due);
}

static void on_timer(uv_timer_t *timer)
{
    uv_close(reinterpret_cast<uv_handle_t *>(timer), nullptr);
    look();
}
static void work(uv_work_t *)
{
}
static void after(uv_work_t *, int)
{
    look();
}

static long one = 1;

static void submit(long number)
{
    static uv_timer_t timers[16];
    static uv_work_t requests[16];
    static long values[16];

    due = values[number] = number;
    put(&values[number]);
    if (!strcmp(what, "timer")) {
        uv_timer_init(loop, &timers[number]);
        uv_timer_start(&timers[number], on_timer, 0, 0);
    } else {
        uv_queue_work(loop, &requests[number], work, after);
    }
    put(&one); // the loop's own
}

static __attribute__((noinline)) void turn()
{
    uv_run(loop, UV_RUN_DEFAULT);
}

static void *owner(void *arg)
{
    loop = static_cast<uv_loop_t *>(arg);
    submit(4);
    turn();
    submit(5);
    arms = true;
    if (!setjmp(out)) {
        try {
            turn();
        } catch (std::exception &) {
            wrong += !has(1); // nothing was handed over since
        }
    }
    wrong += arms || leaves; // it has left
    return nullptr;
}

static uv_loop_t first, second;

int main(int argc, char **argv)
{
    pthread_t thread;
    how = argv[1], what = argv[2], kind = argv[3], sets_too = argc > 4;
    pthread_key_create(&own_key, nullptr);
    pthread_key_create(&left_key, is("set") ? destroy : nullptr);
    uv_loop_init(&first);
    uv_loop_init(&second);
    if (strcmp(how, "exit")) {
        owner(&first);
    } else {
        pthread_create(&thread, nullptr, owner, &first);
        pthread_join(thread, nullptr);
    }
    loop = &second;
    for (long number = 6; number < 12; number++) {
        submit(number);
        turn();
        wrong += !has(1);
    }
    put(nullptr);
    pthread_create(
        &thread, nullptr, [](void *arg) { return arg; },
        nullptr); // lets what is kept for a handoff go
    pthread_join(thread, nullptr);
    printf("wrong %d, left %d and %d, destroyed %d\n", wrong, made, counted, destroyed);
    return wrong || made || counted;
}
