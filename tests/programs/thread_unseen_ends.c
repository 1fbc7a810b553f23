// However a thread ends of which nobody unwinds the frames, its values are destroyed as ever and nothing is left.
// usage: thread_unseen_ends exit|c11|cancel|coroutine [own|owner]   own: the thread has set a value; owner: who started it ends
// flags: -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-exceptions
#include "carrier.h"
#include <ucontext.h>

static int is_own, is_waiting;
static ucontext_t outside, inside;

static void gone(void *value)
{
    printf("destroyed %s, the key is %s\n", (char *)value,
           pthread_getspecific(request_key) ? "set" : "empty");
}

static void begin(void)
{
    if (is_own)
        pthread_setspecific(request_key, "T");
}

static void *leave(void *arg)
{
    begin();
    pthread_exit(arg);
}

static int leave_c11(void *unused)
{
    begin();
    thrd_exit(3);
}

static void *wait_for_it(void *unused)
{
    begin();
    __atomic_store_n(&is_waiting, 1, __ATOMIC_RELEASE);
    while (pause())
        ;
    return NULL;
}

static void in_coroutine(void)
{
    begin();
    pthread_exit(NULL);
}

static void *run_coroutine(void *stack)
{
    begin();
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = 65536;
    inside.uc_link = &outside;
    makecontext(&inside, in_coroutine, 0);
    swapcontext(&outside, &inside);
    return NULL;
}

static const char *mode = "exit";

static void *start_them(void *value)
{
    pthread_setspecific(request_key, value);
    for (int i = 0; i < 3; i++) {
        void *stack = malloc(65536);
        pthread_t thread;
        thrd_t other;
        int result = 3;

        if (!strcmp(mode, "c11")) {
            thrd_create(&other, leave_c11, NULL);
            thrd_join(other, &result);
        } else {
            pthread_create(&thread, NULL,
                           !strcmp(mode, "exit")     ? leave
                           : !strcmp(mode, "cancel") ? wait_for_it
                                                     : run_coroutine,
                           stack);
            if (!strcmp(mode, "cancel")) {
                while (!__atomic_exchange_n(&is_waiting, 0, __ATOMIC_ACQUIRE))
                    sleep_ms(1);
                pthread_cancel(thread);
            }
            pthread_join(thread, NULL);
        }
        free(stack);
        printf("%d joined\n", result);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *who = argc > 2 ? argv[2] : "";
    pthread_t owner;

    if (argc > 1)
        mode = argv[1];
    is_own = !strcmp(who, "own");
    setvbuf(stdout, NULL, _IONBF, 0);
    pthread_key_create(&request_key, gone);
    if (strcmp(who, "owner") != 0) {
        start_them("M");
        pthread_exit(NULL);
    }
    pthread_create(&owner, NULL, start_them, "O"); /* its value is shown to those that it starts */
    pthread_join(owner, NULL);
    printf("the owner has ended\n");
    return 0;
}
