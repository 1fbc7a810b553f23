/*
 * libvips: vips_threadpool_run, on which all of its evaluation rests.
 *
 * The call is synchronous and its workers come from a set that libvips keeps: the record lies on the
 * caller's stack and lends the context to what workers run. Progress is told in the caller's thread,
 * in its own values. The threads' state is made by the program's start function with its own data.
 * Source: libvips 8.14, threadpool.c; libvips calls the function through its name.
 */
#include "families/handoff.h"

typedef struct _VipsThreadState *start_function(struct _VipsImage *, void *);
typedef int allocate_function(struct _VipsThreadState *, void *, int *);
typedef int work_function(struct _VipsThreadState *, void *);
typedef int progress_function(void *);

struct evaluation {
    start_function *start;
    allocate_function *allocate;
    work_function *work;
    progress_function *progress;
    void *data;
    struct context *context;
};

static GUARDED struct _VipsThreadState *run_start(struct _VipsImage *image, void *arg)
{
    GUARDED_FRAME();
    struct evaluation *evaluation = arg;
    struct _VipsThreadState *result;

    SCOPE_RUN(evaluation->context, 0, result = evaluation->start(image, evaluation->data));
    return result;
}

static GUARDED int run_allocate(struct _VipsThreadState *state, void *arg, int *stop)
{
    GUARDED_FRAME();
    struct evaluation *evaluation = arg;
    int result;

    SCOPE_RUN(evaluation->context, 0, result = evaluation->allocate(state, evaluation->data, stop));
    return result;
}

static GUARDED int run_work(struct _VipsThreadState *state, void *arg)
{
    GUARDED_FRAME();
    struct evaluation *evaluation = arg;
    int result;

    SCOPE_RUN(evaluation->context, 0, result = evaluation->work(state, evaluation->data));
    return result;
}

static int run_progress(void *arg)
{
    struct evaluation *evaluation = arg;

    return evaluation->progress(evaluation->data);
}

int hook_vips_threadpool_run(struct _VipsImage *image, start_function *start,
                             allocate_function *allocate, work_function *work,
                             progress_function *progress, void *data)
{
    struct evaluation evaluation = {start, allocate, work, progress, data, NULL};
    int result;

    if (start && allocate && work)
        evaluation.context = context_capture(FAMILY_VIPS);
    if (!evaluation.context)
        return REAL(vips_threadpool_run)(image, start, allocate, work, progress, data);
    result = REAL(vips_threadpool_run)(image, run_start, run_allocate, run_work,
                                       progress ? run_progress : NULL, &evaluation);
    context_release_on(thread_self, evaluation.context);
    return result;
}
