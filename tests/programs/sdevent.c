// sd-event sources: a callback runs in the context of the call that added its source.
// libs: libsystemd
// usage: sdevent MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

/* Since systemd 250. */
int sd_event_add_inotify_fd(sd_event *event, sd_event_source **source, int fd, uint32_t mask,
                            sd_event_inotify_handler_t callback, void *userdata) __attribute__((weak));

static sd_event *loop;
static long saw[24], calls, starts, destroyed;

static int note(sd_event_source *source, void *userdata)
{
    saw[(long)userdata] = current();
    set_current(7000);
    calls++;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    return note(source, userdata);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    return note(source, userdata);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    return note(source, userdata);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
    return note(source, userdata);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    return note(source, userdata);
}

static void *next(void)
{
    set_current(100 + ++starts);
    return (void *)starts;
}

static void mode_ways(void)
{
    sd_event_source *sources[16] = {0};
    int ends[2], n = 0;
    char path[] = "/tmp/baton-sd-XXXXXX";
    if (!sd_event_add_inotify_fd)
        exit(77);
    int file = mkstemp(path);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    if (pipe(ends) || write(ends[1], "x", 1) != 1)
        abort();
#define ADD(kind, ...) expect("added " #kind, sd_event_add_##kind(loop, &sources[n++], ##__VA_ARGS__, next()) >= 0, 1)
    ADD(io, ends[0], EPOLLIN, on_io);
    ADD(time, CLOCK_MONOTONIC, 0, 0, on_time);
    ADD(time_relative, CLOCK_MONOTONIC, 1000, 0, on_time);
    ADD(signal, SIGUSR1, on_signal);
    pid_t child = fork();
    if (!child)
        _exit(0);
    ADD(child, child, WEXITED, on_child);
    ADD(inotify, path, IN_MODIFY, on_inotify);
    ADD(defer, note);
    ADD(post, note);
    /* Floating: nobody holds it. */
    expect("added floating", sd_event_add_defer(loop, NULL, note, next()) >= 0, 1);
    expect("added floating", sd_event_add_time(loop, NULL, CLOCK_MONOTONIC, 0, 0, on_time, next()) >= 0, 1);
    ADD(exit, note);
    set_current(9);
    raise(SIGUSR1);
    if (write(file, "text", 4) != 4)
        abort();
    for (int i = 0; i < 1000 && calls < starts - 1; i++)
        sd_event_run(loop, 10000);
    sd_event_exit(loop, 0);
    sd_event_loop(loop);
    unlink(path);
    expect("the loop's thread has", current(), 9);
    expect("calls", calls, starts);
    for (int i = 1; i <= starts; i++)
        expect("callback sees", saw[i], 100 + i);
    for (int i = 0; i < n; i++)
        sd_event_source_unref(sources[i]);
}

/* A child by its descriptor instead of its number; one that is killed with its source. */
static void mode_children(void)
{
    sd_event_source *sources[2] = {0};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (!child) {
            if (i)
                pause();
            _exit(3);
        }
        int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        if (pidfd < 0) {
            puts("no pidfd_open");
            exit(77);
        }
        expect("added child", sd_event_add_child_pidfd(loop, &sources[i], pidfd, WEXITED, on_child, next()) >= 0, 1);
        sd_event_source_set_child_pidfd_own(sources[i], 1);
        if (i)
            sd_event_source_set_child_process_own(sources[i], 1); /* killed with its source */
    }
    set_current(9);
    for (int i = 0; i < 1000 && calls < 1; i++)
        sd_event_run(loop, 10000);
    expect("the loop's thread has", current(), 9);
    expect("calls", calls, 1);
    expect("child's callback sees", saw[1], 101);
    for (int i = 0; i < 2; i++)
        sd_event_source_unref(sources[i]);
}

