// A server that logs with log4cplus, under load: four clients at once, two threads that accept, and a pool of its own in
// which the request's MDC is wanted.
// flags: -g
// libs: log4cplus
#include <arpa/inet.h>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <log4cplus/initializer.h>
#include <log4cplus/mdc.h>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

enum { CLIENTS = 4, REQUESTS = 50 };

static std::mutex lock;
static std::condition_variable wanted;
static std::deque<std::function<void()>> jobs;
static bool is_closed;

__attribute__((noinline)) void enqueue(std::function<void()> job)
{
    {
        std::lock_guard<std::mutex> guard(lock);
        jobs.push_back(std::move(job));
    }
    wanted.notify_one();
}

static void run()
{
    for (;;) {
        std::function<void()> job;
        {
            std::unique_lock<std::mutex> guard(lock);
            wanted.wait(guard, [] { return is_closed || !jobs.empty(); });
            if (jobs.empty())
                return;
            job = std::move(jobs.front());
            jobs.pop_front();
        }
        job();
    }
}

static std::atomic<int> right, wrong;

static void answer(int client, int number)
{
    std::string seen;

    log4cplus::getMDC().get(&seen, "request");
    ++(seen == std::to_string(number) ? right : wrong);
    if (write(client, &number, sizeof number) < 0)
        perror("write");
    close(client);
}

static void serve(int server)
{
    for (int i = 0; i < CLIENTS * REQUESTS / 2; i++) {
        int client = accept(server, nullptr, nullptr), number = 0;

        if (read(client, &number, sizeof number) < 0)
            perror("read");
        log4cplus::getMDC().put("request", std::to_string(number));
        enqueue([client, number] { answer(client, number); });
        log4cplus::getMDC().clear();
    }
}

static void ask(const sockaddr_in &address, int first)
{
    for (int number = first; number < first + REQUESTS; number++) {
        int server = socket(AF_INET, SOCK_STREAM, 0), got = number;

        if (connect(server, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 ||
            write(server, &got, sizeof got) < 0 || read(server, &got, sizeof got) < 0)
            perror("a client");
        close(server);
    }
}

int main()
{
    log4cplus::Initializer initializer;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    std::vector<std::thread> workers, others;

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(server, reinterpret_cast<sockaddr *>(&address), size) != 0 || listen(server, 64) != 0 ||
        getsockname(server, reinterpret_cast<sockaddr *>(&address), &size) != 0)
        return 1;
    for (int i = 0; i < 3; i++)
        workers.emplace_back(run);
    for (int i = 0; i < 2; i++)
        others.emplace_back(serve, server);
    for (int i = 0; i < CLIENTS; i++)
        others.emplace_back(ask, address, 1000 * i + 1);
    for (auto &thread : others)
        thread.join();
    {
        std::lock_guard<std::mutex> guard(lock);
        is_closed = true;
    }
    wanted.notify_all();
    for (auto &thread : workers)
        thread.join();
    std::printf("right %d wrong %d\n", right.load(), wrong.load());
    return 0;
}
