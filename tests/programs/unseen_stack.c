// A task that goes to another stack by instructions of the program's own, runs a loop there, and comes back.
// usage: unseen_stack
// libs: libuv
#include <stdio.h>
#include <uv.h>

__thread long request_id;

/* Calls FUNCTION on the stack that ends at TOP. */
void on_stack(void (*function)(void), void *top);
#ifdef __x86_64__
__asm__(".text\n.globl on_stack\n.type on_stack,@function\non_stack:\n"
        "push %rbp\nmov %rsp,%rbp\nmov %rsi,%rsp\ncall *%rdi\nmov %rbp,%rsp\npop %rbp\nret\n"
        ".size on_stack,.-on_stack\n");
#else
__asm__(".text\n.globl on_stack\n.type on_stack,%function\non_stack:\n"
        "stp x29,x30,[sp,#-16]!\nmov x29,sp\nmov sp,x1\nblr x0\nmov sp,x29\nldp x29,x30,[sp],#16\nret\n"
        ".size on_stack,.-on_stack\n");
#endif

static char *stack_top;
static long in_timer;

static void on_timer(uv_timer_t *timer)
{
    in_timer = request_id;
}

/* Its callback is attached on that stack, above the task's own. */
static void loop(void)
{
    uv_loop_t inner;
    uv_timer_t timer;

    uv_loop_init(&inner);
    uv_timer_init(&inner, &timer);
    uv_timer_start(&timer, on_timer, 0, 0);
    uv_run(&inner, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&inner, UV_RUN_DEFAULT);
    uv_loop_close(&inner);
}

static void work(uv_work_t *job)
{
    on_stack(loop, stack_top);
}

static void here(uv_work_t *job)
{
    loop();
}

static void run(uv_work_cb task)
{
    static uv_work_t job;

    request_id = 7;
    uv_queue_work(uv_default_loop(), &job, task, NULL);
    request_id = 0;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    _Alignas(64) char room[256 * 1024]; /* of the main thread's stack: above those of all others */

    stack_top = room + sizeof room;
    run(argc > 1 ? here : work);
    printf("the timer saw %ld\n", in_timer);
    return 0;
}
