// Qt's events and timers on their harder ways: taken back, moved to another thread, filtered, thrown out of, nested, left
// undelivered, begun anew in their own callback. For both Qts.
#include "../preset.h"
#include <QtConcurrent/QtConcurrentRun>
#include <QtCore/QAbstractEventDispatcher>
#include <QtCore/QBasicTimer>
#include <QtCore/QCoreApplication>
#include <QtCore/QEvent>
#include <QtCore/QEventLoop>
#include <QtCore/QException>
#include <QtCore/QFutureWatcher>
#include <QtCore/QObject>
#include <QtCore/QSocketNotifier>
#include <QtCore/QThread>
#include <QtCore/QTimer>
#include <functional>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct Numbered : QEvent {
    long number;

    explicit Numbered(long n) : QEvent(QEvent::User), number(n) {}
};

struct Receiver : QObject {
    std::function<void(long)> on_event = look;
    std::function<void(int)> on_timer;

    bool event(QEvent *event) override
    {
        if (event->type() != QEvent::User)
            return QObject::event(event);
        on_event(static_cast<Numbered *>(event)->number);
        return true;
    }
    void timerEvent(QTimerEvent *event) override { on_timer(event->timerId()); }
};

static QThread *worker;
static Receiver *receiver; // lives in the worker

static void post(QObject *to, long number)
{
    request_id = number;
    QCoreApplication::postEvent(to, new Numbered(number));
}

