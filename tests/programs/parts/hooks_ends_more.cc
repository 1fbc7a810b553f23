// Tasks that return, throw, exit their thread, are cancelled in it or jump out, handed over as a callback,
// in an object's field and as a std::function. What a task leaves in a key with a destructor is destroyed.
#include <csetjmp>
#include <cstdio>
#include <functional>
#include <pthread.h>
#include <stdexcept>
#include <unistd.h>

pthread_key_t request_key;
static int wrong, ran, destroyed, way;
static thread_local jmp_buf out;

static long current()
{
    return (long)pthread_getspecific(request_key);
}

static void set(long value)
{
    pthread_setspecific(request_key, (void *)value);
}

static void expect(const char *what, long value, long wanted)
{
    if (value != wanted) {
        std::printf("%s: %ld, not %ld\n", what, value, wanted);
        wrong++;
    }
}

struct Object {
    Object *next;
    void (*run)(Object *);
    long number;
};

// What waits: one at a time.
static struct {
    void (*function)(void *);
    void *argument;
    Object *object;
    std::function<void()> callable;
} waiting;

extern "C" {
__attribute__((noinline)) void ends_call(void (*function)(void *), void *argument)
{
    waiting.function = function;
    waiting.argument = argument;
}

__attribute__((noinline)) void ends_field(Object *object)
{
    waiting.object = object;
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
}

__attribute__((noinline)) void ends_callable(const std::function<void()> &callable)
{
    waiting.callable = callable;
}
}

static void task(long number)
{
    expect("task", current(), number);
    ran++;
    set(4444);
    switch (way) {
    case 1:
        throw std::runtime_error("task");
    case 2:
        pthread_exit((void *)5L);
    case 3:
        for (;;)
            pause();
    case 4:
        longjmp(out, 1);
    }
}

static void run()
{
    if (waiting.function)
        waiting.function(waiting.argument);
    else if (waiting.object)
        waiting.object->run(waiting.object);
    else
        waiting.callable();
    __asm__ volatile("" ::: "memory");
}

static void destroy(void *value)
{
    if ((long)value == 4444)
        __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
    else
        expect("destructor", (long)value, 31);
}

static void *worker(void *)
{
    set(31);
    if (way == 4) {
        if (!setjmp(out))
            run();
    } else {
        try {
            run();
        } catch (const std::exception &) {
        }
        expect("after the task", current(), 31);
    }
    set(31);
    return nullptr;
}

int main()
{
    pthread_key_create(&request_key, destroy);
    for (way = 0; way <= 4; way++)
        for (int kind = 0; kind < 3; kind++)
            for (long i = 1; i <= 20; i++) {
                Object object{nullptr, [](Object *self) { task(self->number); }, i};
                waiting = {};
                set(i);
                if (kind == 0)
                    ends_call([](void *argument) { task((long)argument); }, (void *)i);
                else if (kind == 1)
                    ends_field(&object);
                else
                    ends_callable([i] { task(i); });
                set(0);
                pthread_t thread;
                void *result;
                pthread_create(&thread, nullptr, worker, nullptr);
                if (way == 3) {
                    usleep(1000);
                    pthread_cancel(thread);
                }
                pthread_join(thread, &result);
                expect("result", (long)result, way == 2 ? 5 : way == 3 ? (long)PTHREAD_CANCELED : 0);
            }
    waiting = {};
    std::printf("ran %d wrong %d destroyed %d\n", ran, wrong, destroyed);
    return wrong != 0;
}
