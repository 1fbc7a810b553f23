// A server with a pool of its own, whose two keys come from one function and stand in no variable; the second is its
// context. It deletes both when it is done. Says how many tasks saw their request.
#include <pthread.h>
#include <stdio.h>

enum { REQUESTS = 40, HIDDEN = 0x5a5a5a };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static void (*work)(void *arg);
static void *work_arg;
static unsigned hidden[2];
static int is_closed, right, wrong;

__attribute__((noinline)) unsigned make_key(void)
{
    pthread_key_t key;

    pthread_key_create(&key, NULL);
    return key ^ HIDDEN;
}

__attribute__((noinline)) void pool_submit(void (*run)(void *arg), void *arg)
{
    pthread_mutex_lock(&lock);
    work = run;
    work_arg = arg;
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);
}

static void *worker(void *unused)
{
    pthread_setspecific(hidden[0] ^ HIDDEN, &lock);
    pthread_mutex_lock(&lock);
    for (;;) {
        void (*run)(void *arg);

        while (!(run = work) && !is_closed)
            pthread_cond_wait(&wanted, &lock);
        if (!run)
            break;
        work = NULL;
        pthread_mutex_unlock(&lock);
        run(work_arg);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

static void task(void *arg)
{
    int is_right = pthread_getspecific(hidden[1] ^ HIDDEN) == arg;

    pthread_mutex_lock(&lock);
    *(is_right ? &right : &wrong) += 1;
    pthread_cond_signal(&finished);
    pthread_mutex_unlock(&lock);
}

int main(void)
{
    pthread_t thread;

    for (int i = 0; i < 2; i++)
        hidden[i] = make_key();
    pthread_create(&thread, NULL, worker, NULL);
    for (long request = 1; request <= REQUESTS; request++) {
        pthread_setspecific(hidden[1] ^ HIDDEN, (void *)request);
        pool_submit(task, (void *)request);
        pthread_mutex_lock(&lock);
        while (right + wrong < request)
            pthread_cond_wait(&finished, &lock);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    is_closed = 1;
    pthread_cond_broadcast(&wanted);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++)
        pthread_key_delete(hidden[i] ^ HIDDEN);
    printf("right %d wrong %d\n", right, wrong);
    return right != REQUESTS;
}
