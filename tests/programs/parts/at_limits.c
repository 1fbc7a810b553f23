/*
 * Asks for more of memory, descriptors and stack than a limit may allow, says what was refused, and hands a value to a thread
 * while it has all that there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 2048, BLOCK = 1 << 20, SMALL = 4096, FILES = 64 };

pthread_key_t request_key;
static char thread_stack[1 << 16] __attribute__((aligned(4096)));

static void *look(void *unused)
{
    printf(" handed over, %s;", pthread_getspecific(request_key) ? "and seen" : "not seen");
    return unused;
}

/* On a stack of our own: the C library may have none to give. */
static void hand_over(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, thread_stack, sizeof thread_stack);
    pthread_setspecific(request_key, &request_key);
    error = pthread_create(&thread, &attributes, look, NULL);
    if (error)
        printf(" error %d;", error);
    else
        pthread_join(thread, NULL);
    pthread_setspecific(request_key, NULL);
}

static void memory(void)
{
    static struct {
        void *at;
        size_t size;
    } blocks[BLOCKS];
    int count = 0;
    size_t size = BLOCK;

    printf("memory:");
    while (count < BLOCKS) {
        void *block = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (block != MAP_FAILED)
            blocks[count].at = block, blocks[count++].size = size;
        else if (size == SMALL)
            break;
        else
            size = SMALL; /* to the last page */
    }
    printf(" %s;", count < BLOCKS ? "refused" : "had all");
    hand_over();
    while (count)
        count--, munmap(blocks[count].at, blocks[count].size);
    hand_over();
    puts("");
}

static void files(void)
{
    int opened[FILES], count = 0;

    printf("descriptors:");
    while (count < FILES && (opened[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    printf(" %s;", count < FILES ? strerror(errno) : "had all");
    hand_over();
    while (count)
        close(opened[--count]);
    hand_over();
    puts("");
}

static __attribute__((noinline)) long deep(long bytes)
{
    volatile char page[1024];

    page[0] = (char)bytes;
    return bytes <= 0 ? page[0] : deep(bytes - (long)sizeof page) + page[0];
}

static void stack(void)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (!child)
        _exit(deep(1 << 20) == -1);
    waitpid(child, &status, 0);
    printf("stack: %s;", WIFSIGNALED(status) ? "refused" : "had all");
    hand_over();
    puts("");
}

int main(void)
{
    static char buffer[4096];

    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    pthread_key_create(&request_key, NULL);
    hand_over(); /* the C library's first thread asks for more */
    puts("");
    memory();
    files();
    stack();
    return 0;
}
