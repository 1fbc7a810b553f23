// However a thread ends, what it borrowed is not destroyed with it; what it set itself is.
// usage: thread_ends MODE [pthread|c11]
// The slot is a pthread key with a destructor that counts.
#include "carrier.h"
#include <csetjmp>
#include <exception>
#include <future>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <threads.h>

pthread_key_t owned_key;
static int destroyed[4]; /* by value; 1 = borrowed from main, 2 = the thread's own */
static long seen_at_start, seen_in_cleanup = -1, seen_late = -1;
static std::string mode;
static struct gate gate = GATE_CLOSED;

static void destroy(void *value)
{
    __atomic_add_fetch(&destroyed[(long)value], 1, __ATOMIC_RELAXED);
}

struct local {
    ~local()
    {
        seen_in_cleanup = (long)pthread_getspecific(owned_key);
    }
};

/* Runs after the start routine is left: the thread has given back by then what it borrowed. */
struct late {
    int touched = 0;
    ~late()
    {
        seen_late = (long)pthread_getspecific(owned_key);
    }
};
static thread_local late late_object;

static jmp_buf inside;

static void leave(bool c11)
{
    local guard;
    late_object.touched = 1;
    seen_at_start = (long)pthread_getspecific(owned_key);
    if (mode == "own")
        pthread_setspecific(owned_key, (void *)2);
    if (mode == "emptied")
        pthread_setspecific(owned_key, nullptr);
    if (mode == "exit") {
        if (c11)
            thrd_exit(0);
        pthread_exit(nullptr);
    }
    if (mode == "cancel")
        for (;;)
            sleep_ms(1000);
    if (mode == "caught") {
        try {
            throw std::runtime_error("inside");
        } catch (std::exception &) {
        }
    }
    if (mode == "longjmp" && setjmp(inside) == 0)
        longjmp(inside, 1);
}

static void *body(void *)
{
    leave(false);
    return (void *)33;
}

/* Cancelled in the middle of nothing: no C++ object may stand in this frame. */
static void *body_spin(void *)
{
    seen_at_start = (long)pthread_getspecific(owned_key);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
    gate_open(&gate);
    for (volatile long spin = 0;; spin++)
        ;
    return nullptr;
}

static int body_c11(void *)
{
    leave(true);
    return 33;
}

int main(int argc, char **argv)
{
    mode = argc > 1 ? argv[1] : "return";
    bool c11 = argc > 2 && !strcmp(argv[2], "c11");
    pthread_attr_t attributes;
    pthread_key_create(&owned_key, destroy);
    pthread_attr_init(&attributes);
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        thrd_t c11_thread;
        seen_at_start = 0;
        if (mode == "detached")
            pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_setspecific(owned_key, (void *)1);
        if (c11)
            thrd_create(&c11_thread, body_c11, nullptr);
        else
            pthread_create(&thread, &attributes, mode == "cancel_async" ? body_spin : body, nullptr);
        if (mode == "cancel") {
            let_rest();
            pthread_cancel(thread);
        } else if (mode == "cancel_async") {
            gate_wait(&gate);
            sleep_ms(5);
            pthread_cancel(thread);
        } else if (mode == "cancel_first") {
            pthread_cancel(thread);
        }
        if (mode == "detached" || mode == "never_joined") {
            let_rest();
        } else if (c11) {
            thrd_join(c11_thread, nullptr);
        } else {
            void *result = nullptr;
            pthread_join(thread, &result);
            if (mode == "return")
                expect("result", (long)result, 33);
        }
        if (mode != "cancel_first") {
            expect("thread sees", seen_at_start, 1);
            if (mode != "cancel_async") {
                expect("its cleanup sees", seen_in_cleanup, mode == "own" ? 2 : mode != "emptied");
                expect("its thread_local sees", seen_late, mode == "own" ? 2 : 0);
            }
        }
        expect("borrowed value destroyed", destroyed[1], 0);
        expect("own value destroyed", destroyed[2], mode == "own" ? round + 1 : 0);
        expect("main still has", (long)pthread_getspecific(owned_key), 1);
    }
    pthread_setspecific(owned_key, nullptr);
    return verdict();
}
