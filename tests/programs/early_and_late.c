// Handoffs from preinit, from constructors, and from exit handlers work as without us.
// link: -Wl,-z,lazy
// usage: early_and_late
#include "carrier.h"

static void *body(void *seen)
{
    *(long *)seen = current();
    return NULL;
}

static long in_thread(long value)
{
    pthread_t thread;
    long seen = -1;
    set_current(value);
    if (pthread_create(&thread, NULL, body, &seen) != 0)
        return -2;
    pthread_join(thread, NULL);
    set_current(0);
    return seen;
}

static long in_preinit, in_constructor;
pthread_key_t early_key; /* made when nothing has started yet, used later */

static void *early_body(void *seen)
{
    *(void **)seen = pthread_getspecific(early_key);
    return NULL;
}

static long by_early_key(long value)
{
    pthread_t thread;
    void *seen = NULL;
    pthread_setspecific(early_key, (void *)value);
    pthread_create(&thread, NULL, early_body, &seen);
    pthread_join(thread, NULL);
    pthread_setspecific(early_key, NULL);
    return (long)seen;
}

/* No constructor has run, the C library's environ is not set. */
static void preinit(int argc, char **argv, char **environment)
{
    carrier = CARRIER_TLS;
    in_preinit = in_thread(1);
    pthread_key_t key;
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, &key);
    pthread_key_create(&early_key, NULL);
    pthread_key_delete(key);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char **,
                                                                              char **) = preinit;

__attribute__((constructor)) static void constructor(void)
{
    carrier_choose("key");
    in_constructor = in_thread(2);
}

static void at_exit(void)
{
    printf("thread of an exit handler ran: %d\n", in_thread(4) >= 0);
    fflush(stdout);
}

__attribute__((destructor)) static void destructor(void)
{
    char text[] = "thread of a destructor ran: ?\n";
    text[sizeof(text) - 3] = '0' + (in_thread(5) >= 0);
    if (write(1, text, sizeof(text) - 1) < 0)
        _exit(3);
}

int main(void)
{
    atexit(at_exit);
    printf("thread of preinit ran: %d\n", in_preinit >= 0);
    expect("thread of the constructor sees", in_constructor, 2);
    expect("thread of main sees", in_thread(3), 3);
    expect("by the key of preinit", by_early_key(6), 6);
    return verdict();
}
