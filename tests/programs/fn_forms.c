// State behind a function that writes it to an address, or that answers where it is, is the task's of its request.
// libs: glib-2.0
// usage: fn_forms device|small|wide|place|large|heap|everybody|overflow|nowhere
#define ENDS_UNTOLD
#include "adapter.h"

/* As CUDA has its device: int written to an address, int taken; what is answered says whether it worked. */
static __thread int device;
__attribute__((noinline, used)) int device_get(int *to)
{
    *to = device;
    errno = ERANGE;
    return to ? 0 : 1;
}
__attribute__((noinline, used)) int device_set(int now)
{
    device = now;
    errno = ERANGE;
    return 0;
}

static __thread unsigned char small;
__attribute__((noinline, used)) void small_get(unsigned char *to) { *to = small; }
__attribute__((noinline, used)) void small_set(unsigned char now) { small = now; }

/* As fegetenv and fesetenv: by address both ways. */
struct wide {
    long one, two, three;
};
static __thread struct wide wide;
__attribute__((noinline, used)) void wide_get(struct wide *to) { *to = wide; }
__attribute__((noinline, used)) void wide_put(const struct wide *from) { wide = *from; }

/* As __h_errno_location, and a state larger than most. */
struct place {
    int number;
    char text[8];
};
static __thread struct place place;
__attribute__((noinline, used)) struct place *place_at(void) { return &place; }
static __thread long large[100];
__attribute__((noinline, used)) long *large_at(void) { return large; }

/* As libxml2: made in a thread's first call, on the heap; the first thread's is static. */
static long of_main;
static pthread_key_t of_others;
__attribute__((noinline, used)) long *heap_at(void)
{
    static pthread_t first;
    long *mine;
    if (!first)
        first = pthread_self();
    if (pthread_equal(first, pthread_self()))
        return &of_main;
    mine = pthread_getspecific(of_others);
    if (!mine)
        pthread_setspecific(of_others, mine = calloc(1, sizeof *mine));
    return mine;
}

/* What other functions beside these answer and take. */
struct grid {
    long rows, columns, cells;
};
static __thread long number;
static void *volatile taken;
__attribute__((noinline, used)) struct wide wide_value(void) { return wide; }
__attribute__((noinline, used)) void grid_get(struct grid *to) { *to = (struct grid){0, 0, 0}; }
__attribute__((noinline, used)) long number_get(void) { return number; }
__attribute__((noinline, used)) void number_set(unsigned long now) { number = (long)now; }
__attribute__((noinline, used)) void place_take(const struct place *from) { taken = (void *)(unsigned long)from; }
__attribute__((noinline, used)) void any_take(void *from) { taken = from; }

/* No thread's state at all. */
static long everybodys;
__attribute__((noinline, used)) long *everybody_at(void) { return &everybodys; }
__attribute__((noinline, used)) long *nowhere_at(void) { return NULL; }

static const char *kind;

static void set_request(long number)
{
    errno = 0;
    if (!strcmp(kind, "device") || !strcmp(kind, "overflow"))
        device = (int)-number;
    else if (!strcmp(kind, "small"))
        small = (unsigned char)(number ? number + 200 : 0);
    else if (!strcmp(kind, "wide"))
        wide = (struct wide){number, -number, 0};
    else if (!strcmp(kind, "place"))
        place = (struct place){(int)number, {(char)number}};
    else if (!strcmp(kind, "large"))
        large[0] = large[99] = number;
    else if (!strcmp(kind, "heap"))
        *heap_at() = number;
    else
        everybodys = number;
}

static long seen(void)
{
    if (!strcmp(kind, "device") || !strcmp(kind, "overflow"))
        return -device;
    if (!strcmp(kind, "small"))
        return small ? small - 200 : 0;
    if (!strcmp(kind, "wide"))
        return wide.two == -wide.one ? wide.one : -1;
    if (!strcmp(kind, "place"))
        return place.text[0] == place.number ? place.number : -1;
    if (!strcmp(kind, "large"))
        return large[0] == large[99] ? large[0] : -1;
    return !strcmp(kind, "heap") ? *heap_at() : everybodys;
}

static void spoil(void)
{
    set_request(9);
}

/* What a key's destructor finds when its thread ends: what the thread has set, and not what it was given. */
static pthread_key_t last;
static long last_saw;

static void at_key_end(void *unused)
{
    last_saw = seen();
}

static void *setting(void *own)
{
    pthread_setspecific(last, &last);
    if (own)
        set_request((long)own);
    return NULL;
}

static void at_the_end(long own)
{
    pthread_t thread;
    set_request(3);
    pthread_create(&thread, NULL, setting, (void *)own);
    pthread_join(thread, NULL);
    expect("a key's destructor sees", last_saw, own);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    kind = argv[1];
    pthread_key_create(&of_others, free);
    pthread_key_create(&last, at_key_end);
    if (strcmp(kind, "heap") != 0) { /* whose own key may be gone before */
        at_the_end(5);
        at_the_end(0);
    }
    return main_of_test();
}
