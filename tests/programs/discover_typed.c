// A server whose workers do always the same: they take a struct and call one function with it, by its name. What puts it
// there has a part that hardly ever runs, which compilers put elsewhere. Says how many jobs saw their request.
// usage: discover_typed [condition|pipe|socket|writev], by which workers are woken; log: they write lines and need nothing
// flags: -g -O2
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rest.h"

enum { WORKERS = 2, JOBS = 40 };

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct job *first, **last;
    int read_from, write_to;
};

struct job {
    long request;
    struct job *next;
};

static struct queue queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &queue.first, -1, -1};
static const char *mode = "condition";
static int right, wrong, lines;

static __thread long current_request;
static __thread unsigned long done; /* a counter */
static __thread long last_length;   /* a cache */

__attribute__((noinline)) static long log_request(void)
{
    return current_request;
}

__attribute__((noinline)) void handle_job(struct job *job)
{
    done++;
    last_length = job->request % 7;
    __atomic_add_fetch(log_request() == job->request ? &right : &wrong, 1, __ATOMIC_RELAXED);
}

__attribute__((noinline)) void write_line(struct job *job)
{
    done++;
    last_length = job->request % 7;
    __atomic_add_fetch(&lines, 1, __ATOMIC_RELAXED);
}

__attribute__((noinline)) void queue_push(struct job *job, struct queue *to)
{
    struct iovec part = {&job, sizeof job};
    ssize_t written = sizeof job;

    if (!strcmp(mode, "pipe"))
        written = write(to->write_to, &job, sizeof job);
    else if (!strcmp(mode, "socket"))
        written = send(to->write_to, &job, sizeof job, 0);
    else if (!strcmp(mode, "writev"))
        written = writev(to->write_to, &part, 1);
    else {
        pthread_mutex_lock(&to->lock);
        *to->last = job;
        to->last = &job->next;
        pthread_cond_signal(&to->wanted);
        pthread_mutex_unlock(&to->lock);
    }
    if (written != sizeof job)
        abort();
}

__attribute__((noinline)) struct job *queue_pop(struct queue *from)
{
    struct job *job = NULL;

    if (from->read_from >= 0) {
        struct iovec part = {&job, sizeof job};
        ssize_t got = !strcmp(mode, "socket")   ? recv(from->read_from, &job, sizeof job, 0)
                      : !strcmp(mode, "writev") ? readv(from->read_from, &part, 1)
                                                : read(from->read_from, &job, sizeof job);

        return got == sizeof job ? job : NULL;
    }
    pthread_mutex_lock(&from->lock);
    while (!from->first)
        pthread_cond_wait(&from->wanted, &from->lock);
    job = from->first;
    from->first = job->next;
    if (!from->first)
        from->last = &from->first;
    pthread_mutex_unlock(&from->lock);
    return job;
}

static void *worker(void *arg)
{
    struct job *job;

    while ((job = queue_pop(arg)) && job->request) {
        handle_job(job);
        free(job);
    }
    free(job);
    return NULL;
}

static void *writer(void *arg)
{
    struct job *job;

    while ((job = queue_pop(arg)) && job->request) {
        write_line(job);
        free(job);
    }
    free(job);
    return NULL;
}

static void submit(long request)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        exit(2);
    job->request = request;
    queue_push(job, &queue);
}

int main(int argc, char **argv)
{
    pthread_t threads[WORKERS];
    int ends[2] = {-1, -1};

    mode = argc > 1 ? argv[1] : mode;
    if (!strcmp(mode, "socket") ? socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends)
        : !strcmp(mode, "pipe") || !strcmp(mode, "writev") ? pipe(ends)
                                                           : 0)
        return 2;
    queue.read_from = ends[0];
    queue.write_to = ends[1];
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, strcmp(mode, "log") ? worker : writer, &queue);
    for (long request = 1; request <= JOBS; request++) {
        if (request % 4 == 1)
            let_rest();
        current_request = request;
        submit(request);
        current_request = 0;
        done++;
    }
    for (int i = 0; i < WORKERS; i++)
        submit(0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    if (lines)
        printf("%d lines\n", lines);
    else
        printf("right %d wrong %d\n", right, wrong);
    return wrong != 0;
}
