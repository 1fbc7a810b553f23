/*
 * The less ordinary shapes: callbacks that run again, a callback whose data is its third argument, two
 * queues that hold the same objects, results in the second register, an item given as an argument,
 * a (function, data) object; and fork with work in flight. usage: hooks_more
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HERE __attribute__((noinline, noclone))

pthread_key_t request_key;
static int wrong;

static void set(long value)
{
    pthread_setspecific(request_key, (void *)value);
}

static long get(void)
{
    return (long)pthread_getspecific(request_key);
}

static void expect(const char *what, long wanted)
{
    if (get() != wanted) {
        printf("%s: %ld, not %ld\n", what, get(), wanted);
        wrong++;
    }
}

static void *in_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, body, argument);
    pthread_join(thread, &result);
    return result;
}

/* ---- repeat ---- */

typedef int watch_function(int fd, int events, void *data);
static struct {
    watch_function *function;
    void *data;
} watches[2];

HERE void watch_add(int which, watch_function *function, void *data)
{
    watches[which].function = function;
    watches[which].data = data;
}

static long runs[2];

static int on_event(int fd, int events, void *data)
{
    long which = (long)data;
    expect("a callback has what it set itself", runs[which] ? 1000 * which + runs[which] : 500 + which);
    set(1000 * which + ++runs[which]);
    return 7;
}

static void *run_watches(void *unused)
{
    set(3);
    for (int i = 0; i < 5; i++)
        for (int which = 0; which < 2; which++)
            if (watches[which].function(1, 2, watches[which].data) != 7)
                wrong++;
    expect("the worker keeps its own", 3);
    return NULL;
}

static void repeating(void)
{
    for (long which = 0; which < 2; which++) {
        set(500 + which);
        watch_add((int)which, on_event, (void *)which);
    }
    set(0);
    in_thread(run_watches, NULL);
    in_thread(run_watches, NULL);
}

/* ---- two queues of the same objects ---- */

static void *slots[2][4];

HERE void first_put(int at, void *item)
{
    slots[0][at] = item;
}

HERE void second_put(void *item, int at)
{
    slots[1][at] = item;
}

struct message {
    long kind;
    void *item;
};

HERE struct message first_get(int at)
{
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory"); /* not to be left out when nobody wants the answer */
    return (struct message){at, slots[0][at]};
}

HERE void second_begin(int at, void *item)
{
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::"r"(at), "r"(item) : "memory");
}

static int objects[4];

static void *take(void *unused)
{
    for (int i = 0; i < 4; i++) {
        struct message message = first_get(i);
        if (message.kind != i || message.item != &objects[i])
            wrong++;
        expect("first queue", 100 + i);
        set(9);
    }
    for (int i = 0; i < 4; i++) {
        second_begin(i, slots[1][i]);
        expect("second queue", 200 + i);
        set(9);
    }
    return NULL;
}

static void queues(void)
{
    for (int i = 0; i < 4; i++) {
        set(100 + i);
        first_put(i, &objects[i]);
        set(200 + i);
        second_put(&objects[i], i);
    }
    set(0);
    in_thread(take, NULL);
}

/* ---- (function, data) ---- */

struct job {
    long number;
    void *data;
    long (*function)(void *data, long factor);
};
static struct job *posted;

HERE void job_post(int unused, struct job *job)
{
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
    posted = job;
}

static long job_function(void *data, long factor)
{
    expect("job", *(long *)data);
    set(8);
    return *(long *)data * factor;
}

static void *run_job(void *unused)
{
    long result = posted->function(posted->data, 3);
    expect("after a job", 0);
    return (void *)result;
}

static void jobs(void)
{
    long numbers[3] = {41, 42, 43};
    struct job job = {0, NULL, job_function};
    for (int i = 0; i < 3; i++) { /* the same object again and again, its field as it was left */
        job.data = &numbers[i];
        set(numbers[i]);
        job_post(0, &job);
        set(0);
        if ((long)in_thread(run_job, NULL) != numbers[i] * 3)
            wrong++;
    }
}

/* ---- a queue whose waiting workers are cancelled ---- */

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_there = PTHREAD_COND_INITIALIZER;
static void *queued[8];
static int queued_count, taken_count, waiting;

static void unlock(void *unused)
{
    waiting--;
    pthread_mutex_unlock(&queue_lock);
}

HERE void queue_put(void *item)
{
    pthread_mutex_lock(&queue_lock);
    queued[queued_count++] = item;
    pthread_cond_signal(&queue_there);
    pthread_mutex_unlock(&queue_lock);
}

HERE void *queue_get(void)
{
    void *item;
    pthread_mutex_lock(&queue_lock);
    waiting++;
    pthread_cleanup_push(unlock, NULL);
    while (taken_count == queued_count)
        pthread_cond_wait(&queue_there, &queue_lock);
    item = queued[taken_count++];
    pthread_cleanup_pop(1);
    return item;
}

static pthread_key_t end_key;
static void at_end(void *unused)
{
    expect("a key's destructor, after the worker has let go", 0);
}

static void *queue_worker(void *unused)
{
    pthread_setspecific(end_key, &end_key);
    for (;;) {
        long *item = queue_get();
        expect("queue", *item);
        set(9);
        *item = 0;
    }
}

static int is_waiting(void)
{
    pthread_mutex_lock(&queue_lock);
    int result = waiting == 1 && taken_count == queued_count;
    pthread_mutex_unlock(&queue_lock);
    return result;
}

static void cancelled(void)
{
    static long items[4];
    pthread_key_create(&end_key, at_end);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, queue_worker, NULL);
        items[i] = 70 + i;
        set(items[i]);
        queue_put(&items[i]);
        set(0);
        while (!is_waiting())
            usleep(100);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        if (items[i] || result != PTHREAD_CANCELED)
            wrong++;
    }
    /* The main thread takes one too, and ends with it. */
    items[0] = 90;
    set(90);
    queue_put(&items[0]);
    set(4);
    queue_get();
    expect("the main thread as a worker", 90);
}

/* ---- fork ---- */

static void forks(void)
{
    for (int i = 0; i < 3; i++) {
        set(100 + i);
        first_put(i, &objects[i]);
    }
    set(5);
    pid_t child = fork();
    if (!child) {
        wrong = 0;
        expect("the child keeps its thread's value", 5);
        struct message message = first_get(0); /* the parent's work: not this process's context */
        expect("not the parent's context", 5);
        set(6);
        first_put(1, message.item);
        set(5);
        first_get(1);
        _exit(wrong);
    }
    int status = -1;
    waitpid(child, &status, 0);
    if (status)
        wrong++;
    for (int i = 0; i < 3; i++) {
        first_get(i);
        expect("the parent's work in the parent", 100 + i);
    }
    first_get(3);
}

int main(void)
{
    pthread_key_create(&request_key, NULL);
    repeating();
    queues();
    jobs();
    forks();
    cancelled();
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
