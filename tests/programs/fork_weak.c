// A child of fork does not look for what threads of its parent kept in their memory, which is not there.
// usage: fork_weak: the value is its owner's, so the child's own tasks have none; the task that forked still has it
#include "carrier.h"
#include <sys/mman.h>
#include <sys/wait.h>

__thread void *item_tls;
static struct gate started = GATE_CLOSED, ends = GATE_CLOSED;
static long item = 7, in_child = -1;

static long seen(void)
{
    return item_tls ? *(long *)item_tls : 0;
}

static void *body(void *arg)
{
    in_child = seen();
    return NULL;
}

static void *task(void *arg)
{
    pthread_t id;
    int status = -1;
    pid_t child;
    expect("the task has", seen(), 7);
    gate_wait(&started);
    child = fork();
    if (child == 0) {
        munmap(*(void **)arg, 1 << 20); /* what becomes of the stacks of threads that are not there */
        pthread_create(&id, NULL, body, NULL);
        pthread_join(id, NULL);
        _exit(seen() == 7 ? in_child : 100);
    }
    waitpid(child, &status, 0);
    expect("in the child", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    gate_open(&ends);
    return NULL;
}

static void *owner(void *memory)
{
    pthread_t id;
    item_tls = &item;
    pthread_create(&id, NULL, task, memory);
    gate_wait(&ends);
    pthread_join(id, NULL);
    item_tls = NULL;
    return NULL;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t id;
    void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory, 1 << 20);
    pthread_create(&id, &attributes, owner, &memory);
    gate_await(&started, 1);
    gate_open(&started);
    pthread_join(id, NULL);
    return verdict();
}
