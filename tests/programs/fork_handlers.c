// Fork handlers that were registered before anybody else's hand work over, before the fork and in the child, and wait for
// some of it right there.
// usage: fork_handlers [CARRIER]
#include "carrier.h"
#include <sys/wait.h>

static long seen[4];

static void *body(void *place)
{
    *(long *)place = current();
    return NULL;
}

static pthread_t threads[4];

static void hand_over(int number)
{
    pthread_key_t key;
    pthread_t waited;
    long there = -1;
    seen[number] = -1;
    pthread_key_create(&key, free);
    set_current(current() + 1); /* a new snapshot for the thread */
    if (pthread_create(&threads[number], NULL, body, &seen[number]) != 0)
        abort();
    if (pthread_create(&waited, NULL, body, &there) != 0)
        abort();
    pthread_join(waited, NULL);
    expect("waited for", there, current());
    pthread_key_delete(key);
}

static long seen_by(int number)
{
    pthread_join(threads[number], NULL);
    return seen[number];
}

static void prepare(void)
{
    hand_over(0);
}

static void parent(void)
{
    hand_over(1);
}

static void child(void)
{
    end_if_left();
    hand_over(2);
}

static void preinit(int argc, char **argv, char **environment)
{
    pthread_atfork(prepare, parent, child);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char **, char **) = preinit;

int main(int argc, char **argv)
{
    int status;
    carrier_choose(argc > 1 ? argv[1] : "key");
    for (int i = 0; i < 20; i++) {
        set_current(10);
        fflush(stdout);
        end_if_left();
        pid_t pid = fork();
        if (pid == 0) {
            expect("in the child", seen_by(2), 12);
            hand_over(3);
            expect("in the child, later", seen_by(3), 13);
            fflush(stdout);
            _exit(verdict());
        }
        waitpid(pid, &status, 0);
        expect("child's status", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
        expect("before the fork", seen_by(0), 11);
        expect("in the parent", seen_by(1), 12);
        hand_over(3);
        expect("in the parent, later", seen_by(3), 13);
    }
    set_current(0);
    return verdict();
}
