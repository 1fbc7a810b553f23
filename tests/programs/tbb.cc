// oneTBB: bodies and tasks see the value of who started them, and what a task leaves is nobody's.
// usage: tbb MODE [CARRIER]; a mode is one promise, named in the table at the end
// libs: tbb >= 2021
// std: c++20
#include "carrier.h"
#include <algorithm>
#include <atomic>
#include <execution>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/parallel_sort.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

using namespace oneapi;

static std::atomic<long> ran, wrong_ones;

/* What every body does: look, and leave something else. */
static void body(long wanted)
{
    ran++;
    if (current() != wanted)
        wrong_ones++;
    set_current(-wanted);
}

/* The same, so slowly that other threads help. */
static void slow(long wanted)
{
    ran++;
    if (current() != wanted)
        wrong_ones++;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    if (current() != wanted)
        wrong_ones++;
}

static void all_right(const char *what, long at_least)
{
    expect(what, wrong_ones, 0);
    expect("bodies ran", ran >= at_least, 1);
}

static void mode_for()
{
    tbb::affinity_partitioner affinity;
    for (long i = 1; i <= 10; i++) {
        set_current(i);
        tbb::parallel_for(0, 100, [i](int) { slow(i); });
        tbb::parallel_for(tbb::blocked_range<int>(0, 100), [i](const tbb::blocked_range<int> &) { slow(i); },
                          affinity);
        expect("caller", current(), i);
    }
    all_right("loops", 1000);
}

/* Loops of several threads at once: who helps with one has just helped with another's. */
static void mode_submitters()
{
    std::vector<std::thread> threads;
    for (long k = 0; k < 4; k++)
        threads.emplace_back([k] {
            for (long i = 1; i <= 50; i++) {
                set_current(10 * i + k);
                tbb::parallel_for(0, 100, [i, k](int) { slow(10 * i + k); });
                if (current() != 10 * i + k)
                    wrong_ones++;
            }
        });
    for (auto &one : threads)
        one.join();
    expect("caller", current(), 0);
    all_right("loops", 20000);
}

static void mode_reduce()
{
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        tbb::parallel_reduce(
            tbb::blocked_range<int>(0, 200, 5), 0L,
            [i](const tbb::blocked_range<int> &, long sum) { slow(i); return sum; }, std::plus<long>());
        expect("caller", current(), i);
    }
    all_right("reductions", 20);
}

static void mode_invoke()
{
    for (long i = 1; i <= 100; i++) {
        set_current(i);
        auto one = [i] { slow(i); };
        tbb::parallel_invoke(one, one, one, one, one, one);
    }
    all_right("functions", 600);
}

static void mode_sort()
{
    std::vector<int> numbers(20000);
    for (long i = 1; i <= 3; i++) {
        for (size_t k = 0; k < numbers.size(); k++)
            numbers[k] = static_cast<int>(k * 7919 % 20011);
        set_current(i);
        tbb::parallel_sort(numbers.begin(), numbers.end(), [i](int a, int b) {
            if (ran++ % 256 == 0)
                slow(i); /* so that others help */
            if (current() != i)
                wrong_ones++;
            return a < b;
        });
        expect("sorted", std::is_sorted(numbers.begin(), numbers.end()), 1);
    }
    all_right("comparisons", 1000);
}

static void mode_pipeline()
{
    for (long i = 1; i <= 10; i++) {
        int count = 0;
        set_current(i);
        tbb::parallel_pipeline(
            4, tbb::make_filter<void, int>(tbb::filter_mode::serial_in_order,
                                           [&, i](tbb::flow_control &control) {
                                               slow(i);
                                               if (count++ == 30)
                                                   control.stop();
                                               return count;
                                           }) &
                   tbb::make_filter<int, int>(tbb::filter_mode::parallel, [i](int x) { slow(i); return x; }) &
                   tbb::make_filter<int, void>(tbb::filter_mode::serial_in_order, [i](int) { slow(i); }));
    }
    all_right("stages", 900);
}

static void mode_group()
{
    tbb::task_group group;
    for (long i = 1; i <= 300; i++) {
        set_current(i);
        group.run([i] { body(i); });
        auto deferred = group.defer([i] { body(i + 5000); });
        set_current(i + 5000); /* a task is handed over when it is run */
        group.run(std::move(deferred));
    }
    set_current(0);
    group.wait();
    expect("caller", current(), 0);
    all_right("tasks", 600);
}

static void mode_nested()
{
    tbb::task_group group;
    for (long i = 1; i <= 200; i++) {
        set_current(i);
        group.run([i, &group] {
            body(i);
            set_current(i + 100000);
            group.run([i] { body(i + 100000); });
            set_current(i);
            tbb::parallel_for(0, 4, [i](int) { body(i); }, tbb::simple_partitioner());
            if (current() != i)
                wrong_ones++;
        });
    }
    set_current(0);
    group.wait();
    all_right("tasks", 400);
}

/* Tasks that are cancelled before they ran let their contexts go; so do those behind an exception. */
static void mode_cancel()
{
    for (long i = 1; i <= 20; i++) {
        tbb::task_group group;
        set_current(i);
        for (int k = 0; k < 50; k++)
            group.run([i] { slow(i); });
        group.cancel();
        set_current(0);
        group.wait();
    }
    expect("caller", current(), 0);
    set_current(7);
    tbb::task_group last;
    last.run([] { body(7); });
    set_current(0);
    last.wait();
    all_right("tasks that ran", 1);
}

