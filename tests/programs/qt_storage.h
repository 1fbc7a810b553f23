/*
 * Qt: what a program keeps in QThreadStorage is each request's own in the tasks of its pool, and every value that was
 * made is deleted once.
 * The program of qt5_storage.cc and qt6_storage.cc. usage: qt5_storage MODE; a mode is one kind of value; or `sandbox`:
 * no file may be opened once main has begun; or `many`: of storages
 */
#include "carrier.h"
#include <QtCore/QByteArray>
#include <QtCore/QRunnable>
#include <QtCore/QString>
#include <QtCore/QThread>
#include <QtCore/QThreadPool>
#include <QtCore/QThreadStorage>
#include <atomic>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>

static std::atomic<long> ran, wrong_ones, alive;

/* With a codec of the user's, qt_codec.so; nothing else is as large. */
struct Request {
    long number;
    char unused[5000];
};
enum { MOST = sizeof(Request) + 64 };

static bool is_request(void *at)
{
    size_t bytes = malloc_usable_size(at);
    return bytes >= sizeof(Request) && bytes < MOST;
}

void *operator new(size_t bytes)
{
    void *at = malloc(bytes);
    alive += is_request(at);
    return at;
}

void operator delete(void *at) noexcept
{
    alive -= at && is_request(at);
    free(at);
}

void operator delete(void *at, size_t) noexcept
{
    operator delete(at);
}

QThreadStorage<QString> name_of_request;
static QThreadStorage<QByteArray> bytes_of_request;
QThreadStorage<int> number_of_request;
QThreadStorage<std::string> text_of_request;
QThreadStorage<Request *> request;
long no_storage;

/* Long enough to lie on the heap. */
static std::string text(long number)
{
    return number ? "request number " + std::to_string(number) + " of all" : "";
}

struct Names {
    static long get() { return name_of_request.localData().section(' ', 2, 2).toLong(); }
    static void set(long n) { name_of_request.setLocalData(QString::fromStdString(text(n))); }
};
struct Bytes {
    static long get() { return bytes_of_request.localData().toLong(); }
    static void set(long n) { bytes_of_request.setLocalData(n ? QByteArray::number(qlonglong(n)) : QByteArray()); }
};
struct Numbers {
    static long get() { return number_of_request.localData(); }
    static void set(long n) { number_of_request.setLocalData(int(n)); }
};
struct Texts {
    static long get()
    {
        const std::string &now = text_of_request.localData();
        return now.empty() ? 0 : std::stol(now.substr(15));
    }
    static void set(long n) { text_of_request.localData() = text(n); } /* in place */
};
struct Pointers {
    static long get() { return request.hasLocalData() ? request.localData()->number : 0; }
    static void set(long n)
    {
        Request *made = n ? new Request() : nullptr; /* gcc 10 fills no array in new Request{n, ""} */
        if (made)
            made->number = n;
        request.setLocalData(made);
    }
};

template <class Kind> struct Job : QRunnable {
    long number;
    explicit Job(long n) : number(n) {}
    void run() override
    {
        ran++;
        if (Kind::get() != number)
            wrong_ones++;
        Kind::set(ran % 3 ? -number : 0); /* nobody else's business */
    }
};

/* A thread of the program has its maker's value, and may set its own. */
template <class Kind> struct Thread : QThread {
    long saw = -1;
    void run() override
    {
        saw = Kind::get();
        if (saw % 2)
            Kind::set(77);
    }
};

template <class Kind> static void all()
{
    {
        QThreadPool pool;
        pool.setMaxThreadCount(3);
        pool.setExpiryTimeout(-1);
        for (long i = 1; i <= 200; i++) {
            Kind::set(i % 5 ? i : 0);
            pool.start(new Job<Kind>(i % 5 ? i : 0));
        }
        expect("submitter", Kind::get(), 0);
        Kind::set(9);
        pool.waitForDone();
        expect("submitter", Kind::get(), 9);
    }
    for (long i = 1; i <= 4; i++) {
        Thread<Kind> thread;
        Kind::set(i);
        thread.start();
        thread.wait();
        expect("thread", thread.saw, i);
    }
    Kind::set(0);
    expect("tasks of other requests", wrong_ones, 0);
    expect("ran", ran, 200);
}

/* From now on the kernel ends the process when it opens a file. */
static void shut_in()
{
    sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog program = {sizeof filter / sizeof *filter, filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(77);
}

static void sandbox()
{
    Thread<Texts> thread;
    shut_in();
    Texts::set(5);
    thread.start();
    thread.wait();
    expect("thread", thread.saw, 5);
}

QThreadStorage<int> &late()
{
    static QThreadStorage<int> late_one;
    return late_one;
}

/* One that is made when there are more than anybody keeps count of. */
static void many()
{
    static QThreadStorage<int> others[300];
    others[299].setLocalData(1);
    late().setLocalData(5);
    expect("its thread", late().localData(), 5);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)();
    } modes[] = {
        {"qstring", all<Names>}, {"qbytearray", all<Bytes>}, {"int", all<Numbers>},
        {"string", all<Texts>}, {"request", all<Pointers>}, {"sandbox", sandbox}, {"many", many},
    };
    for (auto &mode : modes)
        if (argc > 1 && !strcmp(argv[1], mode.name)) {
            mode.run();
            for (int i = 0; alive > 4 && i < 1000; i++)
                usleep(10000); /* a thread whose end is slow */
            expect("more than a few are still there", alive > 4, 0);
            return verdict();
        }
    fprintf(stderr, "usage: qt_storage qstring|qbytearray|int|string|request|sandbox|many\n");
    return 2;
}
