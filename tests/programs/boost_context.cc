// Boost's fibers and coroutines: each has its own values, wherever and however it is switched to.
// usage: boost_context MODE [CARRIER]; a mode is one promise, named in the table at the end
// needs: boost/fiber/all.hpp boost/coroutine2/all.hpp
// link: -lboost_fiber -lboost_context
#include "carrier.h"
#include <cfenv>
#include <boost/context/fiber.hpp>
#include <boost/context/detail/fcontext.hpp>
#include <boost/coroutine2/all.hpp>
#include <boost/fiber/all.hpp>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace context = boost::context;

/* Sees its start, then what it set itself, whatever the others do. */
static context::fiber counting(long number, int rounds)
{
    return context::fiber([=](context::fiber &&caller) {
        expect("starts with", current(), 100 * number);
        for (int i = 1; i <= rounds; i++) {
            set_current(100 * number + i);
            caller = std::move(caller).resume();
            expect("finds again", current(), 100 * number + i);
        }
        set_current(7777);
        return std::move(caller);
    });
}

static void mode_fiber()
{
    context::fiber all[3];
    for (int i = 0; i < 3; i++) {
        set_current(100 * (i + 1));
        all[i] = counting(i + 1, 5);
    }
    set_current(9);
    for (int round = 0; round < 6; round++)
        for (auto &one : all) {
            one = std::move(one).resume();
            expect("outside", current(), 9);
        }
    expect("all done", !all[0] && !all[1] && !all[2], 1);
}

/* A function that runs on top of a suspended fiber sees that fiber's values. */
static void mode_on_top()
{
    set_current(1);
    context::fiber one([](context::fiber &&caller) {
        set_current(11);
        caller = std::move(caller).resume();
        expect("finds again", current(), 12);
        return std::move(caller);
    });
    one = std::move(one).resume();
    set_current(2);
    one = std::move(one).resume_with([](context::fiber &&caller) {
        expect("on top of it", current(), 11);
        set_current(12);
        return std::move(caller);
    });
    expect("outside", current(), 2);
}

/* A suspended fiber that is destroyed is unwound on its own stack, with its own values. */
static void mode_unwound()
{
    struct Guard {
        ~Guard() { expect("unwound with", current(), 33); }
    };
    for (int i = 0; i < 20; i++) {
        set_current(3);
        context::fiber one([](context::fiber &&caller) {
            Guard guard;
            set_current(33);
            caller = std::move(caller).resume();
            return std::move(caller);
        });
        one = std::move(one).resume();
        set_current(4);
        one = context::fiber();
        expect("outside", current(), 4);
    }
}

/* Exceptions stay inside of a fiber; the fiber's values do too. */
static void mode_exception()
{
    typedef boost::coroutines2::coroutine<long> coroutine;
    set_current(5);
    coroutine::pull_type one([](coroutine::push_type &yield) {
        set_current(55);
        try {
            yield(1);
            throw std::runtime_error("inside");
        } catch (std::runtime_error &) {
            expect("caught with", current(), 55);
        }
        throw std::runtime_error("out of it");
    });
    set_current(6);
    try {
        one();
        expect("nothing was thrown", 1, 0);
    } catch (std::runtime_error &error) {
        expect("came out", std::string(error.what()) == "out of it", 1);
    }
    expect("outside", current(), 6);
}

static void mode_coroutine()
{
    typedef boost::coroutines2::coroutine<long> coroutine;
    set_current(7);
    coroutine::pull_type one([](coroutine::push_type &yield) {
        for (long i = 0; i < 10; i++) {
            expect("inside", current(), i ? 70 + i - 1 : 7);
            set_current(70 + i);
            yield(i);
        }
    });
    for (long i : one) {
        (void)i;
        expect("outside", current(), i ? 8 : 7);
        set_current(8);
    }
}

static void turns(long number, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        long sees = current();
        long wants = i ? number + 1000 : number;
        if (sees != wants || i + 1 == rounds)
            expect("fiber", sees, wants);
        set_current(number + 1000);
        boost::this_fiber::yield();
    }
}

static void mode_fibers()
{
    std::vector<boost::fibers::fiber> all;
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        all.emplace_back([i] { turns(i, 10); });
    }
    set_current(0);
    for (auto &one : all)
        one.join();
    expect("outside", current(), 0);
}

/* Fibers that two threads take from one another. */
static void mode_migrate()
{
    using boost::fibers::algo::shared_work;
    std::atomic<bool> is_over{false};
    boost::fibers::use_scheduling_algorithm<shared_work>();
    std::thread helper([&] {
        set_current(5000);
        boost::fibers::use_scheduling_algorithm<shared_work>();
        while (!is_over)
            boost::this_fiber::sleep_for(std::chrono::milliseconds(1));
        expect("the other thread", current(), 5000);
    });
    std::vector<boost::fibers::fiber> all;
    for (long i = 1; i <= 10; i++) {
        set_current(i);
        all.emplace_back([i] { turns(i, 50); });
    }
    set_current(0);
    for (auto &one : all)
        one.join();
    is_over = true;
    helper.join();
}

static std::atomic<long> sum;

/* What a fiber captures by a thread is its own; threads drive fibers. */
static void mode_threads()
{
    set_current(1);
    std::thread([] {
        set_current(2);
        context::fiber one([](context::fiber &&caller) {
            set_current(22);
            std::thread([] { sum += current(); }).join();
            return std::move(caller);
        });
        one = std::move(one).resume();
        sum += current();
    }).join();
    expect("sum", sum, 24);
    expect("outside", current(), 1);
}

/* Stacks that are freed with nobody having left them: their memory serves again. */
static boost::context::detail::transfer_t abandoned(boost::context::detail::transfer_t transfer)
{
    set_current(88);
    boost::context::detail::jump_fcontext(transfer.fctx, nullptr);
    return transfer;
}

static void entry(boost::context::detail::transfer_t transfer)
{
    abandoned(transfer);
}

static void mode_abandoned()
{
    enum { STACK = 64 * 1024 };
    static char stack[STACK] __attribute__((aligned(16)));
    for (int i = 0; i < 100; i++) {
        set_current(i + 1);
        void *made = boost::context::detail::make_fcontext(stack + STACK, STACK, entry);
        boost::context::detail::jump_fcontext(made, nullptr);
        expect("outside", current(), i + 1);
    }
}

/* Boost's switch takes the floating-point control along: that is the stack's own, with us as without. */
static void mode_control()
{
    context::fiber fiber([](context::fiber &&caller) {
        for (int way : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
            fesetround(way);
            caller = std::move(caller).resume();
            expect("the fiber rounds by", fegetround(), way);
        }
        return std::move(caller);
    });
    for (int way : {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_TONEAREST}) {
        fesetround(way);
        fiber = std::move(fiber).resume();
        expect("the caller rounds by", fegetround(), way);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)();
    } modes[] = {{"fiber", mode_fiber},         {"on_top", mode_on_top},   {"unwound", mode_unwound},
                 {"exception", mode_exception}, {"coroutine", mode_coroutine}, {"fibers", mode_fibers},
                 {"migrate", mode_migrate},     {"threads", mode_threads}, {"abandoned", mode_abandoned},
                 {"control", mode_control}};
    carrier_choose(argc > 2 ? argv[2] : NULL);
    for (auto &mode : modes)
        if (argc > 1 && !strcmp(argv[1], mode.name)) {
            mode.run();
            return verdict();
        }
    fprintf(stderr, "usage: boost_context MODE [CARRIER]\n");
    return 2;
}
