// A getter or clone function that throws, jumps away or ends its thread: the handoffs after it carry as ever, from whatever frame.
// flags: -rdynamic
// usage: getter_leaves throw|longjmp|exit [later]: at the first handoff, or at one that finds all unchanged; items: fn:get=leaves_get,set=leaves_set ; key:leaves_key,clone=leaves_clone,free=leaves_free
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>

static thread_local long value;
static const char *how;
static bool is_later;
static int leave_at;
static jmp_buf out;
pthread_key_t leaves_key;

static void leave()
{
    if (!leave_at || --leave_at)
        return;
    if (!strcmp(how, "throw"))
        throw std::runtime_error("left");
    if (!strcmp(how, "longjmp"))
        longjmp(out, 1);
    pthread_exit(nullptr);
}

extern "C" long leaves_get(void) { leave(); return value; }
extern "C" void leaves_fill(long *to) { leave(); *to = value; }
extern "C" long *leaves_at(void) { leave(); return &value; }
extern "C" void leaves_set(long now) { value = now; }
extern "C" void *leaves_clone(void *of)
{
    leave();
    return new long(*static_cast<long *>(of));
}
extern "C" void leaves_free(void *copy) { delete static_cast<long *>(copy); }

static long saw_value, saw_key;
static void *task(void *arg)
{
    long *held = static_cast<long *>(pthread_getspecific(leaves_key));
    saw_value = value;
    saw_key = held ? *held : 0;
    return arg;
}

static __attribute__((noinline)) void submit()
{
    pthread_t thread;
    pthread_create(&thread, nullptr, task, nullptr);
    pthread_join(thread, nullptr);
}

static __attribute__((noinline)) void deep(int frames)
{
    volatile char pad[256];
    pad[0] = static_cast<char>(frames);
    if (frames)
        deep(frames - 1);
    else
        submit();
    pad[1] = pad[0];
}

static void *owner(void *)
{
    long mine = 5;
    pthread_setspecific(leaves_key, &mine);
    value = 5;
    if (is_later)
        submit();
    leave_at = 1;
    if (!setjmp(out)) {
        try {
            submit();
        } catch (std::exception &) {
        }
    }
    pthread_setspecific(leaves_key, nullptr);
    return nullptr;
}

int main(int argc, char **argv)
{
    int wrong = 0;
    pthread_t thread;
    how = argv[1];
    is_later = argc > 2;
    pthread_key_create(&leaves_key, nullptr);
    if (strcmp(how, "exit")) {
        owner(nullptr);
    } else {
        pthread_create(&thread, nullptr, owner, nullptr);
        pthread_join(thread, nullptr);
    }
    leave_at = 0;
    for (int i = 0; i < 6; i++) {
        long mine = 10 + i;
        value = mine;
        pthread_setspecific(leaves_key, &mine);
        deep(i < 3 ? 3 : 0);
        wrong += (saw_value != mine) + (saw_key != mine);
    }
    pthread_setspecific(leaves_key, nullptr);
    value = 0;
    printf("wrong %d of 12\n", wrong);
    return wrong ? 1 : 0;
}
