/* Two libraries (-DNAME=a, -DNAME=b) each have a function of the same name that nobody else can name; and their user. */
#define JOIN_AS(a, b) a##b
#define JOIN(a, b) JOIN_AS(a, b)
#ifdef NAME
static void (*kept)(void *);
static void *kept_data;

__attribute__((noinline, visibility("hidden"))) int hand_over(void *pool, void (*function)(void *),
                                                              void *data)
{
    __asm__ volatile(".nops 8" : "+r"(pool), "+r"(function), "+r"(data));
    kept = function;
    kept_data = data;
    return pool != (void *)0;
}

int JOIN(go_, NAME)(void (*function)(void *), void *data)
{
    int done = hand_over(&kept, function, data);
    __asm__ volatile("" : : : "memory");
    return done;
}

void JOIN(run_, NAME)(void)
{
    kept(kept_data);
}
#else
#include <pthread.h>
#include <stdio.h>

__thread long request_id;
static int ran, wrong;
int go_a(void (*)(void *), void *), go_b(void (*)(void *), void *);
void run_a(void), run_b(void);

static void task(void *data)
{
    ran++;
    wrong += request_id != (long)data;
}

static void *work(void *none)
{
    run_a();
    run_b();
    return none;
}

int main(void)
{
    for (long i = 1; i <= 50; i++) {
        pthread_t thread;
        request_id = i;
        go_a(task, (void *)i);
        request_id = i + 100;
        go_b(task, (void *)(i + 100));
        request_id = 0;
        pthread_create(&thread, NULL, work, NULL);
        pthread_join(thread, NULL);
    }
    printf("ran %d wrong %d\n", ran, wrong);
    return wrong != 0;
}
#endif
