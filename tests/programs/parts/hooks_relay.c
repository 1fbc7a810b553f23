/*
 * A pool whose submit function hands on to another one that is named too, and whose worker has inherited a value that
 * it must have again after each task. A third one is called with something in vector registers, which it leaves alone.
 * The task's argument may be taken for an object, too, that task_run runs.
 * usage: hooks_relay [key|tls [inherited|object]]
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

enum { TASKS = 1500 };

pthread_key_t request_key;
__thread long request_id;
__thread char request_more[24]; /* no word that stands alone */
static int uses_tls;
static volatile struct {
    void (*function)(void *);
    void *argument;
} ring[TASKS];
static int last;
static sem_t waiting, done;
static long wrong, lost, registers;

static void set(long value)
{
    if (!uses_tls) {
        pthread_setspecific(request_key, (void *)value);
        return;
    }
    request_id = value;
    memset(request_more, (int)value & 0x7f, sizeof request_more);
}

static int has(long value)
{
    char more[sizeof request_more];

    if (!uses_tls)
        return pthread_getspecific(request_key) == (void *)value;
    memset(more, (int)value & 0x7f, sizeof more);
    return request_id == value && !memcmp(more, request_more, sizeof more);
}

/* It touches no vector register. */
__attribute__((noinline)) void leaf_submit(void (*function)(void *), void *argument)
{
    ring[last].function = function;
    ring[last].argument = argument;
    last++;
}

__attribute__((noinline)) void inner_submit(void (*function)(void *), void *argument)
{
    ring[last].function = function;
    ring[last++].argument = argument;
    sem_post(&waiting);
}

__attribute__((noinline)) void relay_submit(void (*function)(void *), void *argument)
{
    inner_submit(function, argument);
    __asm__ volatile("" ::: "memory");
}

#ifdef __x86_64__
#define CALL_WITH(move, register)                                                                                                                         \
    __asm__ volatile(                                                                                                                                     \
        "leaq -128(%%rsp), %%rsp\n" move                                                                                                                  \
        " (%%rbx), %%" register "0\n" move                                                                                                                \
                                " 32(%%rbx), %%" register "1\n" move                                                                                      \
                                                          " 64(%%rbx), %%" register "2\n"                                                                 \
                                                                                    "call "                                                               \
                                                                                    "leaf_"                                                               \
                                                                                    "submit"                                                              \
                                                                                    "\n" move                                                             \
                                                                                    " %%" register "0, (%%rbx)\n" move                                    \
                                                                                                   " %%" register "1, 32(%%rbx)\n" move                   \
                                                                                                                  " %%" register "2, 64(%%rbx)\n"         \
                                                                                                                                 "leaq 128(%%rsp), %%rsp" \
        : "+D"(function), "+S"(argument)                                                                                                                  \
        : "b"(values)                                                                                                                                     \
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "memory", "cc")

static void submit_with_vectors(void (*function)(void *), void *argument)
{
    unsigned char values[96], before[96];

    for (unsigned i = 0; i < sizeof values; i++)
        values[i] = before[i] = (unsigned char)(i * 7 + last);
    if (__builtin_cpu_supports("avx"))
        CALL_WITH("vmovdqu", "ymm");
    else
        CALL_WITH("movdqu", "xmm");
    registers += memcmp(values, before, sizeof values) != 0;
    sem_post(&waiting);
}
#else
static void submit_with_vectors(void (*function)(void *), void *argument)
{
    leaf_submit(function, argument);
    sem_post(&waiting);
}
#endif

__attribute__((noinline)) void task_run(void *argument)
{
    wrong += !has((long)argument);
    sem_post(&done);
}

static void *work(void *unused)
{
    (void)unused;
    set(-1);
    for (int i = 0; i < TASKS; i++) {
        sem_wait(&waiting);
        ring[i].function(ring[i].argument);
        lost += !has(-1);
    }
    return NULL;
}

static void *submit_all(void *unused)
{
    void (*const ways[])(void (*)(void *), void *) = {relay_submit, inner_submit,
                                                      submit_with_vectors};
    long value = 0;

    (void)unused;
    for (long i = 0; i < TASKS; i++) {
        if (i % 7 == 0) /* several of one context, by each way */
            set(value = i + 1);
        ways[i % 3](task_run, (void *)value);
        sem_wait(&done);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t worker, submitter;

    uses_tls = argc > 1 && !strcmp(argv[1], "tls");
    sem_init(&waiting, 0, 0);
    sem_init(&done, 0, 0);
    pthread_key_create(&request_key, NULL);
    set(-2);
    pthread_create(&worker, NULL, work, NULL);
    if (argc > 2 && !strcmp(argv[2], "inherited")) { /* by a thread that has inherited */
        pthread_create(&submitter, NULL, submit_all, NULL);
        pthread_join(submitter, NULL);
    } else {
        submit_all(NULL);
    }
    pthread_join(worker, NULL);
    printf("wrong %ld lost %ld registers %ld\n", wrong, lost, registers);
    return wrong || lost || registers;
}
