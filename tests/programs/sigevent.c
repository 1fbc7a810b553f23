// Callbacks by SIGEV_THREAD: timers, asynchronous I/O, look-ups and queues run in their maker's context.
// usage: sigevent MODE [CARRIER]; a mode is one promise, named in the table at the end
#define _GNU_SOURCE
#include "carrier.h"
#include <aio.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <netdb.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static long saw[8];
static int calls[8];

/* The callback is about to return when it is counted: its thread may still be there for a moment. */
static void callback(union sigval value)
{
    int number = value.sival_int;
    saw[number] = current();
    set_current(900 + number);
    __atomic_add_fetch(&calls[number], 1, __ATOMIC_RELEASE);
}

static struct sigevent by_thread(int number)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = callback};
    event.sigev_value.sival_int = number;
    return event;
}

static void await(int number, int count)
{
    for (int ms = 0; ms < 5000 && __atomic_load_n(&calls[number], __ATOMIC_ACQUIRE) < count; ms++)
        sleep_ms(1);
}

static void settle(void)
{
    let_rest(); /* the last callback's thread ends */
}

static timer_t start_timer(struct sigevent event, long every_ms)
{
    struct itimerspec when = {{0, every_ms * 1000000}, {0, 2000000}};
    timer_t timer;
    expect("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    timer_settime(timer, 0, &when, NULL);
    return timer;
}

static void mode_timer(void)
{
    set_current(101);
    timer_t first = start_timer(by_thread(1), 0);
    set_current(102);
    timer_t second = start_timer(by_thread(2), 0);
    set_current(9);
    await(1, 1);
    await(2, 1);
    settle();
    expect("timer 1 sees", saw[1], 101);
    expect("timer 2 sees", saw[2], 102);
    expect("the maker has", current(), 9);
    expect("timer_delete", timer_delete(first), 0);
    expect("timer_delete", timer_delete(second), 0);
}

static void counting(union sigval value)
{
    long now = current();
    int call = __atomic_add_fetch(&calls[0], 1, __ATOMIC_ACQ_REL);
    if (call < 8)
        saw[call] = now;
    set_current(now + 1);
}

/* What a repeating callback sets is there when it runs again, and for nobody else. */
static void mode_repeat(void)
{
    struct sigevent event = by_thread(0);
    event.sigev_notify_function = counting;
    set_current(100);
    timer_t timer = start_timer(event, 20);
    set_current(9);
    await(0, 5);
    expect("timer_delete", timer_delete(timer), 0);
    settle();
    for (int call = 1; call <= 5; call++)
        expect("call sees", saw[call], 99 + call);
    expect("the maker has", current(), 9);
}

/* A callback that the C library has started and that has not begun when its timer is deleted: the C library's helper
 * thread inherits real-time scheduling and may run while we do not sleep, the callback's own thread may not. */
static void mode_deleted_under_way(void)
{
    cpu_set_t one;
    struct sched_param high = {.sched_priority = 20}, low = {0};
    struct sigevent event = by_thread(1);
    pthread_attr_t attributes;
    struct timespec begun, now;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    if (sched_setscheduler(0, SCHED_FIFO, &high) != 0)
        exit(77);
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    pthread_attr_setschedparam(&attributes, &low);
    event.sigev_notify_attributes = &attributes;
    set_current(101);
    timer_t timer = start_timer(event, 0);
    set_current(9);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < 60);
    expect("timer_delete", timer_delete(timer), 0);
    sched_setscheduler(0, SCHED_OTHER, &low);
    await(1, 1);
    settle();
    expect("the callback sees", saw[1], 101);
}

static timer_t own_timer;

static void deletes_itself(union sigval value)
{
    saw[1] = current();
    timer_delete(own_timer);
    saw[2] = current();
    __atomic_add_fetch(&calls[1], 1, __ATOMIC_RELEASE);
}

static void mode_delete_in_callback(void)
{
    for (int round = 1; round <= 5; round++) {
        struct sigevent event = by_thread(1);
        struct itimerspec when = {{0, 0}, {0, 2000000}};
        event.sigev_notify_function = deletes_itself;
        set_current(100 + round);
        timer_create(CLOCK_MONOTONIC, &event, &own_timer);
        set_current(9);
        timer_settime(own_timer, 0, &when, NULL);
        await(1, round);
        expect("the callback sees", saw[1], 100 + round);
        expect("also after the deletion", saw[2], 100 + round);
    }
    settle();
}

