/*
 * Qt: runnables, functions, threads and notifiers see the value of who handed them over.
 * The program of qt5.cc and qt6.cc. usage: qt5 MODE [CARRIER]; a mode is one promise, in the table at the end
 */
#include "carrier.h"
#include <QtConcurrent/QtConcurrentMap>
#include <QtConcurrent/QtConcurrentRun>
#include <QtCore/QCoreApplication>
#include <QtCore/QEvent>
#include <QtCore/QEventLoop>
#include <QtCore/QException>
#include <QtCore/QFuture>
#include <QtCore/QObject>
#include <QtCore/QRunnable>
#include <QtCore/QSocketNotifier>
#include <QtCore/QString>
#include <QtCore/QThread>
#include <QtCore/QThreadPool>
#include <QtCore/QTimer>
#include <QtCore/QVector>
#include <atomic>
#include <memory>
#include <vector>

static std::atomic<long> ran, wrong_ones, deleted;
static QThreadPool *pool;

static void body(long wanted)
{
    ran++;
    if (current() != wanted)
        wrong_ones++;
    set_current(-wanted);
}

struct Job : QRunnable {
    long number;
    explicit Job(long n) : number(n) {}
    ~Job() override { deleted++; }
    void run() override { body(number); }
};

static void all_right(const char *what, long count)
{
    expect(what, wrong_ones, 0);
    expect("ran", ran, count);
}

/* Something that holds the pool's only thread until it is opened. */
struct Blocker {
    struct gate gate = GATE_CLOSED;
    Blocker()
    {
        long was = current();
        set_current(0);
        pool->setMaxThreadCount(1);
        pool->start([this] { gate_wait(&gate); });
        gate_await(&gate, 1);
        set_current(was);
    }
    void open() { gate_open(&gate); pool->waitForDone(); }
};

static void mode_start()
{
    for (long i = 1; i <= 300; i++) {
        set_current(i);
        pool->start(new Job(i));
    }
    set_current(0);
    pool->waitForDone();
    expect("deleted", deleted, 300);
    all_right("runnables", 300);
}

static void mode_function()
{
    for (long i = 1; i <= 300; i++) {
        set_current(i);
        pool->start([i] { body(i); });
    }
    set_current(0);
    pool->start(std::function<void()>()); /* an empty one is nothing */
    pool->waitForDone();
    all_right("functions", 300);
}

static void mode_try()
{
    long started = 0;
    set_current(5);
    {
        Blocker blocker;
        Job job(5);
        job.setAutoDelete(false);
        expect("no thread for a runnable", pool->tryStart(&job), 0);
        expect("no thread for a function", pool->tryStart([] { body(5); }), 0);
        blocker.open();
    }
    pool->setMaxThreadCount(3);
    for (long i = 1; i <= 200; i++) {
        set_current(i);
        if (pool->tryStart([i] { body(i); }))
            started++;
        else
            pool->waitForDone();
        set_current(-1);
    }
    pool->waitForDone();
    all_right("what was started", started);
}

/* By its virtual function: where the type is known the compiler calls the body itself. */
__attribute__((noinline, noclone)) static void run_it(QRunnable *runnable)
{
    asm("" : "+r"(runnable));
    runnable->run();
}

/* Who takes a runnable back may run it, in the context that it waited with, or start it anew, or end it. */
static void mode_take()
{
    Job one(1), again(3);
    one.setAutoDelete(false);
    again.setAutoDelete(false);
    Blocker blocker;
    set_current(1);
    pool->start(&one);
    set_current(2);
    pool->start(&again);
    Job *gone = new Job(9);
    pool->start(gone);
    set_current(7);
    expect("taken", pool->tryTake(&one) && pool->tryTake(&again) && pool->tryTake(gone), 1);
    expect("nothing to take", pool->tryTake(&one), 0);
    run_it(&one);
    expect("caller", current(), 7);
    delete gone;
    set_current(3);
    pool->start(&again);
    set_current(0);
    blocker.open();
    all_right("runnables", 2);
}

/* The same runnable waits twice, with two contexts, in order; and is started again when it has run. */
static void mode_keep()
{
    struct Twice : QRunnable {
        std::vector<long> saw;
        void run() override { saw.push_back(current()); }
    } job;
    job.setAutoDelete(false);
    {
        Blocker blocker;
        set_current(1);
        pool->start(&job);
        set_current(2);
        pool->start(&job);
        set_current(0);
        blocker.open();
    }
    set_current(3);
    pool->start(&job);
    pool->waitForDone();
    expect("ran", long(job.saw.size()), 3);
    for (long i = 0; i < 3; i++)
        expect("in order", job.saw[size_t(i)], i + 1);
    expect("caller", current(), 3);
}

/* What clear forgets is forgotten; what is at the same address later is something else. */
static void mode_clear()
{
    Job kept(2);
    kept.setAutoDelete(false);
    alignas(Job) static char place[sizeof(Job)];
    Blocker blocker;
    set_current(1);
    pool->start(&kept);
    for (long i = 0; i < 20; i++)
        pool->start(new Job(1));
    Job *first = new (place) Job(1);
    first->setAutoDelete(false);
    pool->start(first);
    pool->clear();
    expect("deleted", deleted, 20);
    first->Job::~Job();
    Job *second = new (place) Job(2);
    second->setAutoDelete(false);
    set_current(2);
    pool->start(second);
    pool->start(&kept);
    set_current(0);
    blocker.open();
    second->Job::~Job();
    all_right("runnables", 2);
}

