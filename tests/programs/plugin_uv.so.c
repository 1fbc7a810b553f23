// A plugin that brings its own libuv beside it, as closed ones do: two of them are two copies of libuv.
// libs: libuv
// link: -Wl,-rpath,$ORIGIN
#include <pthread.h>
#include <stdio.h>
#include <uv.h>

static pthread_key_t plugin_key;
static long work_saw, after_saw;

__attribute__((constructor)) static void plugin_load(void)
{
    pthread_key_create(&plugin_key, NULL);
}

static void work(uv_work_t *request)
{
    work_saw = (long)pthread_getspecific(plugin_key);
}

static void after(uv_work_t *request, int status)
{
    after_saw = (long)pthread_getspecific(plugin_key);
}

int plugin_run(const char *name, long value)
{
    uv_work_t request;
    uv_loop_t loop;
    uv_loop_init(&loop);
    pthread_setspecific(plugin_key, (void *)value);
    uv_queue_work(&loop, &request, work, after);
    pthread_setspecific(plugin_key, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    printf("%s: work sees %ld, after sees %ld\n", name, work_saw, after_saw);
    return work_saw != value || after_saw != value;
}
