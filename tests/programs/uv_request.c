// libuv requests: every one runs its callback in the context of its submit.
// libs: libuv
// usage: uv_request MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <uv.h>

enum { MAX = 64 };

static uv_loop_t *loop;
static long saw[MAX], statuses[MAX], submits, done;

/* The request may be any memory and may be gone when its callback returns. */
static void *request_new(size_t size)
{
    void *request = malloc(size);
    memset(request, 0xaa, size);
    ((uv_req_t *)request)->data = (void *)submits;
    return request;
}

static void note(uv_req_t *request, long status, size_t size)
{
    long number = (long)request->data;
    saw[number] = current();
    statuses[number] = status;
    set_current(7000 + number);
    memset(request, 0xdd, size);
    free(request);
    done++;
}

static void on_fs(uv_fs_t *request)
{
    long result = request->result;
    uv_fs_req_cleanup(request);
    note((uv_req_t *)request, result, sizeof(*request));
}

static void on_addrinfo(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    uv_freeaddrinfo(addresses);
    note((uv_req_t *)request, status, sizeof(*request));
}

static void on_nameinfo(uv_getnameinfo_t *request, int status, const char *host, const char *service)
{
    note((uv_req_t *)request, status, sizeof(*request));
}

static void on_random(uv_random_t *request, int status, void *buffer, size_t length)
{
    note((uv_req_t *)request, status, sizeof(*request));
}

static void on_write(uv_write_t *request, int status)
{
    note((uv_req_t *)request, status, sizeof(*request));
}

static void on_connect(uv_connect_t *request, int status)
{
    note((uv_req_t *)request, status, sizeof(*request));
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    note((uv_req_t *)request, status, sizeof(*request));
}

static void on_send(uv_udp_send_t *request, int status)
{
    note((uv_req_t *)request, status, sizeof(*request));
}

static void next(void)
{
    set_current(100 + ++submits);
}

static void run(void)
{
    set_current(9);
    uv_run(loop, UV_RUN_DEFAULT);
    expect("the loop's thread has", current(), 9);
}

static void check_all(void)
{
    expect("callbacks", done, submits);
    for (long i = 1; i <= submits; i++) {
        expect("callback sees", saw[i], 100 + i);
        if (statuses[i] < 0)
            printf("status %ld: %s\n", i, uv_err_name((int)statuses[i])), wrong_results++;
    }
}

#define FS(call, ...)                                                             \
    do {                                                                          \
        next();                                                                   \
        if (uv_fs_##call(loop, request_new(sizeof(uv_fs_t)), __VA_ARGS__, on_fs)) \
            wrong_results++, puts(#call " failed");                               \
        run();                                                                    \
    } while (0)

/* Every function of the file system, one after the other, in a folder of its own. */
static void mode_fs(void)
{
    char folder[] = "/tmp/baton-uv-XXXXXX", text[8] = "data";
    uv_buf_t buffer = uv_buf_init(text, 4);
    uv_fs_t plain;
    uv_dirent_t entries[4];
    uv_dir_t *dir;
    int fd, more;
    if (!mkdtemp(folder) || chdir(folder))
        abort();
    fd = open("file", O_CREAT | O_RDWR, 0600);
    FS(open, "file", O_RDWR, 0);
    more = (int)statuses[submits];
    FS(write, fd, &buffer, 1, 0);
    FS(read, fd, &buffer, 1, 0);
    FS(close, more);
    FS(copyfile, "file", "copy", 0);
    FS(mkdir, "sub", 0700);
    FS(mkdtemp, "tempXXXXXX");
    FS(mkstemp, "moreXXXXXX");
    close((int)statuses[submits]);
    FS(scandir, ".", 0);
    FS(stat, "file");
    FS(fstat, fd);
    FS(lstat, "file");
    FS(statfs, ".");
    FS(rename, "copy", "renamed");
    FS(fsync, fd);
    FS(fdatasync, fd);
    FS(ftruncate, fd, 2);
    FS(sendfile, fd, open("/dev/null", O_RDONLY), 0, 1);
    FS(access, "file", R_OK);
    FS(chmod, "file", 0600);
    FS(fchmod, fd, 0600);
    FS(chown, "file", geteuid(), getegid());
    FS(fchown, fd, geteuid(), getegid());
    FS(lchown, "file", geteuid(), getegid());
    FS(utime, "file", 1, 2);
    FS(futime, fd, 1, 2);
    FS(lutime, "file", 1, 2);
    FS(link, "file", "linked");
    FS(symlink, "file", "symbolic", 0);
    FS(readlink, "symbolic");
    FS(realpath, "symbolic");
    FS(opendir, ".");
    /* A second time, synchronously, for the folder itself. */
    uv_fs_opendir(NULL, &plain, ".", NULL);
    dir = plain.ptr;
    dir->dirents = entries;
    dir->nentries = 4;
    uv_fs_req_cleanup(&plain);
    FS(readdir, dir);
    FS(closedir, dir);
    FS(unlink, "renamed");
    FS(rmdir, "sub");
    check_all();
    expect("submits", submits, 36);
    set_current(5);
    expect("synchronous stat", uv_fs_stat(loop, &plain, "file", NULL), 0);
    uv_fs_req_cleanup(&plain);
    expect("after it", current(), 5);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command))
        puts("not removed");
}

static void close_handle(uv_handle_t *handle, void *argument)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void on_connection(uv_stream_t *server, int status)
{
}

