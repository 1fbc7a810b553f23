// A pool whose functions of one name have their callback and argument at other places, and a type that looks like a
// std::function from outside. What is asked for is handed over, and run as by a worker, without the values of who asked.
#include <cstdio>
#include <cstring>
#include <functional>
#include <pthread.h>
#include <sys/mman.h>

#define APART __attribute__((noinline, noclone))

pthread_key_t request_key;
static long wrong, ran;
static void *const expected = (void *)0x1234;

static void task(void *)
{
    ran++;
    wrong += pthread_getspecific(request_key) != expected;
}

struct Work {
    void (*function)(void *);
    void *argument;
};

static void *work(void *arg)
{
    Work *work = static_cast<Work *>(arg);
    work->function(work->argument);
    return nullptr;
}

// As a worker, which has no values of its own.
static APART void run(void (*function)(void *), void *argument)
{
    Work given = {function, argument};
    void *mine = pthread_getspecific(request_key);
    pthread_setspecific(request_key, nullptr);
    work(&given);
    pthread_setspecific(request_key, mine);
}

struct Pool {
    static APART void submit(void (*function)(void *), void *argument) { run(function, argument); asm volatile("nop"); }
    static APART void submit(int, void (*function)(void *), void *argument) { run(function, argument); asm volatile("nop; nop"); }
    static APART void submit(void *argument, void (*function)(void *)) { run(function, argument); asm volatile("nop; nop; nop"); }
};

// As a struct in C has them: data, and two functions.
struct Looks {
    long data[2];
    void (*begin)(Looks *);
    void (*end)(Looks *);
};

static APART void looks_begin(Looks *looks) { looks->data[0]++; }
static APART void looks_end(Looks *looks) { ran += looks->data[0]; }
APART void looks_submit(Looks *looks) { looks->begin(looks); looks->end(looks); }

// Where a std::function has its manager and invoker there are pointers to data.
struct Data {
    void *words[4];
};
APART void data_submit(Data *data) { memset(data->words[2], 1, 8); memset(data->words[3], 1, 8); ran++; }

struct Other {
    static APART void submit(std::function<void()> function) { function(); asm volatile("nop"); }
    static APART void submit(Looks *looks) { looks_submit(looks); asm volatile("nop; nop"); }
};

int main(int argc, char **argv)
{
    pthread_key_create(&request_key, nullptr);
    pthread_setspecific(request_key, expected);
    void *map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long on_stack = 0, calls = 0;
    for (int i = 1; i < argc; i++) {
        for (int n = 0; n < 3; n++, calls++) {
            if (!strcmp(argv[i], "first"))
                Pool::submit(task, nullptr);
            else if (!strcmp(argv[i], "number"))
                Pool::submit(7, task, nullptr);
            else if (!strcmp(argv[i], "stack"))
                Pool::submit(&on_stack, task);
            else if (!strcmp(argv[i], "map"))
                Pool::submit(map, task);
            else if (!strcmp(argv[i], "looks")) {
                Looks looks = {{0, 0}, looks_begin, looks_end};
                looks_submit(&looks);
            } else if (!strcmp(argv[i], "data")) {
                Data data = {{&on_stack, map, map, &on_stack}};
                data_submit(&data);
            } else if (!strcmp(argv[i], "function"))
                Other::submit([] { ran++; });
            else if (!strcmp(argv[i], "other")) {
                Looks looks = {{0, 0}, looks_begin, looks_end};
                Other::submit(&looks);
            }
        }
    }
    printf("%ld wrong of %ld, %ld called\n", wrong, ran, calls);
    return ran != calls;
}