/* A file by its descriptor instead of its path; one that nothing happens to. */
static void mode_files(void)
{
    sd_event_source *sources[2] = {0};
    char path[] = "/tmp/baton-sd-XXXXXX";
    int file;
    if (!sd_event_add_inotify_fd)
        exit(77);
    file = mkstemp(path);
    for (int i = 0; i < 2; i++) {
        int fd = open(path, O_RDWR);
        expect("added inotify", sd_event_add_inotify_fd(loop, &sources[i], fd, i ? IN_DELETE_SELF : IN_MODIFY, on_inotify, next()) >= 0, 1);
        close(fd);
    }
    set_current(9);
    if (write(file, "text", 4) != 4)
        abort();
    for (int i = 0; i < 1000 && calls < 1; i++)
        sd_event_run(loop, 10000);
    expect("the loop's thread has", current(), 9);
    expect("calls", calls, 1);
    expect("file's callback sees", saw[1], 101);
    for (int i = 0; i < 2; i++)
        sd_event_source_unref(sources[i]);
    unlink(path);
}

static int on_tick(sd_event_source *source, void *userdata)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 3)
        sd_event_source_unref(*(sd_event_source **)userdata); /* frees itself */
    return 0;
}

/* What a callback sets is there when it runs the next time, and for nobody else. */
static void mode_keeps(void)
{
    sd_event_source *source;
    set_current(101);
    sd_event_add_defer(loop, &source, on_tick, &source);
    sd_event_source_set_enabled(source, SD_EVENT_ON);
    set_current(9);
    while (calls < 3) {
        sd_event_run(loop, 0);
        expect("between ticks", current(), 9);
    }
    for (int i = 0; i < 3; i++)
        expect("tick sees", saw[i + 1], 101 + 1000 * i);
}

static void on_destroy(void *userdata)
{
    destroyed += (long)userdata;
}

static int on_prepare(sd_event_source *source, void *userdata)
{
    saw[4] = current();
    set_current(6000);
    return 0;
}

/* What is asked of a source is the program's own. */
static void mode_getters(void)
{
    sd_event_source *source;
    sd_event_destroy_t destroy = NULL;
    set_current(101);
    sd_event_add_time(loop, &source, CLOCK_MONOTONIC, 0, 0, on_time, (void *)7);
    expect("userdata", (long)sd_event_source_get_userdata(source), 7);
    expect("no destroy callback", sd_event_source_get_destroy_callback(source, &destroy), 0);
    expect("set", sd_event_source_set_destroy_callback(source, on_destroy), 0);
    expect("destroy callback", sd_event_source_get_destroy_callback(source, &destroy) == 1 && destroy == on_destroy, 1);
    expect("old userdata", (long)sd_event_source_set_userdata(source, (void *)8), 7);
    expect("userdata", (long)sd_event_source_get_userdata(source), 8);
    expect("prepare", sd_event_source_set_prepare(source, on_prepare), 0);
    set_current(9);
    sd_event_run(loop, 10000);
    expect("callback sees", saw[8] != 9 && saw[8] != 0, 1);
    expect("prepare sees", saw[4], 101);
    expect("the loop's thread has", current(), 9);
    sd_event_source_unref(source);
    expect("destroyed with", destroyed, 8);
}

/* Sources that never run, and one that is refused. */
static void mode_dropped(void)
{
    sd_event_source *source;
    set_current(101);
    expect("refused", sd_event_add_io(loop, &source, -1, EPOLLIN, on_io, NULL) < 0, 1);
    sd_event_add_time(loop, &source, CLOCK_MONOTONIC, UINT64_MAX - 1, 0, on_time, (void *)5);
    sd_event_source_set_destroy_callback(source, on_destroy);
    sd_event_add_defer(loop, NULL, note, (void *)1);
    sd_event_add_exit(loop, NULL, note, (void *)2); /* goes with the loop */
    set_current(9);
    sd_event_run(loop, 0);
    sd_event_source_unref(source);
    expect("destroyed with", destroyed, 5);
    expect("callback sees", saw[1], 101);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"ways", mode_ways}, {"keeps", mode_keeps}, {"getters", mode_getters}, {"dropped", mode_dropped},
             {"children", mode_children}, {"files", mode_files}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    sd_event_new(&loop);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            sd_event_unref(loop);
            return verdict();
        }
    return 2;
}
