// promise: a value that is held is each task's own where a thread-local word is carried beside it
// libs: libuv
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

pthread_key_t text_key;
__thread long request_word;

static void work(uv_work_t *request)
{
    char *text = pthread_getspecific(text_key);

    printf("%ld %s\n", request_word, text ? text : "none");
    if (text)
        text[0] = 'X'; /* its own */
}

static void after(uv_work_t *request, int status)
{
    (void)request;
    (void)status;
}

int main(void)
{
    static char text[8];
    uv_work_t requests[3];

    pthread_key_create(&text_key, NULL);
    pthread_setspecific(text_key, text);
    for (int i = 0; i < 3; i++) {
        strcpy(text, i ? "two" : "one"); /* in place: the key is not set again */
        request_word = 1;
        uv_queue_work(uv_default_loop(), &requests[i], work, after);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    printf("own %s\n", text);
    return 0;
}
