// LLVM's ThreadPool and parallel task groups: tasks see the number of who handed them over.
// needs: llvm/Config/llvm-config.h
// flags: -I/usr/include/llvm-14 -I/usr/include/llvm-c-14
// link: -L/usr/lib/llvm-14/lib -lLLVM-14
#include "preset.h"
#include <llvm/Support/Parallel.h>
#include <llvm/Support/ThreadPool.h>

static void pool()
{
    llvm::ThreadPool pool(llvm::hardware_concurrency(3));

    for (long i = 1; i <= 300; i++) {
        request_id = i;
        pool.async([i] { look(i); });
    }
    request_id = 0;
    pool.wait();
}

static void parallel()
{
    for (long i = 1; i <= 100; i++) {
        llvm::parallel::detail::TaskGroup group;

        request_id = i;
        for (int k = 0; k < 4; k++)
            group.spawn([i] { look(i); });
    }
    request_id = 0;
}

int main(int argc, char **argv)
{
    return run_groups({{"pool", pool}, {"parallel", parallel}}, argc, argv);
}
