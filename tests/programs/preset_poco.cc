// POCO: pooled runnables, active methods, notifications and timed tasks see the number of who handed them over.
// needs: Poco/ThreadPool.h
// link: -lPocoFoundation -lPocoUtil
#include "preset.h"
#include <Poco/ActiveDispatcher.h>
#include <Poco/ActiveMethod.h>
#include <Poco/NObserver.h>
#include <Poco/NotificationCenter.h>
#include <Poco/NotificationQueue.h>
#include <Poco/PriorityNotificationQueue.h>
#include <Poco/ThreadPool.h>
#include <Poco/TimedNotificationQueue.h>
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

// Until somebody waits: what is enqueued then goes by no queue, and who does not wait is not woken.
template <class Queue> static void wait_idle(const Queue &queue)
{
    while (!queue.hasIdleThreads())
        std::this_thread::yield();
}

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
        if (i <= 20)
            wait_idle(queue);
        request_id = i;
        if (i % 2)
            queue.enqueueNotification(new Notice(i));
        else
            queue.enqueueUrgentNotification(new Notice(i));
    }
    wait_for(200);
    wait_idle(queue);
    queue.wakeUpAll();
    worker.join();
}

// What nobody will get: a queue is cleared, ends with something in it, or has one taken back; and then serves again.
static void forgotten()
{
    Poco::NotificationQueue queue;
    Poco::PriorityNotificationQueue by_priority;
    Poco::TimedNotificationQueue by_time;
    static auto *lasts = new Poco::NotificationQueue; // to the program's end
    Poco::AutoPtr<Poco::Notification> back(new Notice(7)), gone(new Notice(7));

    for (long i = 1; i <= 20; i++) {
        Poco::NotificationQueue ends;
        Poco::PriorityNotificationQueue ends_too;
        Poco::TimedNotificationQueue ends_later;

        request_id = i;
        queue.enqueueNotification(new Notice(-1));
        by_priority.enqueueNotification(new Notice(-1), 1);
        by_time.enqueueNotification(new Notice(-1), Poco::Clock());
        ends.enqueueNotification(new Notice(-1));
        ends_too.enqueueNotification(new Notice(-1), 1);
        ends_later.enqueueNotification(new Notice(-1), Poco::Clock());
        queue.clear();
        by_priority.clear();
        by_time.clear();
    }
    request_id = 7;
    queue.enqueueNotification(back);
    queue.remove(back);
    lasts->enqueueNotification(gone);
    lasts->remove(gone);
    request_id = 8;
    queue.enqueueNotification(back);
    request_id = 0;
    wrong_ones += Poco::AutoPtr<Poco::Notification>(queue.dequeueNotification()).get() != back.get();
    look(8);
    Poco::AutoPtr<Poco::Notification>(queue.dequeueNotification());
    wrong_ones += request_id != 0;
}

// Smaller numbers come out first.
static void priorities()
{
    Poco::PriorityNotificationQueue queue;
    std::thread worker([&queue] {
        for (;;) {
            Poco::AutoPtr<Poco::Notification> notice(queue.waitDequeueNotification());

            if (!notice)
                return;
            look(static_cast<Notice *>(notice.get())->number);
        }
    });
    for (long i = 1; i <= 100; i++) {
        if (i <= 20)
            wait_idle(queue);
        request_id = i;
        queue.enqueueNotification(new Notice(i), int(i % 7));
    }
    wait_for(100);
    wait_idle(queue);
    queue.wakeUpAll();
    worker.join();
}

struct Seer {
    void see(const Poco::AutoPtr<Notice> &notice) { look(notice->number); }
};

// Whoever dispatches delivers one after the other to those that watch.
static void dispatched()
{
    Poco::NotificationCenter center;
    Poco::NotificationQueue queue;
    Poco::PriorityNotificationQueue by_priority;
    Seer seer;
    Poco::NObserver<Seer, Notice> observer(seer, &Seer::see);

    center.addObserver(observer);
    for (long i = 1; i <= 50; i++) {
        request_id = i;
        queue.enqueueNotification(new Notice(i));
        by_priority.enqueueNotification(new Notice(i), int(i % 3));
    }
    request_id = 0;
    queue.dispatch(center);
    wrong_ones += request_id != 0;
    by_priority.dispatch(center);
    wrong_ones += request_id != 0;
    center.removeObserver(observer);
}

struct Dispatcher : Poco::ActiveDispatcher {
    Poco::ActiveMethod<int, long, Dispatcher, Poco::ActiveStarter<Poco::ActiveDispatcher>> method{this, &Dispatcher::call};

    int call(const long &number)
    {
        look(number);
        if (number % 10 == 0)
            throw Poco::RuntimeException("it failed");
        return 0;
    }
};

static void dispatcher()
{
    Dispatcher object;
    long failed = 0;

    for (long i = 1; i <= 100; i++) {
        request_id = i;
        Poco::ActiveResult<int> result = object.method(i);

        result.wait();
        failed += result.failed();
    }
    wrong_ones += failed != 10;
    request_id = 0;
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
    return run_groups({{"pool", pool}, {"notifications", notifications}, {"forgotten", forgotten},
                       {"priorities", priorities}, {"dispatched", dispatched}, {"active", active},
                       {"dispatcher", dispatcher}, {"timer", timer}}, argc, argv);
}
