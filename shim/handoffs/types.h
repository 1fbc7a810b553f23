/* The libraries' own types, by their real tags; none of their headers enters the shim. */
#ifndef BATON_HANDOFFS_TYPES_H
#define BATON_HANDOFFS_TYPES_H

union pthread_attr_t;
struct apr_pool_t;
struct apr_thread_pool;
struct apr_thread_t;
struct apr_threadattr_t;
struct ucontext_t;
struct sigevent;
struct gaicb;
struct aiocb;
struct aiocb64;
struct __jmp_buf_tag;
struct _GError;
struct _GIOChannel;
struct _GMainContext;
struct _GSource;
struct _GSourceCallbackFuncs;
struct _GThread;
struct _GThreadPool;
struct addrinfo;
struct bufferevent;
struct evconnlistener;
struct event;
struct event_base;
struct evthread_lock_callbacks;
struct sockaddr;
struct timeval;
struct uv_async_s;
struct uv_buf_t;
struct uv_check_s;
struct uv_connect_s;
struct uv_dir_s;
struct uv_fs_event_s;
struct uv_fs_poll_s;
struct uv_fs_s;
struct uv_getaddrinfo_s;
struct uv_getnameinfo_s;
struct uv_handle_s;
struct uv_idle_s;
struct uv_loop_s;
struct uv_pipe_s;
struct uv_poll_s;
struct uv_prepare_s;
struct uv_process_options_s;
struct uv_process_s;
struct uv_random_s;
struct uv_shutdown_s;
struct uv_signal_s;
struct uv_stat_t;
struct uv_stream_s;
struct uv_tcp_s;
struct uv_thread_options_s;
struct uv_timer_s;
struct uv_tty_s;
struct uv_udp_s;
struct uv_udp_send_s;
struct uv_work_s;
struct uv_write_s;

/* A function that answers a function cannot be written in a row. */
typedef void event_callback_function(int fd, short what, void *arg);

#endif
