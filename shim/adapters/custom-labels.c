// custom-labels, ABI v1: the labels that a profiler reads, behind the thread-local pointer
// custom_labels_current_set. The owner edits its set in place, so each task gets a clone.
// A program may have the data alone and not the functions: then sets are cloned by their layout.
#define POINTER_VARIABLE "custom_labels_current_set"
#define POINTER_WANTED                                                              \
    {"custom_labels_abi_version", NULL, BATON_ADAPTER_OBJECT, 0, NULL, NULL, 0, 0}, \
        {"custom_labels_clone", NULL, BATON_ADAPTER_FUNCTION, 1, NULL, NULL, 0, 0}, \
        {"custom_labels_free", NULL, BATON_ADAPTER_FUNCTION, 1, NULL, NULL, 0, 0},
#include "adapters/pointer.h"

#include <stdint.h>
#include <string.h>

struct string {
    size_t size;
    const unsigned char *bytes; /* NULL in a key: the label was deleted */
};

struct label {
    struct string key, value;
};

struct labelset {
    struct label *labels;
    size_t count, capacity;
};

static struct labelset *(*their_clone)(const struct labelset *);
static void (*their_free)(struct labelset *);

static const char *start(void)
{
    const uint32_t *version = wanted[1].address;

    if (*version != 1)
        return "custom_labels_abi_version is not 1";
    if (wanted[2].address && wanted[3].address) {
        *(void **)&their_clone = wanted[2].address;
        *(void **)&their_free = wanted[3].address;
    }
    return NULL;
}

static void pointer_end(void *value)
{
    struct labelset *set = value;

    if (their_free) {
        their_free(set);
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        free((void *)set->labels[i].key.bytes);
        free((void *)set->labels[i].value.bytes);
    }
    free(set->labels);
    free(set);
}

static int copy_string(struct string *to, const struct string *from)
{
    unsigned char *bytes = malloc(from->size ? from->size : 1);

    if (!bytes)
        return 0;
    memcpy(bytes, from->bytes, from->size);
    *to = (struct string){from->size, bytes};
    return 1;
}

static void *pointer_copy(const void *value)
{
    const struct labelset *set = value;
    struct labelset *made;

    if (their_clone)
        return their_clone(set);
    made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->capacity = set->count ? set->count : 1;
    made->labels = calloc(made->capacity, sizeof *made->labels);
    for (size_t i = 0; made->labels && i < set->count; i++) {
        const struct label *from = &set->labels[i];
        struct label *to = &made->labels[made->count];

        if (!from->key.bytes)
            continue;
        made->count++;
        if (!copy_string(&to->key, &from->key) ||
            (from->value.bytes && !copy_string(&to->value, &from->value))) {
            pointer_end(made);
            return NULL;
        }
    }
    if (!made->labels) {
        free(made);
        return NULL;
    }
    return made;
}

static enum baton_adapter_result capture(void **captured)
{
    const struct labelset *set = *pointer_place();

    return set && set->count ? pointer_capture(set, captured) : BATON_ADAPTER_NONE;
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "custom-labels", start,    capture, attach, detach,
    pointer_end,           detach_at_end,   exchange, wanted,  WANTED};