static void mode_exception()
{
    int caught = 0;
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        try {
            tbb::parallel_for(0, 100, [i](int k) {
                slow(i);
                set_current(-1);
                if (k == 50)
                    throw std::runtime_error("out of a body");
                set_current(i);
            });
        } catch (std::runtime_error &) {
            caught++;
        }
        expect("caller", current(), i);
    }
    expect("caught", caught, 20);
    tbb::task_arena arena(2);
    try {
        arena.execute([] { throw std::runtime_error("out of an arena"); });
    } catch (std::runtime_error &) {
        caught++;
    }
    expect("caught", caught, 21);
    all_right("bodies", 20);
}

static void mode_arena()
{
    tbb::task_arena arena(2, 1);
    std::atomic<long> done{0};
    std::vector<std::thread> threads;
    for (long i = 1; i <= 300; i++) {
        set_current(i);
        arena.enqueue([i, &done] { body(i); done++; });
    }
    set_current(0);
    while (done < 300)
        std::this_thread::yield();
    /* A task of a group, run in the arena. */
    tbb::task_group group;
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        arena.enqueue(group.defer([i] { body(i); }));
    }
    set_current(0);
    arena.execute([&group] { group.wait(); });
    /* More threads than places: some have their function run by another one. */
    for (long k = 0; k < 6; k++)
        threads.emplace_back([&arena, k] {
            for (long i = 1; i <= 30; i++) {
                set_current(10 * i + k);
                arena.execute([i, k] { slow(10 * i + k); });
                if (current() != 10 * i + k)
                    wrong_ones++;
            }
        });
    for (auto &one : threads)
        one.join();
    expect("caller", current(), 0);
    all_right("tasks", 500);
}

static void mode_flow()
{
    tbb::flow::graph graph;
    tbb::flow::function_node<long, long> first(graph, tbb::flow::unlimited, [](long i) {
        ran++;
        if (current() != i)
            wrong_ones++;
        return i;
    });
    tbb::flow::function_node<long> second(graph, tbb::flow::unlimited, [](long i) { body(i); });
    tbb::flow::make_edge(first, second);
    for (long i = 1; i <= 500; i++) {
        set_current(i);
        first.try_put(i);
    }
    set_current(0);
    graph.wait_for_all();
    all_right("messages", 1000);
}

static void mode_standard()
{
    std::vector<int> numbers(200);
    for (long i = 1; i <= 10; i++) {
        set_current(i);
        std::for_each(std::execution::par, numbers.begin(), numbers.end(), [i](int &) { slow(i); });
        volatile long sum = std::transform_reduce(std::execution::par, numbers.begin(), numbers.end(), 0L,
                                                  std::plus<>(), [i](int x) { slow(i); return long(x); });
        (void)sum;
    }
    all_right("elements", 4000);
}

/* A task that waits outside gives its thread to others meanwhile, and goes on with what it had. */
static void mode_suspend()
{
    tbb::task_group group;
    std::vector<std::thread> threads;
    for (long i = 1; i <= 10; i++) {
        set_current(i);
        group.run([i, &threads] {
            static std::mutex lock;
            set_current(i + 500);
            tbb::task::suspend([&threads](tbb::task::suspend_point point) {
                std::lock_guard<std::mutex> held(lock);
                threads.emplace_back([point] {
                    std::this_thread::sleep_for(std::chrono::milliseconds(2));
                    tbb::task::resume(point);
                });
            });
            ran++;
            if (current() != i + 500)
                wrong_ones++;
            set_current(-1);
        });
        group.run([i] { body(i); });
    }
    set_current(0);
    group.wait();
    for (auto &one : threads)
        one.join();
    expect("caller", current(), 0);
    all_right("tasks", 20);
}

/* After all that, nobody without a value sees one. */
static void mode_stale()
{
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        tbb::parallel_for(0, 100, [i](int) { slow(i); });
        set_current(0);
        tbb::parallel_for(0, 100, [](int) { slow(0); });
    }
    all_right("loops", 4000);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)();
    } modes[] = {{"for", mode_for},           {"submitters", mode_submitters}, {"reduce", mode_reduce},
                 {"invoke", mode_invoke},
                 {"sort", mode_sort},         {"pipeline", mode_pipeline}, {"group", mode_group},
                 {"nested", mode_nested},     {"cancel", mode_cancel}, {"exception", mode_exception},
                 {"arena", mode_arena},       {"flow", mode_flow},     {"standard", mode_standard},
                 {"suspend", mode_suspend},   {"stale", mode_stale}};
    carrier_choose(argc > 2 ? argv[2] : NULL);
    tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 4);
    tbb::task_scheduler_handle scheduler{tbb::attach{}};
    for (auto &mode : modes)
        if (argc > 1 && !strcmp(argv[1], mode.name)) {
            mode.run();
            tbb::finalize(scheduler, std::nothrow);
            return verdict();
        }
    fprintf(stderr, "usage: tbb MODE [CARRIER]\n");
    return 2;
}
