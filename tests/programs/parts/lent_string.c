/* Tasks of one worker look at their submitter's string: as it is, written to by the one before, taken over by it, longer. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

pthread_key_t request_key;
static char text[64];

static const char *request(void)
{
    const char *string = pthread_getspecific(request_key);

    return string ? string : "nothing";
}

static void look(uv_work_t *work)
{
    (void)work;
    printf(" %s", request());
}

static void write_to(uv_work_t *work)
{
    char *string = pthread_getspecific(request_key);

    look(work);
    if (string)
        string[0] = 'X';
}

static void take_over(uv_work_t *work)
{
    look(work);
    if (pthread_getspecific(request_key) != text)
        free(pthread_getspecific(request_key));
    pthread_setspecific(request_key, NULL);
}

static void done(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
    request();
}

static void run(const char *value, void (*task)(uv_work_t *))
{
    uv_work_t work;

    strcpy(text, value);
    uv_queue_work(uv_default_loop(), &work, task, done);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(void)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, text);
    run("one", look);
    run("one", look);
    run("one", write_to);
    run("one", look);
    run("one", take_over);
    run("one", look);
    run("much longer than what there was room for until now", look);
    run("two", look);
    puts("");
    return 0;
}