static void drain(long tasks)
{
    request_id = 0;
    for (int i = 0; i < 20000 && ran < tasks; i++) {
        QCoreApplication::processEvents();
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

// In the worker, until it is done; the caller has no value meanwhile.
static void in_worker(const std::function<void()> &what)
{
    request_id = 0;
    QMetaObject::invokeMethod(receiver, [&what] { what(); }, Qt::BlockingQueuedConnection);
}

struct Filter : QObject {
    bool eventFilter(QObject *, QEvent *event) override
    {
        if (event->type() != QEvent::User)
            return false;
        look(static_cast<Numbered *>(event)->number);
        return true;
    }
};

static void filtered()
{
    Filter filter;

    filter.moveToThread(worker);
    in_worker([&filter] { receiver->installEventFilter(&filter); });
    for (long i = 1; i <= 100; i++)
        post(receiver, i);
    wait_for(100);
    in_worker([&filter] { receiver->removeEventFilter(&filter); });
}

struct Ends : QObject {
    long number;

    explicit Ends(long n) : number(n) {}
    ~Ends() override { look(number); }
};

static void deleted_later()
{
    for (long i = 1; i <= 100; i++) {
        auto *object = new Ends(i);

        if (i % 2)
            object->moveToThread(worker);
        request_id = i;
        object->deleteLater();
        request_id = 1000;
        if (i % 2 == 0)
            object->deleteLater(); // the first counts
    }
    request_id = 0;
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    wait_for(100);
}

// Events that nobody will see: taken back, of objects that are deleted, of a thread that has ended.
static void undelivered()
{
    QThread ends;

    for (long i = 1; i <= 20; i++) {
        Receiver here;

        post(&here, -1);
        post(&here, -1);
        QCoreApplication::removePostedEvents(&here);
        post(&here, -1);
    }
    Receiver *left = new Receiver;
    left->moveToThread(&ends);
    ends.start();
    ends.quit();
    ends.wait();
    for (long i = 1; i <= 20; i++)
        post(left, -1);
    delete left;
    request_id = 0;
    ran++;
}

static void moved()
{
    Receiver travels;

    for (long i = 1; i <= 50; i++)
        post(&travels, i);
    request_id = 77;
    travels.moveToThread(worker);
    for (long i = 51; i <= 100; i++)
        post(&travels, i);
    wait_for(100);
    in_worker([&travels] { travels.moveToThread(receiver->thread() == worker ? qApp->thread() : nullptr); });
}

// A timer goes with its object: it is its starter's, or of who moved it, who has it begun again.
static void moved_timer()
{
    auto *travels = new Receiver;

    travels->on_timer = [](int) {
        wrong_ones += request_id != 5 && request_id != 77;
        ran++;
    };
    request_id = 5;
    travels->startTimer(1);
    request_id = 77;
    travels->moveToThread(worker);
    wait_for(10);
    in_worker([travels] { delete travels; });
}

// Each callback ends its timer and starts the next in a context of its own.
static void timer_after_timer()
{
    Receiver one;
    long number = 1;

    one.on_timer = [&](int id) {
        look(number);
        one.killTimer(id);
        request_id = ++number;
        if (number <= 20)
            one.startTimer(1);
    };
    request_id = 1;
    one.startTimer(0);
    drain(20);
}

static void restarted()
{
    QTimer timer;
    QBasicTimer basic;
    Receiver one;
    long wanted = 0;

    QObject::connect(&timer, &QTimer::timeout, [&] { look(wanted); });
    timer.setSingleShot(true);
    for (long i = 1; i <= 20; i++) {
        request_id = 900;
        timer.start(10000);
        request_id = wanted = i;
        timer.start(1);
        drain(i);
    }
    one.on_timer = [&](int) {
        look(50);
        basic.stop();
    };
    request_id = 900;
    basic.start(10000, &one);
    request_id = 50;
    basic.start(1, &one);
    drain(21);
    request_id = 60; // known to the dispatcher alone
    int raw = QAbstractEventDispatcher::instance()->registerTimer(1, Qt::PreciseTimer, &one);
    one.on_timer = [raw](int) {
        look(60);
        QAbstractEventDispatcher::instance()->unregisterTimer(raw);
    };
    drain(22);
}

static void elsewhere()
{
    for (long i = 1; i <= 40; i++) {
        request_id = i;
        QTimer::singleShot(i % 2 ? 1 : 0, receiver, [i] { look(i); });
    }
    wait_for(40);
}

static void thrown()
{
    Receiver one;
    long caught = 0;

    one.on_event = [](long number) {
        look(number);
        if (number % 2)
            throw number;
    };
    for (long i = 1; i <= 100; i++)
        post(&one, i);
    request_id = 1234;
    while (ran < 100) {
        try {
            QCoreApplication::sendPostedEvents(&one);
        } catch (long) {
            caught++;
        }
        wrong_ones += request_id != 1234;
    }
    wrong_ones += caught != 50;
    try {
        Numbered direct(1234);
        QCoreApplication::sendEvent(&one, &direct);
        direct.number = 1;
        request_id = 1;
        QCoreApplication::sendEvent(&one, &direct);
        wrong_ones++;
    } catch (long) {
    }
    request_id = 0;
}

// An event whose handler waits for others: each has its own, and the handler has its own back.
static void nested()
{
    Receiver one;

    one.on_event = [&one](long number) {
        wrong_ones += request_id != number;
        if (number < 50) {
            QEventLoop loop;

            post(&one, number + 1);
            QTimer::singleShot(0, &loop, &QEventLoop::quit);
            request_id = number;
            while (ran < 50 - number)
                loop.processEvents();
        }
        look(number);
    };
    post(&one, 1);
    drain(50);
}

static void watched()
{
    std::vector<std::unique_ptr<QFutureWatcher<long>>> watchers;

    for (long i = 1; i <= 50; i++) {
        watchers.emplace_back(new QFutureWatcher<long>);
        QObject::connect(watchers.back().get(), &QFutureWatcher<long>::finished, [i] { look(i); });
        request_id = i;
        watchers.back()->setFuture(QtConcurrent::run([i] {
            wrong_ones += request_id != i;
            return i;
        }));
    }
    drain(50);
}

#if QT_VERSION >= QT_VERSION_CHECK(6, 3, 0)
static void continued()
{
    std::vector<QFuture<void>> futures;

    for (long i = 1; i <= 50; i++) {
        request_id = i;
        futures.push_back(QtConcurrent::run([i] {
                              wrong_ones += request_id != i;
                              if (i % 3 == 0)
                                  throw QException();
                          }).onFailed([i](const QException &) { wrong_ones += request_id != i; })
                              .then(receiver, [i] { look(i); }));
    }
    wait_for(50);
}
#endif

// One that is deleted in its own callback, one that another one turns off and on again.
static void notifiers()
{
    for (long i = 1; i <= 20; i++) {
        int ends[2];
        long told = 0;
        QSocketNotifier *once, *other;

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
            return;
        request_id = i;
        once = new QSocketNotifier(ends[0], QSocketNotifier::Read);
        request_id = i + 500;
        other = new QSocketNotifier(ends[1], QSocketNotifier::Write);
        other->setEnabled(false);
        QObject::connect(other, &QSocketNotifier::activated, [&] {
            look(i + 600);
            other->setEnabled(false);
            told++;
        });
        QObject::connect(once, &QSocketNotifier::activated, [&] {
            look(i);
            request_id = i + 600;
            other->setEnabled(true);
            delete once;
        });
        request_id = 0;
        wrong_ones += write(ends[1], "x", 1) != 1;
        for (int k = 0; k < 1000 && !told; k++)
            QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
        delete other;
        close(ends[0]);
        close(ends[1]);
    }
    wrong_ones += ran != 40;
}

// Timers that end with their objects.
static void left_timers()
{
    Receiver objects[3];

    for (auto &object : objects) {
        request_id++;
        object.startTimer(100000);
    }
    request_id = 0;
    ran++;
}

int main(int argc, char **argv)
{
    int count = 1;
    QCoreApplication application(count, argv);
    QThread thread;
    Receiver the_receiver;

    worker = &thread;
    receiver = &the_receiver;
    receiver->moveToThread(&thread);
    thread.start();
    long tid = 0;
    QMetaObject::invokeMethod(receiver, [&tid] { tid = syscall(SYS_gettid); }, Qt::BlockingQueuedConnection);
    int status = run_groups({{"filtered", filtered}, {"deleted_later", deleted_later}, {"undelivered", undelivered},
                             {"moved", moved}, {"moved_timer", moved_timer}, {"timer_after_timer", timer_after_timer},
                             {"restarted", restarted}, {"elsewhere", elsewhere}, {"thrown", thrown}, {"nested", nested},
                             {"watched", watched},
#if QT_VERSION >= QT_VERSION_CHECK(6, 3, 0)
                             {"continued", continued},
#endif
                             {"notifiers", notifiers}, {"left_timers", left_timers}}, argc, argv);
    thread.quit();
    thread.wait();
    wait_gone(tid);
    QThreadPool::globalInstance()->waitForDone();
    return status;
}
