// A server with a pool of its own that keeps its context in a QThreadStorage, beside one that counts for each thread
// and one whose values lie where nothing may be read behind them. Says how many tasks saw their request.
// flags: -fPIC
// libs: Qt5Core
#include <QtCore/QString>
#include <QtCore/QThreadStorage>
#include <deque>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

enum { REQUESTS = 40, WORKERS = 2 };

struct job {
    void (*run)(void *arg);
    void *arg;
};

/* At the very end of a page, before one that nobody may read. */
struct edge {
    enum { PAGE = 4096 };
    long number = 0;
    static void *operator new(size_t size)
    {
        char *pages = static_cast<char *>(mmap(nullptr, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(pages + PAGE, PAGE, PROT_NONE);
        return pages + PAGE - size;
    }
    static void operator delete(void *at) { munmap(static_cast<char *>(at) - PAGE + sizeof(edge), 2 * PAGE); }
};

QThreadStorage<QString> request_name;
static QThreadStorage<edge *> edges;
static QThreadStorage<int> calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static std::deque<job> jobs;
static bool is_closed;
static int right, wrong;

extern "C" __attribute__((noinline)) void pool_submit(void (*run)(void *arg), void *arg)
{
    pthread_mutex_lock(&lock);
    jobs.push_back({run, arg});
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);
}

static void *worker(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (jobs.empty() && !is_closed)
            pthread_cond_wait(&wanted, &lock);
        if (jobs.empty())
            break;
        job now = jobs.front();
        jobs.pop_front();
        pthread_mutex_unlock(&lock);
        now.run(now.arg);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

static void task(void *arg)
{
    bool is_right = request_name.localData() == QString::number(qlonglong(reinterpret_cast<long>(arg)));
    calls.localData()++;
    if (!edges.hasLocalData())
        edges.setLocalData(new edge);
    edges.localData()->number++;
    pthread_mutex_lock(&lock);
    (is_right ? right : wrong)++;
    pthread_cond_signal(&finished);
    pthread_mutex_unlock(&lock);
}

int main()
{
    pthread_t threads[WORKERS];

    for (auto &thread : threads)
        pthread_create(&thread, nullptr, worker, nullptr);
    for (long request = 1; request <= REQUESTS; request++) {
        request_name.setLocalData(QString::number(qlonglong(request)));
        calls.localData()++;
        pool_submit(task, reinterpret_cast<void *>(request));
        pthread_mutex_lock(&lock);
        while (right + wrong < request)
            pthread_cond_wait(&finished, &lock);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    is_closed = true;
    pthread_cond_broadcast(&wanted);
    pthread_mutex_unlock(&lock);
    for (auto thread : threads)
        pthread_join(thread, nullptr);
    printf("right %d wrong %d\n", right, wrong);
    return right != REQUESTS;
}
