/*
 * OpenSSL: asynchronous jobs.
 *
 * A job runs on a fibre of a pool that its thread keeps, and fibres serve job after job without being
 * made anew, so what was current when a fibre was made says nothing of its jobs. Each job brings the
 * context of the ASYNC_start_job that started it; while the job pauses, its attach stays with the
 * fibre's stack (ucontext.c, which lets these fibres begin with nothing).
 *
 * OpenSSL copies the argument block of a job, so ours is the program's with a head before it. A job
 * that is started begins to run before ASYNC_start_job returns. Source: OpenSSL 3.0, crypto/async.
 */
#include <string.h>

#include "families/handoff.h"

typedef int job_function(void *arg);

/* A multiple of 16 bytes, so that the program's block lies as it would without us. */
struct job {
    job_function *function;
    struct context *context;
    bool *is_started; /* on the stack of ASYNC_start_job, which waits */
    bool has_arg;
} __attribute__((aligned(16)));

enum { ARG_MAX = 512 }; /* more than that takes a block of memory */

static GUARDED int run_job(void *block)
{
    GUARDED_FRAME();
    const struct job job = *(const struct job *)block;
    int result;

    *job.is_started = true;
    SCOPE_RUN(job.context, FRAME_OWNED,
              result = job.function(job.has_arg ? (char *)block + sizeof job : NULL));
    return result;
}

int hook_ASYNC_start_job(struct async_job_st **job, struct async_wait_ctx_st *wait, int *result,
                         job_function *function, void *arg, unsigned long arg_size)
{
    _Alignas(16) char small[sizeof(struct job) + ARG_MAX];
    size_t size = sizeof(struct job) + (arg ? arg_size : 0);
    bool is_started = false;
    struct context *context;
    char *block = small;
    int state;

    /* A job that goes on; what OpenSSL refuses; and nobody to put the attach aside with the stack. */
    if (!job || *job || !function || (arg && (!arg_size || size < arg_size)) ||
        !family_is_on(FAMILY_UCONTEXT) || !(context = context_capture(FAMILY_OPENSSL)))
        return REAL(ASYNC_start_job)(job, wait, result, function, arg, arg_size);
    if (size > sizeof small && !(block = mem_alloc(size))) {
        context_rollback(FAMILY_OPENSSL, context);
        context_count_bare(FAMILY_OPENSSL, BARE_MEMORY);
        return REAL(ASYNC_start_job)(job, wait, result, function, arg, arg_size);
    }
    *(struct job *)block = (struct job){function, context, &is_started, arg != NULL};
    if (arg)
        memcpy(block + sizeof(struct job), arg, arg_size);
    state = REAL(ASYNC_start_job)(job, wait, result, run_job, block, size);
    if (!is_started)
        context_rollback(FAMILY_OPENSSL, context);
    if (block != small)
        mem_free(block, size);
    return state;
}
