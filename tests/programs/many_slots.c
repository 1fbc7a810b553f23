// A hundred keys and a hundred words, all carried at once, all different.
// libs: glib-2.0
// usage: many_slots; the items are key:many_key_0..99 and tls:many_word_0..99
#include "carrier.h"
#include <glib.h>

#define TEN(M, t) M(t##0) M(t##1) M(t##2) M(t##3) M(t##4) M(t##5) M(t##6) M(t##7) M(t##8) M(t##9)
#define HUNDRED(M) \
    TEN(M, ) TEN(M, 1) TEN(M, 2) TEN(M, 3) TEN(M, 4) TEN(M, 5) TEN(M, 6) TEN(M, 7) TEN(M, 8) TEN(M, 9)
#define KEY(n) pthread_key_t many_key_##n;
#define WORD(n) __thread long many_word_##n;
#define KEY_AT(n) &many_key_##n,
#define WORD_AT(n) &many_word_##n,

HUNDRED(KEY)
HUNDRED(WORD)
static pthread_key_t *const keys[] = {HUNDRED(KEY_AT)};

static int keys_right, words_right;

static void fill(long base)
{
    long *words[] = {HUNDRED(WORD_AT)};
    for (long i = 0; i < 100; i++) {
        pthread_setspecific(*keys[i], base ? (void *)(base + i) : NULL);
        *words[i] = base ? base + 1000 + i : 0;
    }
}

static void work(gpointer data, gpointer user_data)
{
    long *words[] = {HUNDRED(WORD_AT)}, base = (long)data;
    for (long i = 0; i < 100; i++) {
        if ((long)pthread_getspecific(*keys[i]) == base + i)
            __atomic_add_fetch(&keys_right, 1, __ATOMIC_RELAXED);
        if (*words[i] == base + 1000 + i)
            __atomic_add_fetch(&words_right, 1, __ATOMIC_RELAXED);
    }
    fill(5);
}

int main(void)
{
    for (int i = 0; i < 100; i++)
        pthread_key_create(keys[i], NULL);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 2, TRUE, NULL);
    for (long task = 1; task <= 20; task++) {
        fill(10000 * task);
        g_thread_pool_push(pool, (gpointer)(10000 * task), NULL);
    }
    fill(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("keys right", keys_right, 2000);
    expect("words right", words_right, 2000);
    return verdict();
}
