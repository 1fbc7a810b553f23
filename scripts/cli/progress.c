/*
 * A terminal sees that something goes on, and for how long. By a thread, because who reads a file is not asked for anything
 * meanwhile, and a timer of this process may be somebody's who wants it ended.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { PATIENCE_S = 2, SECOND_MS = 1000 };

static char *doing; /* NULL: nothing is shown */
static bool is_shown;
static int ends[2]; /* the thread ends when the second is closed */
static pthread_t thread;

static long now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void *show(void *unused)
{
    struct pollfd over = {.fd = ends[0], .events = POLLIN};
    long started = now_s();

    while (poll(&over, 1, SECOND_MS) == 0) {
        long seconds = now_s() - started;

        if (seconds < PATIENCE_S)
            continue;
        fprintf(stderr, "\rbaton: %s: %ld s", doing, seconds);
        is_shown = true;
    }
    return unused;
}

void progress_begin(const char *what)
{
    if (doing || !isatty(STDERR_FILENO) || pipe2(ends, O_CLOEXEC) != 0)
        return;
    say_before = progress_end;
    doing = allocated(strdup(what));
    is_shown = false;
    if (pthread_create(&thread, NULL, show, NULL) == 0)
        return;
    close(ends[0]);
    close(ends[1]);
    free(doing);
    doing = NULL;
}

void progress_end(void)
{
    if (!doing)
        return;
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    if (is_shown)
        fprintf(stderr, "\r%*s\r", (int)strlen(doing) + 30, "");
    free(doing);
    doing = NULL;
}
