/*
 * A callback that runs again and again: by itself, inside of itself, in two threads at once while one changes what it
 * has, left by pthread_exit and by longjmp. usage: hooks_watch
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdio.h>

#define HERE __attribute__((noinline, noclone))

pthread_key_t request_key;
__thread long request_word;
static int wrong;

#ifdef REQUEST_WORD
static void set(long value)
{
    request_word = value;
}

static long get(void)
{
    return request_word;
}
#else
static void set(long value)
{
    pthread_setspecific(request_key, (void *)value);
}

static long get(void)
{
    return (long)pthread_getspecific(request_key);
}
#endif

static void expect(const char *what, long wanted)
{
    if (get() != wanted) {
        printf("%s: %ld, not %ld\n", what, get(), wanted);
        wrong++;
    }
}

typedef void watch_function(void *data);
struct watch {
    watch_function *function;
    void *data;
};

HERE void watch_add(struct watch *watch, watch_function *function, void *data)
{
    watch->function = function;
    watch->data = data;
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
}

static void run(const struct watch *watch)
{
    watch->function(watch->data);
}

static struct watch watch, filler;
static sem_t inside, go_on;
static jmp_buf out;
static enum { LOOK, NEST, CHANGE, WAIT, END, JUMP } what;
static long sets = 600;
static long has = 500; /* 0: what it was registered with, or what another run has set */

static void on_event(void *data)
{
    if (data != &watch)
        wrong++;
    if (!has && (get() == 500 || get() == 600))
        has = get();
    expect("a callback has what it was registered with, or has set", has);
    switch (what) {
    case LOOK:
        break;
    case NEST:
        what = CHANGE;
        run(&watch);
        expect("what a run inside has set is its own", has);
        break;
    case CHANGE:
        set(sets);
        break;
    case WAIT:
        what = CHANGE;
        sem_post(&inside);
        sem_wait(&go_on);
        expect("what another run has set is the other's", 500);
        break;
    case END:
        pthread_exit(NULL);
    case JUMP:
        longjmp(out, 1);
    }
}

static void on_filler(void *data)
{
    (void)data;
    set(1 + (long)pthread_self() % 7);
}

static void *body(void *unused)
{
    (void)unused;
    run(&filler); /* the first run of a thread is never a short one */
    run(&watch);
    return NULL;
}

static pthread_t start(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, body, NULL);
    return thread;
}

/* Whatever memory is free is used again. */
static void use_memory(void)
{
    for (long i = 0; i < 200; i++) {
        set(9000 + i);
        watch_add(&filler, on_filler, &filler); /* twice: what is let go then is not only put by */
        watch_add(&filler, on_filler, &filler);
        run(&filler);
    }
}

int main(void)
{
    pthread_t other;

    pthread_key_create(&request_key, NULL);
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    for (int i = 0; i < 100; i++) { /* it is believed, and some are at hand */
        set(9);
        watch_add(&filler, on_filler, &filler);
        run(&filler);
    }
    set(500);
    watch_add(&watch, on_event, &watch);
    set(3);
    for (int i = 0; i < 1000; i++)
        run(&watch);
    what = NEST;
    run(&watch);
    what = LOOK;
    run(&watch);
    what = WAIT;
    other = start();
    sem_wait(&inside);
    set(3);
    what = CHANGE;
    run(&watch);
    has = 0;
    use_memory();
    set(3);
    sem_post(&go_on);
    pthread_join(other, NULL);
    what = LOOK;
    for (int i = 0; i < 100; i++)
        run(&watch);
    what = CHANGE;
    sets = 700;
    run(&watch);
    has = 700;
    what = LOOK;
    run(&watch);
    what = END;
    pthread_join(start(), NULL);
    what = JUMP;
    if (!setjmp(out))
        run(&watch);
    what = LOOK;
    use_memory();
    set(3);
    for (int i = 0; i < 100; i++)
        run(&watch);
    expect("the thread keeps its own", 3);
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
