// GDAL's worker threads: jobs see the number of who submitted them.
// libs: gdal
#include "preset.h"

// As in GDAL's port/cpl_worker_thread_pool.h, which is not installed; the object is smaller than this.
class CPLWorkerThreadPool
{
    char room[1024];

public:
    CPLWorkerThreadPool();
    ~CPLWorkerThreadPool();
    bool Setup(int threads, void (*begin)(void *), void **data);
    bool SubmitJob(void (*function)(void *), void *data);
    void WaitCompletion(int remaining = 0);
};

static void job(void *number)
{
    look((long)number);
}

static void pool()
{
    CPLWorkerThreadPool pool;

    pool.Setup(3, nullptr, nullptr);
    for (long i = 1; i <= 200; i++) {
        request_id = i;
        pool.SubmitJob(job, (void *)i);
    }
    request_id = 0;
    pool.WaitCompletion();
}

int main(int argc, char **argv)
{
    return run_groups({{"pool", pool}}, argc, argv);
}
