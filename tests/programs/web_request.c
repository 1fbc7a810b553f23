// 400 concurrent tagged HTTP requests, served by a pool that logs: whose id stands in each log line?
// libs: libmicrohttpd glib-2.0
// usage: web_request [CARRIER [REQUESTS]]
#include "carrier.h"
#include <arpa/inet.h>
#include <glib.h>
#include <microhttpd.h>
#include <sys/resource.h>
#include <sys/socket.h>

static GThreadPool *pool;
static int right, orphaned, stitched;

/* One request: its id comes in a header, the answer is made by the pool. */
struct request {
    struct MHD_Connection *connection;
    long id, logged;
    int ready;
};

/*
 * The log line names whoever the thread works for. Some older jobs say so themselves (every third),
 * and half of those forget to take it back: that is what makes lines of other requests wrong.
 */
static void job(gpointer data, gpointer user_data)
{
    struct request *request = data;
    int old_style = request->id % 3 == 0;
    if (old_style)
        set_current(request->id);
    g_usleep(200);
    request->logged = current();
    if (request->logged == request->id)
        __atomic_add_fetch(&right, 1, __ATOMIC_RELAXED);
    else if (request->logged == 0)
        __atomic_add_fetch(&orphaned, 1, __ATOMIC_RELAXED);
    else
        __atomic_add_fetch(&stitched, 1, __ATOMIC_RELAXED);
    if (old_style && request->id % 2)
        set_current(0);
    __atomic_store_n(&request->ready, 1, __ATOMIC_RELEASE);
    MHD_resume_connection(request->connection);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct request *request = *state;
    if (!request) {
        const char *id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Request-Id");
        *state = request = g_new0(struct request, 1);
        request->connection = connection;
        request->id = id ? atol(id) : 0;
        set_current(request->id); /* what a server's middleware does */
        MHD_suspend_connection(connection);
        g_thread_pool_push(pool, request, NULL);
        set_current(0);
        return MHD_YES;
    }
    if (!__atomic_load_n(&request->ready, __ATOMIC_ACQUIRE))
        return MHD_YES;
    char body[64];
    snprintf(body, sizeof(body), "request %ld logged as %ld\n", request->id, request->logged);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    g_free(*state);
    *state = NULL;
}

/* The client: all requests are under way before the first answer is read. */
static int ask(int port, int requests)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int *sockets = g_new(int, requests), answered = 0;
    char text[512];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < requests; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(sockets[i], (struct sockaddr *)&address, sizeof(address)) != 0) {
            perror("connect");
            exit(2);
        }
    }
    for (int i = 0; i < requests; i++) {
        int length = snprintf(text, sizeof(text),
                              "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
                              "X-Request-Id: %d\r\n\r\n", i + 1);
        if (write(sockets[i], text, length) != length)
            exit(2);
    }
    for (int i = 0; i < requests; i++) {
        size_t have = 0;
        ssize_t got;
        while ((got = read(sockets[i], text + have, sizeof(text) - 1 - have)) > 0)
            have += got;
        text[have] = 0;
        answered += strstr(text, " 200 OK") != NULL && strstr(text, "logged as") != NULL;
        close(sockets[i]);
    }
    g_free(sockets);
    return answered;
}

int main(int argc, char **argv)
{
    struct rlimit files = {4096, 4096};
    carrier_choose(argc > 1 ? argv[1] : "key");
    int requests = argc > 2 ? atoi(argv[2]) : 400;
    setrlimit(RLIMIT_NOFILE, &files);
    pool = g_thread_pool_new(job, NULL, 4, FALSE, NULL);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_LIMIT, 1000u,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, 512u, MHD_OPTION_END);
    if (!daemon) {
        perror("no server");
        return 2;
    }
    int answered = ask(MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port, requests);
    MHD_stop_daemon(daemon);
    g_thread_pool_free(pool, FALSE, TRUE);
    printf("%d requests, %d answered; log lines:\n", requests, answered);
    printf("right     %4d\norphaned  %4d\nstitched  %4d\n", right, orphaned, stitched);
    return answered != requests || right != requests;
}
