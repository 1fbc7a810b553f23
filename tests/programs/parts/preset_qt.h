// Qt's events and timers see the number of who asked for them; for both Qts.
#include "../preset.h"
#include <QtCore/QCoreApplication>
#include <QtCore/QEvent>
#include <QtCore/QObject>
#include <QtCore/QThread>
#include <QtCore/QTimer>
#include <sys/syscall.h>

struct Receiver : QObject {
    bool event(QEvent *event) override;
};
struct Numbered : QEvent {
    long number;

    explicit Numbered(long n) : QEvent(QEvent::User), number(n) {}
};
bool Receiver::event(QEvent *event)
{
    if (event->type() != QEvent::User)
        return QObject::event(event);
    look(static_cast<Numbered *>(event)->number);
    return true;
}

static Receiver *receiver; // lives in another thread

static void posted()
{
    for (long i = 1; i <= 200; i++) {
        request_id = i;
        QCoreApplication::postEvent(receiver, new Numbered(i));
    }
    wait_for(200);
}

static void invoked()
{
    for (long i = 1; i <= 200; i++) {
        request_id = i;
        QMetaObject::invokeMethod(receiver, [i] { look(i); }, i % 2 ? Qt::QueuedConnection : Qt::BlockingQueuedConnection);
    }
    wait_for(200);
}

static void signalled()
{
    QObject source;

    QObject::connect(&source, &QObject::objectNameChanged, receiver, [](const QString &name) { look(name.toLong()); });
    for (long i = 1; i <= 100; i++) {
        request_id = i;
        source.setObjectName(QString::number(i));
    }
    wait_for(100);
}

static void drain(long tasks)
{
    request_id = 0;
    for (int i = 0; i < 20000 && ran < tasks; i++) {
        QCoreApplication::processEvents();
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

static void single_shots()
{
    for (long i = 1; i <= 50; i++) {
        request_id = i;
        QTimer::singleShot(i % 2 ? 0 : 2, [i] { look(i); });
    }
    drain(50);
}

static void timers()
{
    QTimer first, second;

    QObject::connect(&first, &QTimer::timeout, [] { look(5); });
    QObject::connect(&second, &QTimer::timeout, [] { look(6); });
    request_id = 5;
    first.start(1);
    request_id = 6;
    second.start(1);
    drain(20);
    first.stop();
    second.stop();
    request_id = 0;
    QTimer::singleShot(1, [] { look(0); }); // its number may be that of one that has stopped
    drain(ran + 1);
}

int main(int argc, char **argv)
{
    int count = 1;
    QCoreApplication application(count, argv);
    QThread thread;
    Receiver the_receiver;

    receiver = &the_receiver;
    receiver->moveToThread(&thread);
    thread.start();
    long tid = 0;
    QMetaObject::invokeMethod(receiver, [&tid] { tid = syscall(SYS_gettid); }, Qt::BlockingQueuedConnection);
    int status = run_groups({{"posted", posted}, {"invoked", invoked}, {"signalled", signalled},
                             {"single_shots", single_shots}, {"timers", timers}}, argc, argv);
    thread.quit();
    thread.wait();
    wait_gone(tid);
    return status;
}
