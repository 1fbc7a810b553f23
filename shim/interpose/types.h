/* The libraries' own types, by their real tags; none of their headers enters the shim. */
#ifndef BATON_INTERPOSE_TYPES_H
#define BATON_INTERPOSE_TYPES_H

#include <signal.h>

union pthread_attr_t;
struct apr_pool_t;
struct apr_thread_pool;
struct apr_thread_t;
struct apr_threadattr_t;
struct isc_loop;
struct isc_work;
struct nng_aio;
struct nng_ctx_s;
struct nng_http_client;
struct nng_http_conn;
struct nng_http_req;
struct nng_http_res;
struct nng_socket_s;
struct nng_stream;
struct nng_stream_dialer;
struct nng_stream_listener;
struct nng_thread;
struct ompt_start_tool_result_t;
struct pthreadpool;
struct QObject;
struct QRunnable;
struct QSocketNotifier;
struct QThread;
struct QThreadPool;
struct QThreadStorageData;
struct std_function;
struct tbb_delegate;
struct tbb_task;
struct _VipsImage;
struct _VipsThreadState;
struct ldap_int_thread_pool_s;
struct ucontext_t;

/* Boost's transfer_t: by value, so its members must be known. */
struct fcontext_transfer {
    void *fctx, *data;
};

struct itimerspec;
struct sigevent;
struct gaicb;
struct aiocb;
struct aiocb64;
struct async_job_st;
struct async_wait_ctx_st;
struct __jmp_buf_tag;
struct _GError;
struct _GIOChannel;
struct _GMainContext;
struct _GSource;
struct _GSourceCallbackFuncs;
struct _GThread;
struct _GThreadPool;
struct addrinfo;
struct ares_addrinfo;
struct ares_addrinfo_hints;
struct ares_channeldata;
struct hostent;
struct bufferevent;
struct ev_async;
struct ev_check;
struct ev_child;
struct ev_cleanup;
struct ev_fork;
struct ev_idle;
struct ev_io;
struct ev_loop;
struct ev_periodic;
struct ev_prepare;
struct ev_signal;
struct ev_stat;
struct ev_timer;
struct evbuffer;
struct evbuffer_cb_entry;
struct evbuffer_cb_info;
struct evconnlistener;
struct evdns_base;
struct evdns_getaddrinfo_request;
struct evdns_request;
struct evdns_server_port;
struct evdns_server_request;
struct event;
struct event_base;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;
struct evthread_lock_callbacks;
struct in6_addr;
struct in_addr;
struct inotify_event;
struct sd_event;
struct sd_event_source;
struct signalfd_siginfo;
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