static void mode_concurrent()
{
    std::vector<QFuture<void>> futures;
    QVector<int> numbers(100);
    for (long i = 1; i <= 100; i++) {
        set_current(i);
        futures.push_back(QtConcurrent::run([i] { body(i); }));
    }
    set_current(0);
    for (auto &future : futures)
        future.waitForFinished();
    expect("caller", current(), 0);
    for (long i = 1; i <= 10; i++) {
        set_current(i);
        QtConcurrent::blockingMap(numbers, [i](int &) {
            ran++;
            if (current() != i)
                wrong_ones++;
            QThread::usleep(20);
        });
        expect("caller", current(), i);
    }
    pool->waitForDone();
    all_right("functions", 1100);
}

static void mode_exception()
{
    int caught = 0;
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        auto future = QtConcurrent::run([i] {
            body(i);
            throw QException();
        });
        set_current(0);
        try {
            future.waitForFinished();
        } catch (QException &) {
            caught++;
        }
    }
    pool->waitForDone();
    expect("caught", caught, 20);
    all_right("functions", 20);
}

/* A thread of the program inherits; the pool's own ones do not. */
static void mode_thread()
{
    struct Thread : QThread {
        long saw = -1;
        void run() override { saw = current(); }
    };
    for (long i = 1; i <= 20; i++) {
        Thread thread;
        set_current(i);
        thread.start();
        set_current(0);
        thread.wait();
        expect("thread", thread.saw, i);
    }
}

static void mode_notifier()
{
    int ends[2];
    int argc = 1;
    char name[] = "qt", *argv[] = {name, nullptr};
    QCoreApplication application(argc, argv);
    long told = 0;
    if (pipe(ends))
        return;
    set_current(8);
    {
        QSocketNotifier notifier(ends[0], QSocketNotifier::Read);
        QObject::connect(&notifier, &QSocketNotifier::activated, [&] {
            char c;
            expect("read", read(ends[0], &c, 1), 1);
            expect("told in", current(), told < 3 ? 8 + told : 30);
            told++;
            set_current(8 + told); /* its own, for its next time */
            if (told == 5)
                set_current(30);
        });
        for (int i = 0; i < 6; i++) {
            set_current(i < 3 ? 0 : 30);
            if (i == 3) {
                notifier.setEnabled(false);
                notifier.setEnabled(true);
            }
            if (i > 3)
                set_current(99);
            expect("write", write(ends[1], "x", 1), 1);
            if (i >= 3 && told > 3)
                break;
            for (int k = 0; k < 1000 && told == i; k++)
                QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
        }
        expect("told", told, 4);
    }
    auto *other = new QSocketNotifier(ends[0], QSocketNotifier::Read);
    delete other;
}

#if QT_VERSION >= QT_VERSION_CHECK(6, 3, 0)
static void mode_reserved()
{
    for (long i = 1; i <= 50; i++) {
        set_current(i);
        pool->reserveThread();
        if (i % 2)
            pool->startOnReservedThread([i] { body(i); });
        else
            pool->startOnReservedThread(new Job(i));
    }
    set_current(0);
    pool->waitForDone();
    all_right("functions", 50);
}

static void mode_then()
{
    std::vector<QFuture<void>> futures;
    for (long i = 1; i <= 50; i++) {
        set_current(i);
        futures.push_back(QtConcurrent::run([] { QThread::usleep(100); })
                              .then(QtFuture::Launch::Async, [i] { body(i); })
                              .then([] {}));
    }
    set_current(0);
    for (auto &future : futures)
        future.waitForFinished();
    pool->waitForDone();
    all_right("continuations", 50);
}
#endif

/* After all that, nobody without a value sees one; what the pool drops at its end is dropped. */
static void mode_stale()
{
    for (long i = 1; i <= 100; i++) {
        set_current(i);
        pool->start([i] { body(i); });
        set_current(0);
        pool->start([] { body(0); });
    }
    pool->waitForDone();
    all_right("functions", 200);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)();
    } modes[] = {
        {"start", mode_start}, {"function", mode_function}, {"try", mode_try}, {"take", mode_take},
        {"keep", mode_keep}, {"clear", mode_clear}, {"concurrent", mode_concurrent}, {"exception", mode_exception},
        {"thread", mode_thread}, {"notifier", mode_notifier}, {"stale", mode_stale},
#if QT_VERSION >= QT_VERSION_CHECK(6, 3, 0)
        {"reserved", mode_reserved}, {"then", mode_then},
#endif
    };
    carrier_choose(argc > 2 ? argv[2] : nullptr);
    pool = QThreadPool::globalInstance();
    pool->setMaxThreadCount(3);
    for (auto &mode : modes)
        if (argc > 1 && !strcmp(argv[1], mode.name)) {
            mode.run();
            return verdict();
        }
    fprintf(stderr, "usage: qt MODE [CARRIER]\n");
    return 2;
}
