/* The items of BATON_HOOKS, read into structs. Shared by the library and by baton-plan.
 *
 *   FUNCTION[@MODULE][#FILE.c](kind=KIND,option=value,...)
 *     FUNCTION is a name as the linker knows it, one with '*' in it, which stands for all that match, or
 *     one as C++ and Rust write it (Pool::submit), with or without parameters and template arguments
 *   preset:NAME, which stands for several of them (preset.h)
 *
 * Nothing is looked for here; positions are 1 to 6, the integer registers that carry arguments.
 */
#ifndef BATON_USERHOOKS_SPEC_H
#define BATON_USERHOOKS_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum named_kind {
    NAMED_CALL,
    NAMED_SUBMIT,
    NAMED_RUN,
    NAMED_PUT,
    NAMED_GET,
    NAMED_FIELD,
    NAMED_STDFUNCTION,
    NAMED_DROP,
    NAMED_REF,
    NAMED_VIRTUAL,
    NAMED_RELAY,
    NAMED_SET /* no item of BATON_HOOKS: the setter of a slot that is carried weakly */
};
enum named_how { HOW_AUTO, HOW_SYMBOL, HOW_GOT, HOW_PATCH };
enum named_item { ITEM_ARGUMENT, ITEM_POINTED, ITEM_RESULT, ITEM_RESULT2 };

/* NAMED_STACK: what a function gets of the stack unless stack=WORDS says more; twelve arguments in all.
 * A callback gets none: it may be what a new stack begins with, and nothing lies beyond. */
enum {
    NAMED_MAX = 1024,
    NAMED_ARGUMENTS = 6,
    NAMED_STACK = 6,
    NAMED_STACK_MAX = 64,
    NAMED_SLOTS = 4,
    NAMED_SLOT_MAX = 223
};

struct slot;

struct named_spec {
    const char *item;     /* as the user wrote it */
    const char *preset;   /* that the item is of; NULL: the user's own */
    const char *function; /* as the linker knows it, or a pattern */
    const char *file;     /* of a static function; NULL: any */
    const char *module;   /* NULL: any */
    enum named_kind kind;
    enum named_how how;
    uint8_t fn, arg; /* call */
    uint8_t obj;     /* submit, run, field, stdfunction; put, get, drop: the item's argument */
    uint8_t queue;   /* put, get, drop, ref: the queue's argument; 0: any queue */
    uint8_t cbarg;   /* the callback's argument that is ours */
    enum named_item item_at;  /* get */
    enum named_item queue_at; /* drop: where a new queue's address is, if not ITEM_ARGUMENT */
    uint8_t stack;            /* words of the caller's stack that a wrapped function gets */
    uint8_t callback_stack;   /* and that its callback gets */
    bool is_glob;      /* '*' in `function` stands for anything: all functions of such names */
    bool is_demangled; /* `function` is as the source says it, which only baton-plan can look for */
    bool is_repeating, is_fifo, is_unsafe;
    bool is_front;   /* put: taken out before the same item that waits already */
    bool is_outside; /* calls of other modules only: its code is not patched */
    /* field: the callback gets what the object holds at `data`, not the object; else: that is what is in
     * flight, found one pointer further */
    bool has_data;
    bool has_next;   /* submit, put, field: a list, linked at `next`; each of them is handed over */
    bool is_narrow;  /* what is in flight is named by a number of 32 bits; relay: at `obj` */
    bool is_object;  /* drop: of a submit, not of a queue */
    bool is_keeping; /* relay: what it was known by stays good too */
    uint8_t to;      /* relay: obj is what it was known by, `to` what it is known by from now on */
    uint8_t slots[NAMED_SLOTS], ends[NAMED_SLOTS]; /* virtual: run by these, and gone with those */
    uint8_t slots_count, ends_count;
    /* put, get, drop: which of its answers say that it was done: these bits of it, 0: all do; one byte is a bool's */
    uint32_t ok_bits, ok_value;
    bool ok_differs; /* each but the value */
    uint32_t data, next;
    uint32_t off; /* field */
    uint32_t unless_at,
        unless;        /* field: not where the object has one of these bits there; 0: always */
    const char *pair;  /* as written; "" when none is */
    uint32_t pair_id;  /* the same number for all items of one pair */
    struct slot *slot; /* set */
};

struct spec_error {
    const char *expected, *at;
};

/* Reads one item; TEXT is cut into pieces, which OUT then names. False: ERROR is filled. */
bool spec_parse(char *text, struct named_spec *out, struct spec_error *error);

/* Gives pairs their numbers. Answers the first item that nothing goes with, COUNT when there is none. */
size_t spec_pair(struct named_spec *specs, size_t count);

/* All items of the setting, at most NAMED_MAX; mistakes are told and counted. Their texts stay. Then
 * those that the slots ask for, which slots_parse has read. */
struct config;
unsigned spec_read_all(struct config *config, struct named_spec *specs);

const char *spec_kind_name(enum named_kind kind);
/* Does TEXT begin as an item of BATON_CARRY does, and not as a name of C++? For messages. */
bool spec_is_carried(const char *text);
/* The setting that it comes from. */
const char *spec_setting(const struct named_spec *spec);
/* The kind that must go with it, as in "kind=run"; NULL: it stands alone. */
const char *spec_partner(const struct named_spec *spec);
enum named_kind spec_partner_kind(const struct named_spec *spec);

/* Is what the function gets to call exchanged for a thunk? */
static inline bool spec_replaces_callback(const struct named_spec *spec)
{
    return spec->kind == NAMED_CALL || spec->kind == NAMED_FIELD ||
           spec->kind == NAMED_STDFUNCTION || spec->kind == NAMED_VIRTUAL;
}

/* Does it change what the function is called with or reads through its arguments? Then the function
 * must have the arguments that its source says. */
static inline bool spec_relies_on_arguments(const struct named_spec *spec)
{
    return spec_replaces_callback(spec) || (spec->has_data && spec->kind != NAMED_FIELD) ||
           spec->has_next || (spec->kind == NAMED_GET && spec->item_at == ITEM_POINTED) ||
           (spec->kind == NAMED_DROP && spec->queue_at == ITEM_POINTED);
}

/* Must it see the function return? */
static inline bool spec_wraps(const struct named_spec *spec)
{
    return spec->kind == NAMED_RUN || spec->kind == NAMED_GET ||
           ((spec->kind == NAMED_PUT || spec->kind == NAMED_SUBMIT ||
             spec->kind == NAMED_VIRTUAL) &&
            spec->ok_bits) ||
           (spec->kind == NAMED_DROP && (spec->ok_bits || spec->queue_at));
}

#endif
