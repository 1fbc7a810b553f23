// custom-labels, ABI v1: the labels of the request are the task's; the owner edits its set in place.
// libs: glib-2.0
// link: -rdynamic
// usage: adapter_labels [takes] (the task replaces its set, and frees it)
#include "adapter.h"
#include <stdint.h>

struct string {
    size_t size;
    const unsigned char *bytes;
};
struct label {
    struct string key, value;
};
struct labelset {
    struct label *labels;
    size_t count, capacity;
};

const uint32_t custom_labels_abi_version = 1;
__thread struct labelset *custom_labels_current_set;
static long live;
static int takes;

static struct string string_of(const char *text)
{
    return (struct string){strlen(text), (const unsigned char *)strdup(text)};
}

static struct labelset *new_set(const char *value)
{
    struct labelset *set = calloc(1, sizeof(*set));
    set->labels = calloc(4, sizeof(*set->labels));
    set->count = 1, set->capacity = 4;
    set->labels[0].key = string_of("request");
    set->labels[0].value = string_of(value);
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return set;
}

struct labelset *custom_labels_clone(const struct labelset *set)
{
    return new_set((const char *)set->labels[0].value.bytes);
}

void custom_labels_free(struct labelset *set)
{
    if (set == custom_labels_current_set)
        abort();
    for (size_t i = 0; i < set->count; i++) {
        free((void *)set->labels[i].key.bytes);
        free((void *)set->labels[i].value.bytes);
    }
    free(set->labels);
    free(set);
    __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
}

static struct labelset *replace(struct labelset *set)
{
    struct labelset *old = custom_labels_current_set;
    custom_labels_current_set = set;
    return old;
}

static void set_request(long number)
{
    char text[32];
    struct labelset *old;
    snprintf(text, sizeof(text), "%ld", number);
    old = replace(number ? new_set(text) : NULL);
    if (old)
        custom_labels_free(old);
}

static long seen(void)
{
    const struct labelset *set = custom_labels_current_set;
    if (!set)
        return 0;
    return set->count == 1 && set->labels[0].value.bytes ? atol((const char *)set->labels[0].value.bytes) : -1;
}

static void spoil(void)
{
    struct labelset *set = custom_labels_current_set;
    if (!set)
        return;
    free((void *)set->labels[0].value.bytes);
    set->labels[0].value = string_of("99");
    if (takes)
        custom_labels_free(replace(NULL));
}

int main(int argc, char **argv)
{
    int status;
    takes = argc > 1;
    status = main_of_test();
    expect("sets left", live, 0);
    return status || wrong_results;
}