/* Errors are told as ever, other kinds of notification left alone, unused timers forgotten. */
static void mode_timer_errors(void)
{
    struct sigevent event = by_thread(1), none = {.sigev_notify = SIGEV_NONE};
    timer_t timer;
    set_current(101);
    errno = 0;
    expect("wrong clock", timer_create(9999, &event, &timer), -1);
    expect("errno", errno, EINVAL);
    expect("untouched", event.sigev_notify_function == callback && event.sigev_value.sival_int == 1, 1);
    expect("no notification", timer_create(CLOCK_MONOTONIC, &none, &timer), 0);
    expect("delete", timer_delete(timer), 0);
    expect("by default", timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
    expect("delete", timer_delete(timer), 0);
    for (int i = 0; i < 50; i++) {
        timer_create(CLOCK_MONOTONIC, &event, &timer);
        timer_delete(timer);
    }
    timer = start_timer(by_thread(2), 0);
    set_current(9);
    await(2, 1);
    expect("the callback sees", saw[2], 101);
    timer_delete(timer);
    settle();
}

/* ---- asynchronous I/O ---- */

static int file(void)
{
    char name[] = "/tmp/baton-sigevent-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    return fd;
}

static struct aiocb request(int fd, int number, void *buffer, size_t size)
{
    struct aiocb one;
    memset(&one, 0, sizeof(one));
    one.aio_fildes = fd;
    one.aio_buf = buffer;
    one.aio_nbytes = size;
    one.aio_sigevent = by_thread(number);
    return one;
}

static void expect_own(const struct aiocb *one, int number)
{
    expect("its own callback", one->aio_sigevent.sigev_notify_function == callback, 1);
    expect("its own value", one->aio_sigevent.sigev_value.sival_int, number);
}

static void mode_aio(void)
{
    char text[] = "words", back[6] = "";
    int fd = file();
    struct aiocb write_it = request(fd, 1, text, 6), read_it = request(fd, 2, back, 6), sync_it = request(fd, 3, NULL, 0);
    set_current(101);
    expect("write", aio_write(&write_it), 0);
    set_current(9);
    await(1, 1);
    set_current(102);
    expect("read", aio_read(&read_it), 0);
    set_current(9);
    await(2, 1);
    set_current(103);
    expect("sync", aio_fsync(O_SYNC, &sync_it), 0);
    set_current(9);
    await(3, 1);
    settle();
    expect("read the words", strcmp(back, "words"), 0);
    expect("result", aio_return(&read_it), 6);
    for (int i = 1; i <= 3; i++)
        expect("the callback sees", saw[i], 100 + i);
    expect_own(&write_it, 1);
    expect_own(&read_it, 2);
    expect_own(&sync_it, 3);
    set_current(104);
    expect("the same request again", aio_write(&write_it), 0);
    set_current(9);
    await(1, 2);
    settle();
    expect("the callback sees", saw[1], 104);
    expect("the maker has", current(), 9);
    close(fd);
}

/* As container engines have it for processes that may look into one another. */
static void mode_aio_sandboxed(void)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_writev, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    expect("a sandbox", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    mode_aio();
}

/* A request that is copied while it is under way, and the copy queued: each time it is the program's callback. */
static void mode_aio_copied(void)
{
    int fd = file();
    static char text[] = "texts";
    struct aiocb one = request(fd, 1, text, 6), two;

    set_current(11);
    expect("write", aio_write(&one), 0);
    two = one; /* ours may be in it, or the program's again */
    await(1, 1);
    set_current(12);
    expect("the copy", aio_write(&two), 0);
    await(1, 2);
    expect("of the copy", saw[1], 12);
    close(fd);
    set_current(0);
}

static void mode_aio64(void)
{
    char text[] = "words", back[6] = "";
    int fd = file();
    struct aiocb one = request(fd, 1, text, 6), two = request(fd, 2, back, 6), three = request(fd, 3, NULL, 0);
    set_current(101);
    expect("write", aio_write64((struct aiocb64 *)&one), 0);
    await(1, 1);
    set_current(102);
    expect("read", aio_read64((struct aiocb64 *)&two), 0);
    await(2, 1);
    set_current(103);
    expect("sync", aio_fsync64(O_SYNC, (struct aiocb64 *)&three), 0);
    set_current(9);
    await(3, 1);
    settle();
    for (int i = 1; i <= 3; i++)
        expect("the callback sees", saw[i], 100 + i);
    close(fd);
}

/* Requests that fail, and ones that are cancelled in the queue. */
static void mode_aio_cancel(void)
{
    int ends[2];
    char back[4];
    struct aiocb bad = request(0, 1, NULL, 0), wait_it, cancel_it;
    set_current(101);
    bad.aio_reqprio = -5;
    errno = 0;
    expect("wrong priority", aio_read(&bad), -1);
    expect("errno", errno, EINVAL);
    expect_own(&bad, 1);
    expect("pipe", pipe(ends), 0);
    wait_it = request(ends[0], 2, back, 1);
    cancel_it = request(ends[0], 3, back, 1);
    set_current(102);
    expect("read", aio_read(&wait_it), 0);
    set_current(103);
    expect("read", aio_read(&cancel_it), 0);
    set_current(9);
    expect("cancel", aio_cancel(ends[0], &cancel_it), AIO_CANCELED);
    await(3, 1);
    expect("write", write(ends[1], "x", 1), 1);
    await(2, 1);
    settle();
    expect("the read one sees", saw[2], 102);
    expect("the cancelled one sees", saw[3], 103);
    expect_own(&cancel_it, 3);
}

static void mode_list(void)
{
    char text[] = "words";
    int fd = file();
    struct aiocb one = request(fd, 1, text, 6), two = request(fd, 2, text, 6), nothing = request(fd, 4, text, 6);
    struct aiocb *list[] = {&one, NULL, &two, &nothing};
    struct sigevent event = by_thread(3);
    one.aio_lio_opcode = two.aio_lio_opcode = LIO_WRITE;
    nothing.aio_lio_opcode = LIO_NOP;
    set_current(101);
    expect("list", lio_listio(LIO_NOWAIT, list, 4, &event), 0);
    set_current(9);
    for (int i = 1; i <= 3; i++)
        await(i, 1);
    settle();
    for (int i = 1; i <= 3; i++)
        expect("the callback sees", saw[i], 101);
    expect_own(&one, 1);
    expect("untouched", event.sigev_notify_function == callback && event.sigev_value.sival_int == 3, 1);
    set_current(102);
    two.aio_reqprio = -5;
    expect("list and wait", lio_listio64(LIO_WAIT, (struct aiocb64 **)list, 4, NULL), -1);
    set_current(9);
    await(1, 2);
    settle();
    expect("the callback sees", saw[1], 102);
    expect("the refused one ran", calls[2], 1);
    expect_own(&two, 2);
    expect("wrong mode", lio_listio(77, list, 4, NULL), -1);
    close(fd);
}

static void mode_lookup(void)
{
    struct gaicb one = {.ar_name = "127.0.0.1"}, *list[] = {&one};
    struct sigevent event = by_thread(1), empty = by_thread(2);
    set_current(101);
    expect("look up", getaddrinfo_a(GAI_NOWAIT, list, 1, &event), 0);
    set_current(102);
    expect("nothing", getaddrinfo_a(GAI_NOWAIT, list, 0, &empty), 0);
    set_current(9);
    await(1, 1);
    await(2, 1);
    settle();
    expect("the callback sees", saw[1], 101);
    expect("of an empty list", saw[2], 102);
    expect("wait", getaddrinfo_a(GAI_WAIT, list, 1, &event), 0);
    expect("not called again", calls[1], 1);
    freeaddrinfo(one.ar_result);
}

static void mode_queue(void)
{
    char name[64], message[64];
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
    struct sigevent event = by_thread(1);
    mqd_t queue;
    snprintf(name, sizeof name, "/baton-sigevent-%d", (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes);
    if (queue == (mqd_t)-1) {
        puts("no queues here");
        exit(77);
    }
    mq_unlink(name);
    for (int round = 1; round <= 3; round++) {
        set_current(100 + round);
        expect("notify", mq_notify(queue, &event), 0);
        set_current(50);
        expect("twice", mq_notify(queue, &event), -1);
        set_current(9);
        mq_send(queue, "x", 1, 0);
        await(1, round);
        mq_receive(queue, message, sizeof message, NULL);
        expect("the callback sees", saw[1], 100 + round);
    }
    set_current(105);
    expect("notify", mq_notify(queue, &event), 0);
    expect("not after all", mq_notify(queue, NULL), 0);
    expect("notify", mq_notify(queue, &event), 0);
    set_current(9);
    expect("close", mq_close(queue), 0);
    settle();
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"timer", mode_timer},   {"repeat", mode_repeat}, {"delete_in_callback", mode_delete_in_callback},
    {"deleted_under_way", mode_deleted_under_way}, {"timer_errors", mode_timer_errors}, {"aio", mode_aio}, {"aio_sandboxed", mode_aio_sandboxed}, {"aio_copied", mode_aio_copied}, {"aio64", mode_aio64}, {"aio_cancel", mode_aio_cancel},
    {"list", mode_list},     {"lookup", mode_lookup}, {"queue", mode_queue},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            set_current(0);
            return verdict();
        }
    return 2;
}
