// A clone or ref function that throws, jumps away or ends its thread when a handoff begins to run: what was taken is given back, and what comes after carries as ever.
// libs: libuv
// flags: -rdynamic
// usage: lend_leaves throw|longjmp|exit timer|work [words|later]: in thread-local pointers in place of keys, or not at the first handoff; items: key:lent_key or tls:lent_word,clone=lent_clone,free=lent_free ; key:left_key or tls:left_word,clone=left_clone,free=lent_free or ref=left_ref,unref=left_unref
#include <atomic>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <uv.h>

static thread_local uv_loop_t *loop;
static thread_local bool leaves; // of the loop's thread alone
static const char *how, *what;
static bool are_words, is_later;
static jmp_buf out;
static std::atomic<int> made, counted;
pthread_key_t lent_key, left_key;
thread_local long *lent_word, *left_word;

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

extern "C" void *lent_clone(void *of)
{
    made++;
    return new long(*static_cast<long *>(of));
}
extern "C" void lent_free(void *copy)
{
    made--;
    delete static_cast<long *>(copy);
}
extern "C" void *left_clone(void *of)
{
    leave();
    return lent_clone(of);
}
extern "C" void left_ref(void *)
{
    leave();
    counted++;
}
extern "C" void left_unref(void *)
{
    counted--;
}

static long saw_lent, saw_left;

static void put(long *value)
{
    if (are_words) {
        lent_word = left_word = value;
    } else {
        pthread_setspecific(lent_key, value);
        pthread_setspecific(left_key, value);
    }
}

static void look(long *lent, long *left)
{
    long *one = are_words ? lent_word : static_cast<long *>(pthread_getspecific(lent_key));
    long *other = are_words ? left_word : static_cast<long *>(pthread_getspecific(left_key));
    *lent = one ? *one : 0;
    *left = other ? *other : 0;
}

static void on_timer(uv_timer_t *timer)
{
    look(&saw_lent, &saw_left);
    uv_close(reinterpret_cast<uv_handle_t *>(timer), nullptr);
}
static void work(uv_work_t *)
{
}
static void after(uv_work_t *, int)
{
    look(&saw_lent, &saw_left);
}

static void submit(long *mine, long *own)
{
    static uv_timer_t timers[16];
    static uv_work_t requests[16];

    put(mine);
    if (!strcmp(what, "timer")) {
        uv_timer_init(loop, &timers[*mine]);
        uv_timer_start(&timers[*mine], on_timer, 0, 0);
    } else {
        uv_queue_work(loop, &requests[*mine], work, after);
    }
    put(own);
}

static __attribute__((noinline)) void turn()
{
    uv_run(loop, UV_RUN_DEFAULT);
}

static long own = 1;
static int wrong;

static void *owner(void *arg)
{
    static long before = 4, mine = 5;
    loop = static_cast<uv_loop_t *>(arg);
    if (is_later) {
        submit(&before, &own);
        turn();
    }
    submit(&mine, &own);
    leaves = true;
    if (!setjmp(out)) {
        try {
            turn();
        } catch (std::exception &) {
        }
    }
    wrong += leaves; // it has left
    return nullptr;
}

static uv_loop_t first, second;

int main(int argc, char **argv)
{
    static long mine[6];
    long lent, left;
    pthread_t thread;
    how = argv[1];
    what = argv[2];
    are_words = argc > 3 && !strcmp(argv[3], "words");
    is_later = argc > 3 && !strcmp(argv[3], "later");
    pthread_key_create(&lent_key, nullptr);
    pthread_key_create(&left_key, nullptr);
    uv_loop_init(&first);
    uv_loop_init(&second);
    if (strcmp(how, "exit")) {
        owner(&first);
    } else {
        pthread_create(&thread, nullptr, owner, &first);
        pthread_join(thread, nullptr);
    }
    loop = &second;
    for (long i = 0; i < 6; i++) {
        mine[i] = 6 + i;
        submit(&mine[i], &own);
        turn();
        look(&lent, &left);
        wrong += (saw_lent != 6 + i) + (saw_left != 6 + i) + (lent != 1) + (left != 1);
    }
    pthread_setspecific(lent_key, nullptr);
    pthread_setspecific(left_key, nullptr);
    lent_word = left_word = nullptr;
    pthread_create(
        &thread, nullptr, [](void *arg) { return arg; },
        nullptr); // lets what is kept for a handoff go
    pthread_join(thread, nullptr);
    printf("wrong %d, left %d and %d\n", wrong, made.load(), counted.load());
    return wrong || made || counted;
}
