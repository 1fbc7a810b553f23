// POCO: pooled runnables, active methods and notifications see the number of who handed them over.
// needs: Poco/ThreadPool.h
// link: -lPocoFoundation
#include "preset.h"
#include <Poco/ActiveMethod.h>
#include <Poco/NotificationQueue.h>
#include <Poco/ThreadPool.h>

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
        pool.start(work);
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
        queue.enqueueNotification(new Notice(i));
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

int main(int argc, char **argv)
{
    return run_groups({{"pool", pool}, {"notifications", notifications}, {"active", active}}, argc, argv);
}
