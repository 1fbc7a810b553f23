// Tasks that end in every way: exception, pthread_exit, cancellation, longjmp; workers keep their own
// values. usage: hooks_ends
#include <csetjmp>
#include <cstdio>
#include <pthread.h>
#include <stdexcept>

pthread_key_t request_key;
static int wrong;

struct item {
    void (*run)(item *self);
    long number;
};

extern "C" __attribute__((noinline)) void item_submit(item **place, item *given)
{
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
    *place = given;
}

extern "C" __attribute__((noinline, aligned(64))) void item_run(item *task)
{
    task->run(task);
    __asm__ volatile("" ::: "memory");
}

static long current()
{
    return (long)pthread_getspecific(request_key);
}

static void see(item *task)
{
    if (current() != task->number)
        wrong++;
    pthread_setspecific(request_key, (void *)(task->number + 90000));
}

static void throws(item *task)
{
    see(task);
    throw std::runtime_error("task");
}

static jmp_buf out;
static void jumps(item *task)
{
    see(task);
    longjmp(out, 1);
}

static void exits(item *task)
{
    see(task);
    pthread_exit(nullptr);
}

static volatile int is_waiting;
static void waits(item *task)
{
    see(task);
    is_waiting = 1;
    for (;;)
        pthread_testcancel();
}

static item *queue;

// A key destructor runs after the task is over: it must not see the task's value.
static pthread_key_t last_key;
static void at_end(void *)
{
    if (current() >= 90000)
        wrong++;
}

static void *thread_body(void *)
{
    pthread_setspecific(last_key, (void *)1);
    item_run(queue);
    return nullptr;
}

static void in_thread(void (*run)(item *), long number)
{
    item task = {run, number};
    pthread_t thread;
    pthread_setspecific(request_key, (void *)number);
    item_submit(&queue, &task);
    pthread_setspecific(request_key, nullptr);
    is_waiting = 0;
    pthread_create(&thread, nullptr, thread_body, nullptr);
    if (run == waits) {
        while (!is_waiting)
            ;
        pthread_cancel(thread);
    }
    pthread_join(thread, nullptr);
}

int main()
{
    pthread_key_create(&request_key, nullptr);
    pthread_key_create(&last_key, at_end);
    for (volatile long i = 1; i <= 300; i++) {
        item task = {i % 2 ? throws : see, i};
        pthread_setspecific(request_key, (void *)i);
        item_submit(&queue, &task);
        pthread_setspecific(request_key, (void *)9);
        try {
            item_run(queue);
        } catch (const std::exception &) {
        }
        if (current() != 9)
            wrong++;
        task.run = jumps;
        pthread_setspecific(request_key, (void *)i);
        item_submit(&queue, &task);
        pthread_setspecific(request_key, (void *)9);
        if (!setjmp(out))
            item_run(queue);
        item_submit(&queue, &task); // a handoff: what the jump has left is found
    }
    for (long i = 1; i <= 30; i++) {
        in_thread(exits, 1000 + i);
        in_thread(waits, 2000 + i);
    }
    std::printf("wrong %d\n", wrong);
    return wrong != 0;
}
