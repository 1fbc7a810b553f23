// What programs have in common that shut themselves in before they first hand anything over: see sandbox_exact.c. A program has
// ways, and calls sandbox_main.
#ifndef SANDBOX_H
#define SANDBOX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fenv.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __cplusplus
#define SANDBOX_C extern "C"
SANDBOX_C pthread_key_t request_key;
SANDBOX_C __thread long request_word;
#else
#define SANDBOX_C
#endif

enum { ALLOWED_MAX = 100, MARK = -4242, SAID = 1 << 16 };

pthread_key_t request_key;
__thread long request_word;
static __thread long request_local;
static locale_t request_locale;
static char *request_text;
static sem_t done;
static int asks_name; /* what tells the task's name is a call of the system that is allowed, or not */
static char said[SAID];

SANDBOX_C long request_get(void)
{
    return request_local;
}

SANDBOX_C void request_set(long value)
{
    request_local = value;
}

static void say(const char *text)
{
    (void)!write(1, text, strlen(text));
}

/* Values of this thread's. */
static void take_values(void)
{
    request_word = 42;
    request_local = 43;
    pthread_setspecific(request_key, request_text);
    uselocale(request_locale);
    fesetround(FE_UPWARD);
    prctl(PR_SET_NAME, "submitter");
}

static void drop_values(void)
{
    request_word = 0;
    request_local = 0;
    pthread_setspecific(request_key, NULL);
    uselocale(LC_GLOBAL_LOCALE);
    fesetround(FE_TONEAREST);
}

static void look(const char *way)
{
    const char *text = (const char *)pthread_getspecific(request_key);
    char name[16] = "", line[256];
    size_t len = 0;

    if (asks_name)
        prctl(PR_GET_NAME, name);

    const char *parts[] = {way, ":", request_word == 42 ? " word" : "", request_local == 43 ? " pair" : "",
                           text && !strcmp(text, "text") ? " key" : "", uselocale(0) == LC_GLOBAL_LOCALE ? "" : " locale",
                           fegetround() == FE_UPWARD ? " fenv" : "", strcmp(name, "submitter") ? "" : " name", "\n"};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        len += strlen(strcpy(line + len, parts[i]));
    say(line);
}

/* Each number allowed is two instructions, and what is none of them is the end. */
static void shut_in(const char *numbers)
{
    static struct sock_filter filter[2 * ALLOWED_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_filter end_it = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {1, filter};
    char *end;

    for (; *numbers; numbers = *end == ',' ? end + 1 : end) {
        long number = strtol(numbers, &end, 10);

        if (end == numbers || program.len >= 2 * ALLOWED_MAX)
            _exit(2);
        struct sock_filter equal = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
        filter[program.len++] = equal;
        filter[program.len++] = allow;
    }
    filter[program.len++] = end_it;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

struct way {
    const char *name;
    void (*begin)(void), (*go)(void);
};

static int sandbox_main(const struct way *way, int argc, char **argv)
{
    if (argc < 2)
        return 1;
    asks_name = getenv("ASKS_NAME") != NULL;
    mallopt(M_ARENA_MAX, 1);
    setvbuf(stdout, said, _IOFBF, sizeof said);
    sem_init(&done, 0, 0);
    request_text = strdup("text");
    request_locale = newlocale(LC_ALL_MASK, "C", NULL);
    pthread_key_create(&request_key, NULL);
    while (strcmp(way->name, argv[1])) {
        if (!(++way)->name) // the table's end
            return 2;
    }
    if (way->begin)
        way->begin();
    take_values();
    if (argc > 2)
        shut_in(argv[2]);
    else
        syscall(SYS_close, MARK);
    way->go();
    printf("it ends\n");
    return 0;
}

#endif
