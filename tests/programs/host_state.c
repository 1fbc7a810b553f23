// link: -lm
/*
 * Prints what a process can see of itself: at the start of main, with handed over work done, and at exit. Signals,
 * descriptors and their flags, every string of the environment and where it lies, errno, floating point, umask, folder, threads,
 * /proc/self, the names in its maps.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;
static char **first_environ;
pthread_key_t request_key;
__thread long request_word;

/* Functions that a user may name. */
void submit(void (*function)(void *), void *argument)
{
    function(argument);
}

static void count(const char *what, const char *folder)
{
    DIR *dir = opendir(folder);
    unsigned entries = 0;

    while (dir && readdir(dir))
        entries++;
    printf("%s %u\n", what, entries);
    if (dir)
        closedir(dir);
}

static void print_file(const char *path)
{
    char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);

    printf("%s:", path);
    for (ssize_t i = 0; i < len; i++)
        putchar(text[i] ? text[i] : ' ');
    putchar('\n');
    if (fd >= 0)
        close(fd);
}

/* What stands in it is nobody's business. */
static void print_variable(const char *entry)
{
    unsigned long sum = 5381;

    for (const char *c = entry; *c; c++)
        sum = sum * 33 + (unsigned char)*c;
    printf("variable %.*s %lx\n", (int)strcspn(entry, "="), entry, sum);
}

/* Each name once: between two mappings of a file another's may lie, the loader's of glibc 2.31 leave room. */
static void print_names(void)
{
    static char seen[1 << 16];
    size_t len = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4400];

    while (maps && fgets(line, sizeof line, maps)) {
        char *name = strpbrk(line, "/["), *at;

        if (!name || len + strlen(name) >= sizeof seen)
            continue;
        for (at = seen; at < seen + len && strcmp(at, name) != 0;)
            at += strlen(at) + 1;
        if (at < seen + len)
            continue;
        len += strlen(strcpy(seen + len, name)) + 1;
        printf("map %s", name);
    }
    if (maps)
        fclose(maps);
}

static void look(const char *when)
{
    int saved_errno = errno, fd = open("/dev/null", O_RDONLY);
    struct sigaction action;
    sigset_t set;
    char folder[4096];
    mode_t mask = umask(0);
    stack_t stack;
    struct itimerval timer;
    unsigned loader = 0, in_place = 0;

    umask(mask);
    printf("-- %s: errno %d, next descriptor %d, umask %03o, folder %s\n", when, saved_errno, fd, (unsigned)mask,
           getcwd(folder, sizeof folder));
    close(fd);
    for (int i = 0; i < 20; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            printf("descriptor %d: %x %x\n", i, fcntl(i, F_GETFD), fcntl(i, F_GETFL));
    }
    for (int i = 1; i < 65; i++) {
        if (sigaction(i, NULL, &action) == 0 && (action.sa_handler != SIG_DFL || action.sa_flags) && i != 32 && i != 33)
            printf("signal %d: %d %x\n", i, action.sa_handler == SIG_IGN, action.sa_flags);
    }
    sigprocmask(SIG_BLOCK, NULL, &set);
    for (int i = 1; i < 65; i++) {
        if (sigismember(&set, i))
            printf("blocked %d\n", i);
    }
    sigpending(&set);
    for (int i = 1; i < 65; i++) {
        if (sigismember(&set, i))
            printf("pending %d\n", i);
    }
    sigaltstack(NULL, &stack);
    printf("rounding %d, exceptions %x, traps %x, locale %s %s\n", fegetround(), fetestexcept(FE_ALL_EXCEPT),
           fegetexcept(), setlocale(LC_ALL, NULL), uselocale((locale_t)0) == LC_GLOBAL_LOCALE ? "global" : "own");
    printf("alternative stack %d, dumpable %d, subreaper %d\n", stack.ss_flags, prctl(PR_GET_DUMPABLE),
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    for (int i = 0; i < 3; i++) {
        getitimer((__itimer_which_t)i, &timer);
        printf("timer %d: %ld\n", i, (long)(timer.it_value.tv_sec | timer.it_value.tv_usec));
    }
    printf("environment %s\n", environ ? "there" : "NULL");
    for (char **entry = environ; entry && *entry; entry++) {
        in_place += entry[1] == *entry + strlen(*entry) + 1 || !entry[1];
        if (!strncmp(*entry, "BATON_", 6) || !strncmp(*entry, "LD_", 3))
            loader++;
        else
            print_variable(*entry);
    }
    for (unsigned i = 0; environ && environ[i]; i++)
        in_place--;
    printf("HOME %s, %s, array %s, %d out of place\n", getenv("HOME") ? getenv("HOME") : "none",
           loader ? "and the loader's" : "no others", environ == first_environ ? "the kernel's" : "another", -(int)in_place);
    count("descriptors", "/proc/self/fd");
    count("threads", "/proc/self/task");
    print_file("/proc/self/comm");
    print_file("/proc/self/oom_score_adj");
    print_file("/proc/self/timerslack_ns");
    print_names();
    errno = saved_errno;
}

static void *run(void *unused)
{
    request_word++;
    errno = 7;
    look("in a thread");
    return pthread_getspecific(request_key) ? NULL : unused;
}

static void task(void *unused)
{
    (void)unused;
}

static void at_exit(void)
{
    look("at exit");
}

int main(int argc, char **argv, char **environment)
{
    pthread_t thread;

    first_environ = environment;
    setvbuf(stdout, NULL, _IOLBF, 4096);
    look("in main");
    atexit(at_exit);
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, &thread);
    request_word = 1;
    errno = 5;
    fesetround(FE_UPWARD);
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        return 2;
    pthread_join(thread, NULL);
    submit(task, NULL);
    look("after a handoff");
    fesetround(FE_TONEAREST);
    return 0;
}
