/* The libraries' own types, by their real tags; none of their headers enters the shim. */
#ifndef BATON_HANDOFFS_TYPES_H
#define BATON_HANDOFFS_TYPES_H

union pthread_attr_t;
struct _GError;
struct _GIOChannel;
struct _GMainContext;
struct _GSource;
struct _GSourceCallbackFuncs;
struct _GThread;
struct _GThreadPool;
struct uv_loop_s;
struct uv_thread_options_s;
struct uv_work_s;

#endif