/* Names, random numbers, streams, datagrams. */
static void mode_others(void)
{
    static char text[8] = "message";
    static uv_tcp_t server, client, sent;
    static uv_pipe_t pipe, ipc;
    static uv_udp_t udp;
    uv_buf_t buffer = uv_buf_init(text, 4);
    struct sockaddr_in address;
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    int length = sizeof(address), ends[2];
    uv_ip4_addr("127.0.0.1", 0, &address);
    next(), uv_getaddrinfo(loop, request_new(sizeof(uv_getaddrinfo_t)), on_addrinfo, "127.0.0.1", NULL, &numeric);
    next(), uv_getnameinfo(loop, request_new(sizeof(uv_getnameinfo_t)), on_nameinfo, (struct sockaddr *)&address,
                           NI_NUMERICHOST);
    next(), uv_random(loop, request_new(sizeof(uv_random_t)), text, 4, 0, on_random);
    run();
    uv_tcp_init(loop, &server);
    uv_tcp_bind(&server, (struct sockaddr *)&address, 0);
    uv_listen((uv_stream_t *)&server, 8, on_connection);
    uv_tcp_getsockname(&server, (struct sockaddr *)&address, &length);
    uv_unref((uv_handle_t *)&server);
    uv_tcp_init(loop, &client);
    next(), uv_tcp_connect(request_new(sizeof(uv_connect_t)), &client, (struct sockaddr *)&address, on_connect);
    next(), uv_write(request_new(sizeof(uv_write_t)), (uv_stream_t *)&client, &buffer, 1, on_write);
    next(), uv_shutdown(request_new(sizeof(uv_shutdown_t)), (uv_stream_t *)&client, on_shutdown);
    run();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    uv_pipe_init(loop, &ipc, 1);
    uv_pipe_open(&ipc, ends[0]);
    uv_tcp_init_ex(loop, &sent, AF_INET);
    next(), uv_write2(request_new(sizeof(uv_write_t)), (uv_stream_t *)&ipc, &buffer, 1, (uv_stream_t *)&sent, on_write);
    uv_udp_init(loop, &udp);
    next(), uv_udp_send(request_new(sizeof(uv_udp_send_t)), &udp, &buffer, 1, (struct sockaddr *)&address, on_send);
    run();
    check_all();
    uv_pipe_init(loop, &pipe, 0);
    next(), uv_pipe_connect(request_new(sizeof(uv_connect_t)), &pipe, "/nobody/here", on_connect);
    run();
    expect("callback sees", saw[submits], 100 + submits);
    expect("status", statuses[submits] == UV_ENOENT, 1);
    uv_walk(loop, close_handle, NULL);
    run();
}

static struct gate gate = GATE_CLOSED;

static void hold_work(uv_work_t *request)
{
    gate_wait(&gate);
}

/* Cancelled requests, and requests of handles that are closed, still run their callbacks. */
static void mode_cancel(void)
{
    static uv_work_t blocks[2];
    static uv_tcp_t client;
    struct sockaddr_in address;
    uv_fs_t *request;
    for (int i = 0; i < 2; i++)
        uv_queue_work(loop, &blocks[i], hold_work, NULL);
    gate_await(&gate, 2);
    next(), uv_fs_stat(loop, request = request_new(sizeof(uv_fs_t)), "/", on_fs);
    expect("cancel", uv_cancel((uv_req_t *)request), 0);
    gate_open(&gate);
    uv_tcp_init(loop, &client);
    uv_ip4_addr("127.0.0.1", 1, &address);
    next(), uv_tcp_connect(request_new(sizeof(uv_connect_t)), &client, (struct sockaddr *)&address, on_connect);
    uv_close((uv_handle_t *)&client, NULL);
    run();
    expect("cancelled sees", saw[1], 101);
    expect("cancelled status", statuses[1] == UV_ECANCELED, 1);
    expect("closed sees", saw[2], 102);
    expect("closed status", statuses[2] == UV_ECANCELED, 1);
}

/* Submits that fail tell so at once and never call back. */
static void mode_errors(void)
{
    static uv_random_t random;
    static uv_getaddrinfo_t addrinfo;
    static uv_shutdown_t shutdown;
    static uv_pipe_t pipe;
    uv_pipe_init(loop, &pipe, 0);
    next();
    printf("random: %s\n", uv_err_name(uv_random(loop, &random, &pipe, 4, 1, on_random)));
    printf("addrinfo: %s\n", uv_err_name(uv_getaddrinfo(loop, &addrinfo, on_addrinfo, NULL, NULL, NULL)));
    printf("shutdown: %s\n", uv_err_name(uv_shutdown(&shutdown, (uv_stream_t *)&pipe, on_shutdown)));
    printf("no request: %s\n", uv_err_name(uv_fs_stat(loop, NULL, "/", on_fs)));
    uv_close((uv_handle_t *)&pipe, NULL);
    run();
    expect("callbacks", done, 0);
    next(), uv_fs_stat(loop, request_new(sizeof(uv_fs_t)), "/", on_fs);
    run();
    expect("callback sees", saw[2], 102);
}

static uv_fs_t again;

static void on_again(uv_fs_t *request)
{
    long number = (long)request->data;
    saw[number] = current();
    uv_fs_req_cleanup(request);
    if (number < 5) {
        request->data = (void *)(number + 1);
        uv_fs_stat(loop, request, "/", on_again); /* a chain */
        set_current(6000);
    }
}

static void mode_chain(void)
{
    again.data = (void *)1;
    set_current(101);
    uv_fs_stat(loop, &again, "/", on_again);
    run();
    for (int i = 1; i <= 5; i++)
        expect("link sees", saw[i], 101);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"fs", mode_fs}, {"others", mode_others}, {"cancel", mode_cancel}, {"errors", mode_errors}, {"chain", mode_chain},
};

int main(int argc, char **argv)
{
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    carrier_choose(argc > 2 ? argv[2] : "key");
    loop = uv_default_loop();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            uv_loop_close(loop);
            return verdict();
        }
    return 2;
}
