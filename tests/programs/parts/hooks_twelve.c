/* Functions of twelve arguments: a submit, a run; and a callback that a new stack begins with. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

pthread_key_t request_key;
static int ran, wrong;
static void (*waiting)(void *);
static void *waiting_data;

#define TWELVE long d, long e, long f, long g, long h, long i, long j, long k, long l
#define NUMBERS 4, 5, 6, 7, 8, 9, 10, 11, 12
#define EXPECT()                                                                                        \
    (wrong += d != 4 || e != 5 || f != 6 || g != 7 || h != 8 || i != 9 || j != 10 || k != 11 || l != 12)

__attribute__((noinline)) long twelve_submit(void *pool, void (*function)(void *), void *data, TWELVE)
{
    EXPECT();
    waiting = function;
    waiting_data = data;
    return l + k;
}

__attribute__((noinline)) void twelve_put(void *object, void *unused, void *unused_too, TWELVE)
{
    EXPECT();
    __asm__ volatile("" ::"r"(object) : "memory");
}

__attribute__((noinline)) void twelve_run(void *object, void *unused, void *unused_too, TWELVE)
{
    EXPECT();
    ran++;
    wrong += pthread_getspecific(request_key) != object;
}

static void task(void *data)
{
    ran++;
    wrong += pthread_getspecific(request_key) != data;
}

static void *worker(void *object)
{
    if (object)
        twelve_run(object, NULL, NULL, NUMBERS);
    else
        waiting(waiting_data);
    return NULL;
}

/* The callback is called with nothing above it but the end of what is mapped. */
static void begin_with_it(void)
{
    static ucontext_t here, there;
    size_t size = 1 << 16;
    char *memory = mmap(NULL, size + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory, size, PROT_READ | PROT_WRITE);
    getcontext(&there);
    there.uc_stack.ss_sp = memory;
    there.uc_stack.ss_size = size;
    there.uc_link = &here;
    makecontext(&there, (void (*)(void))waiting, 1, waiting_data);
    swapcontext(&here, &there);
}

int main(void)
{
    pthread_key_create(&request_key, NULL);
    for (long number = 1; number <= 100; number++) {
        pthread_t thread;
        pthread_setspecific(request_key, (void *)number);
        if (number % 2)
            wrong += twelve_submit(NULL, task, (void *)number, NUMBERS) != 23;
        else
            twelve_put((void *)number, NULL, NULL, NUMBERS);
        pthread_setspecific(request_key, NULL);
        if (number % 4 == 1) {
            begin_with_it();
        } else {
            pthread_create(&thread, NULL, worker, number % 2 ? NULL : (void *)number);
            pthread_join(thread, NULL);
        }
    }
    printf("ran %d wrong %d\n", ran, wrong);
    return wrong != 0;
}
