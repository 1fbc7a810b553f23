// Asio: posted functions, timers and reads see the number of who asked for them; of Boost, and alone.
#include "../preset.h"
#include <memory>
#include <vector>

static void post()
{
    io::io_context context;
    auto guard = io::make_work_guard(context);
    std::thread worker([&context] { context.run(); });

    for (long i = 1; i <= 200; i++) {
        request_id = i;
        io::post(context, [i] { look(i); });
    }
    wait_for(200);
    guard.reset();
    worker.join();
}

static void timers()
{
    io::io_context context;
    std::vector<std::unique_ptr<io::steady_timer>> timers;

    for (long i = 1; i <= 50; i++) {
        request_id = i;
        timers.emplace_back(new io::steady_timer(context, std::chrono::milliseconds(2)));
        timers.back()->async_wait([i](error) { look(i); });
    }
    request_id = 0;
    std::thread worker([&context] { context.run(); });
    worker.join();
}

static void reads()
{
    io::io_context context;
    auto guard = io::make_work_guard(context);
    std::thread worker([&context] { context.run(); });

    for (long i = 1; i <= 30; i++) {
        io::local::stream_protocol::socket one(context), other(context);
        char byte;

        io::local::connect_pair(one, other);
        request_id = i;
        one.async_read_some(io::buffer(&byte, 1), [i](error, size_t) { look(i); });
        request_id = 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        other.write_some(io::buffer("x", 1));
        wait_for(i);
    }
    guard.reset();
    worker.join();
}

int main(int argc, char **argv)
{
    return run_groups({{"post", post}, {"timers", timers}, {"reads", reads}}, argc, argv);
}
