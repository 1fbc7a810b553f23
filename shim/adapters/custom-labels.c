// custom-labels, ABI v1: the labels that a profiler reads, behind the thread-local pointer
// custom_labels_current_set. The owner edits its set in place, so each task gets a clone.
// A program may export only the data and not the functions: then sets are cloned by their layout.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "baton_adapter.h"

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

struct attached {
    struct labelset *before, *lent;
};

typedef struct labelset *volatile *place;

static struct labelset *(*their_clone)(const struct labelset *);
static void (*their_free)(struct labelset *);

static place find_place(void)
{
    static __thread place mine;

    if (!mine)
        mine = (place)dlsym(RTLD_DEFAULT, "custom_labels_current_set");
    return mine;
}

static const char *start(void)
{
    const uint32_t *version = dlsym(RTLD_DEFAULT, "custom_labels_abi_version");

    if (!version || !find_place())
        return "no loaded library exports custom_labels_abi_version and custom_labels_current_set";
    if (*version != 1)
        return "custom_labels_abi_version is not 1";
    *(void **)&their_clone = dlsym(RTLD_DEFAULT, "custom_labels_clone");
    *(void **)&their_free = dlsym(RTLD_DEFAULT, "custom_labels_free");
    if (!their_clone || !their_free) {
        their_clone = NULL;
        their_free = NULL;
    }
    return NULL;
}

static void end(struct labelset *set)
{
    if (!set)
        return;
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

static struct labelset *clone(const struct labelset *set)
{
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
            end(made);
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
    const struct labelset *set = *find_place();

    if (!set || !set->count)
        return BATON_ADAPTER_NONE;
    return (*captured = clone(set)) ? BATON_ADAPTER_OK : BATON_ADAPTER_FAILED;
}

/* A profiler stops the thread anywhere: the set is whole before the pointer leads to it. */
static void point_to(struct labelset *set)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *find_place() = set;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    struct attached *scope = malloc(sizeof *scope);

    if (!scope)
        return BATON_ADAPTER_FAILED;
    scope->before = *find_place();
    scope->lent = captured ? clone(captured) : NULL;
    if (captured && !scope->lent) {
        free(scope);
        return BATON_ADAPTER_FAILED;
    }
    point_to(scope->lent);
    *attached = scope;
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    struct attached *scope = attached;
    int is_ours = *find_place() == scope->lent;

    point_to(scope->before);
    if (is_ours)
        end(scope->lent);
    free(scope);
}

static void release(void *captured)
{
    end(captured);
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "custom-labels", start, capture, attach, detach, release};
