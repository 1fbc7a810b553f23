/* Preloaded into programs that know nothing of it: what they are to carry is there, and set, before main. */
#define _GNU_SOURCE
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

pthread_key_t request_key;
__thread long request_word;
static __thread void *behind_functions;

void *request_get(void)
{
    return behind_functions;
}

void request_set(void *value)
{
    behind_functions = value;
}

static void gone(void *value)
{
    free(value);
}

__attribute__((constructor)) static void begin(void)
{
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (locale)
        uselocale(locale);
    pthread_key_create(&request_key, gone);
    pthread_setspecific(request_key, malloc(16));
    request_word = 42;
    request_set(&request_word);
}
