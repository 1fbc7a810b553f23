// POCO: pooled runnables, active methods, notifications and timed tasks see the number of who handed them over.
// needs: Poco/ThreadPool.h
// link: -lPocoFoundation -lPocoUtil
#include "preset.h"
#include <Poco/ActiveMethod.h>
#include <Poco/NotificationQueue.h>
#include <Poco/ThreadPool.h>
#include <Poco/Util/Timer.h>
#include <Poco/Util/TimerTask.h>

struct Work : Poco::Runnable {
    long number;

    explicit Work(long n) : number(n) {}
    void run() override { look(number); }
};

static void pool()
{
    Poco::ThreadPool pool(3, 3);

    for (long i = 1; i <= 200; i++) {
        Work work(i);

        request_id = i;
        if (i % 3 == 0)
            pool.start(work);
        else if (i % 3 == 1)
            pool.start(work, "named");
        else
            pool.startWithPriority(Poco::Thread::PRIO_NORMAL, work);
        pool.joinAll();
    }
    request_id = 0;
}

struct Notice : Poco::Notification {
    long number;

    explicit Notice(long n) : number(n) {}
};

static void notifications()
{
    Poco::NotificationQueue queue;
    std::thread worker([&queue] {
        for (;;) {
            Poco::AutoPtr<Poco::Notification> notice(queue.waitDequeueNotification());

            if (!notice)
                return;
            look(static_cast<Notice *>(notice.get())->number);
        }
    });
    for (long i = 1; i <= 200; i++) {
        request_id = i;
        if (i % 2)
            queue.enqueueNotification(new Notice(i));
        else
            queue.enqueueUrgentNotification(new Notice(i));
    }
    wait_for(200);
    queue.wakeUpAll();
    worker.join();
}

struct Object {
    Poco::ActiveMethod<int, long, Object> method{this, &Object::call};

    int call(const long &number)
    {
        look(number);
        return 0;
    }
};

static void active()
{
    Object object;

    for (long i = 1; i <= 100; i++) {
        request_id = i;
        object.method(i).wait();
    }
    request_id = 0;
}

// The program's own threads, if BATON_OWN says that libPocoFoundation starts none but such.
static void threads()
{
    for (long i = 1; i <= 50; i++) {
        Work work(i);
        Poco::Thread thread;

        request_id = i;
        thread.start(work);
        thread.join();
    }
    request_id = 0;
}

struct Timed : Poco::Util::TimerTask {
    long number;

    explicit Timed(long n) : number(n) {}
    void run() override { look(number); }
};

// What a repeating task leaves is for its own next run: this one leaves nothing.
struct Repeated : Timed {
    using Timed::Timed;
    void run() override
    {
        wrong_ones += request_id != number;
        ran++;
    }
};

static void timer()
{
    Poco::Util::Timer timer;

    for (long i = 1; i <= 50; i++) {
        request_id = i;
        timer.schedule(new Timed(i), Poco::Timestamp());
    }
    wait_for(50);
    request_id = 0;
    for (long i = 1; i <= 3; i++) { // and again and again, until it is cancelled
        request_id = i;
        timer.scheduleAtFixedRate(new Repeated(i), 1, 1);
    }
    wait_for(60);
    timer.cancel(true);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "threads"))
        return run_groups({{"threads", threads}}, 1, argv);
    return run_groups({{"pool", pool}, {"notifications", notifications}, {"active", active}, {"timer", timer}}, argc, argv);
}
