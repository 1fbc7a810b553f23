// A setter that throws, jumps away or ends its thread while values are put back after a task, or a getter before one: what comes after carries as ever.
// libs: libuv
// flags: -rdynamic
// usage: setter_leaves throw|longjmp|exit timer|work [own|get]: the task that is left so has set a key; the getter leaves; items: fn:get=leaves_get,set=leaves_set ; key:leaves_key
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <uv.h>

static thread_local long value;
static thread_local uv_loop_t *loop;
static const char *how, *what;
static bool leaves, gets, sets_own;
static jmp_buf out;
pthread_key_t leaves_key;

static void leave()
{
    if (!strcmp(how, "throw"))
        throw std::runtime_error("left");
    if (!strcmp(how, "longjmp"))
        longjmp(out, 1);
    pthread_exit(nullptr);
}

extern "C" long leaves_get(void)
{
    if (gets && loop) {
        gets = false;
        leave();
    }
    return value;
}

extern "C" void leaves_set(long now)
{
    value = now;
    if (!leaves)
        return;
    leaves = false;
    leave();
}

static long saw_value, saw_key;
static bool arms, gets_first;

// From here on the next set is the one that puts back.
static void look()
{
    saw_value = value;
    saw_key = (long)pthread_getspecific(leaves_key);
    value = 77;
    if (sets_own)
        pthread_setspecific(leaves_key, (void *)78);
    leaves = arms;
    arms = false;
}

static void on_timer(uv_timer_t *)
{
    look();
}
static void work(uv_work_t *)
{
}
static void after(uv_work_t *, int)
{
    look();
}

static void submit(long mine)
{
    static uv_timer_t timers[16];
    static uv_work_t requests[16];

    value = mine;
    pthread_setspecific(leaves_key, (void *)mine);
    if (!strcmp(what, "timer")) {
        uv_timer_init(loop, &timers[mine]);
        uv_timer_start(&timers[mine], on_timer, 0, 0);
    } else {
        uv_queue_work(loop, &requests[mine], work, after);
    }
    value = 1; // the loop's own, which is put back
    pthread_setspecific(leaves_key, (void *)1);
}

static int wrong;

static __attribute__((noinline)) void turn()
{
    uv_run(loop, UV_RUN_DEFAULT);
}

static void *owner(void *arg)
{
    loop = static_cast<uv_loop_t *>(arg);
    if (!strcmp(what, "work")) { // the thread's first is another way in
        submit(4);
        turn();
    }
    submit(5);
    arms = !gets_first;
    gets = gets_first;
    if (!setjmp(out)) {
        try {
            turn();
        } catch (std::exception &) { // nothing was handed over since
            wrong += (long)pthread_getspecific(leaves_key) != 1;
        }
    }
    return nullptr;
}

static uv_loop_t first, second;

int main(int argc, char **argv)
{
    pthread_t thread;
    how = argv[1];
    what = argv[2];
    sets_own = argc > 3 && !strcmp(argv[3], "own");
    gets_first = argc > 3 && !sets_own;
    pthread_key_create(&leaves_key, nullptr);
    uv_loop_init(&first);
    uv_loop_init(&second);
    if (strcmp(how, "exit")) {
        owner(&first);
    } else {
        pthread_create(&thread, nullptr, owner, &first);
        pthread_join(thread, nullptr);
    }
    wrong += leaves || arms || gets; // it has left
    wrong += !strcmp(how, "exit") ? 0 : value != 1;
    loop = &second;
    for (long i = 0; i < 6; i++) {
        submit(6 + i);
        turn();
        wrong += (saw_value != 6 + i) + (saw_key != 6 + i) + (value != 1) +
                 ((long)pthread_getspecific(leaves_key) != 1);
    }
    value = 0;
    pthread_setspecific(leaves_key, nullptr);
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
