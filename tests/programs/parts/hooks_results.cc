// std::functions whose results are a struct in memory, a string and a long double.
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <new>
#include <pthread.h>
#include <string>

pthread_key_t request_key;
static int ran, wrong;

struct Big {
    long words[9];
};
using BigFunction = std::function<Big(long, double)>;
using TextFunction = std::function<std::string(const char *)>;
using LongFunction = std::function<long double(long double)>;

static std::deque<BigFunction> bigs;
static std::deque<TextFunction> texts;
static std::deque<LongFunction> longs;

extern "C" {
__attribute__((noinline)) void results_big(BigFunction &function)
{
    bigs.push_back(std::move(function));
}

__attribute__((noinline)) void results_text(const TextFunction &function)
{
    texts.push_back(function);
}

__attribute__((noinline)) void results_long(const LongFunction &function)
{
    longs.push_back(function);
}
}

static long current()
{
    return (long)pthread_getspecific(request_key);
}

static void set(long value)
{
    pthread_setspecific(request_key, (void *)value);
}

static void task(long number)
{
    ran++;
    wrong += current() != number;
    set(77);
}

static void *worker(void *)
{
    for (auto &function : bigs) {
        Big big = function(3, 2.5);
        wrong += big.words[0] != 3 || big.words[8] != 2 || current() != 0;
    }
    for (auto &function : texts)
        wrong += function("hello") != "hello world, which is longer than a short string" || current() != 0;
    for (auto &function : longs)
        wrong += function(1.5L) != 3.0L || current() != 0;
    return nullptr;
}

// One with nothing in it, and where its object would be what was there before.
template <class Function> static void submit_empty(void (*submit)(Function))
{
    using Plain = typename std::decay<Function>::type;
    alignas(16) static char place[sizeof(Plain)];
    std::memset(place, 'x', sizeof place);
    Plain *empty = new (place) Plain;
    submit(*empty);
    empty->~Plain();
}

int main()
{
    pthread_key_create(&request_key, nullptr);
    submit_empty(results_big);
    submit_empty(results_text);
    submit_empty(results_long);
    bigs.clear();
    texts.clear();
    longs.clear();
    for (long i = 1; i <= 50; i++) {
        std::string more(30, 'x');
        set(i);
        BigFunction big = [i, more](long a, double b) {
            Big result;
            task(i);
            for (auto &word : result.words)
                word = a;
            result.words[8] = (long)b;
            return result;
        };
        results_big(big);
        results_text([i](const char *text) {
            task(i);
            return std::string(text) + " world, which is longer than a short string";
        });
        results_long([i, more](long double x) {
            task(i);
            return x * 2;
        });
    }
    set(0);
    pthread_t thread;
    pthread_create(&thread, nullptr, worker, nullptr);
    pthread_join(thread, nullptr);
    std::printf("ran %d wrong %d\n", ran, wrong);
    bigs.clear();
    texts.clear();
    longs.clear();
    return wrong != 0;
}
