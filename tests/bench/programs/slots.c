/*
 * Sixty-four of each kind, as ordinary global variables: a program that keeps its request's
 * state in thread-specific keys or in __thread words looks like this.
 * Scattered words have a gap behind each, so that no two share eight bytes of a copy;
 * the words of a row are neighbours.
 */
#include "slots.h"

#include <dlfcn.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define EACH64(X)                                                                                  \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)                                              \
    X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19)                                    \
    X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29)                                    \
    X(30) X(31) X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39)                                    \
    X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) X(48) X(49)                                    \
    X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59)                                    \
    X(60) X(61) X(62) X(63)

#define DEFINE_KEY(i) pthread_key_t bench_key_##i;
#define DEFINE_TLS(i)                                                                              \
    __thread long bench_tls_##i;                                                                   \
    __thread long bench_gap_##i[5];
#define DEFINE_ROW(i) __thread long bench_row_##i;

EACH64(DEFINE_KEY)
EACH64(DEFINE_TLS)
EACH64(DEFINE_ROW)

#define KEY_ADDRESS(i) &bench_key_##i,
static pthread_key_t *const keys[SLOT_MAX] = {EACH64(KEY_ADDRESS)};

/* Addresses of thread-local words differ per thread: each thread fills its own tables once. */
static __thread long *tls_words[SLOT_MAX];
static __thread long *row_words[SLOT_MAX];

static atomic_long destroyed;

static void count_destroyed(void *value)
{
    (void)value;
    atomic_fetch_add(&destroyed, 1);
}

long slots_destroyed(void)
{
    return atomic_load(&destroyed);
}

bool slots_kind_parse(const char *name, enum slot_kind *kind)
{
    static const char *const names[] = {"key", "tls", "row", "object"};

    for (int i = 0; i < 4; i++) {
        if (!strcmp(name, names[i])) {
            *kind = (enum slot_kind)i;
            return true;
        }
    }
    return false;
}

void slots_create(bool with_destructor)
{
    /* The C library keeps 32 keys together: sixty-four and one do not fill what they lie in, so that a key of somebody
     * else's does not bring them to ask for more. */
    pthread_key_t first;

    if (pthread_key_create(&first, NULL))
        abort();
    for (int i = 0; i < SLOT_MAX; i++) {
        if (pthread_key_create(keys[i], with_destructor ? count_destroyed : NULL))
            abort();
    }
}

static long *word(enum slot_kind kind, int index)
{
    if (!tls_words[0]) {
#define WORD_ADDRESSES(i)                                                                          \
    tls_words[i] = &bench_tls_##i;                                                                 \
    row_words[i] = &bench_row_##i;                                                                 \
    bench_gap_##i[0] = 1;
        EACH64(WORD_ADDRESSES)
    }
    return kind == SLOT_TLS ? tls_words[index] : row_words[index];
}

/* ---- objects, and what policies may be told to call ---- */

enum { OBJECT_SIZE = 4096, COUNT_AT = 56, CLONE_SIZE = 64 };

/* Found by their names only. */
void *bench_clone(void *object);
void bench_free(void *object);
void *bench_ref(void *object);
void bench_unref(void *object);

void *bench_clone(void *object)
{
    return memcpy(malloc(CLONE_SIZE), object, CLONE_SIZE);
}

void bench_free(void *object)
{
    free(object);
}

void *bench_ref(void *object)
{
    atomic_fetch_add((atomic_int *)(void *)((char *)object + COUNT_AT), 1);
    return object;
}

void bench_unref(void *object)
{
    atomic_fetch_sub((atomic_int *)(void *)((char *)object + COUNT_AT), 1);
}

/* ---- a context behind a pair of functions, and other state of a thread ---- */

void *bench_get(void);
void bench_set(void *value);

static __thread void *paired;

void *bench_get(void)
{
    return paired;
}

void bench_set(void *value)
{
    paired = value;
}

static void (*late_set)(long value);

void slots_load_late(void)
{
    void *handle = dlopen("$ORIGIN/late.so", RTLD_NOW);

    if (!handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
    late_set = (void (*)(long))dlsym(handle, "bench_late_set");
}

void slots_differ(void)
{
    if (late_set)
        late_set(1);
    uselocale(newlocale(LC_ALL_MASK, "C", NULL));
    fesetround(FE_UPWARD);
    prctl(PR_SET_NAME, "submitter");
    bench_set(&paired);
}

static void object_set(pthread_key_t key, long value)
{
    char *object = pthread_getspecific(key);

    if (!value) {
        pthread_setspecific(key, NULL);
        return;
    }
    if (!object) {
        object = calloc(1, OBJECT_SIZE);
        pthread_setspecific(key, object);
    }
    snprintf(object, COUNT_AT, "%ld", value);
}

static long object_get(pthread_key_t key)
{
    const char *object = pthread_getspecific(key);

    return object ? atol(object) : 0;
}

void slots_set(enum slot_kind kind, int index, long value)
{
    if (kind == SLOT_OBJECT)
        object_set(*keys[index], value);
    else if (kind == SLOT_KEY)
        pthread_setspecific(*keys[index], (void *)value);
    else
        *word(kind, index) = value;
}

long slots_get(enum slot_kind kind, int index)
{
    if (kind == SLOT_OBJECT)
        return object_get(*keys[index]);
    return kind == SLOT_KEY ? (long)pthread_getspecific(*keys[index]) : *word(kind, index);
}
