/* Waiting until other threads rest. For all test programs, also those in which there is nothing else of carrier.h. */
#ifndef REST_H
#define REST_H
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) == -1 && errno == EINTR)
        ;
}

/* Whether all other threads sleep: one that the machine has no time for is not asleep. */
static inline int others_sleep(void)
{
    int sleeping = 1;
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char path[300], line[256] = "";
        const char *state;
        FILE *file;
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == syscall(SYS_gettid))
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/stat", entry->d_name);
        file = fopen(path, "r");
        if (!file) /* it has ended */
            continue;
        state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
        sleeping &= !state || state[2] == 'S';
        fclose(file);
    }
    if (folder)
        closedir(folder);
    return sleeping;
}

/*
 * Until the other threads have come to rest: a worker has left its last task and waits for the next, a thread
 * that nobody joins has ended. No pause is long enough for that on a busy machine.
 */
static inline void let_rest(void)
{
    for (int looks = 0, quiet = 0; looks < 2500 && quiet < 4; looks++) {
        sleep_ms(2);
        quiet = others_sleep() ? quiet + 1 : 0;
    }
}
#endif
