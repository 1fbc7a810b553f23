/*
 * Reading BATON_HOOKS. Nothing is searched for here.
 *
 * Every option is checked against its kind: an option that a kind does not know is a mistake, not
 * something to skip, because a hook with a wrong shape gives functions arguments they never had.
 */
#include "userhooks/spec.h"

#include <string.h>

#include "base/config.h"
#include "base/mem.h"

enum option {
    O_FN = 1,
    O_ARG = 2,
    O_CBARG = 4,
    O_REPEAT = 8,
    O_OBJ = 16,
    O_FIFO = 32,
    O_ITEM = 64,
    O_OFF = 128,
    O_PAIR = 256,
    O_DATA = 512,
    O_QUEUE = 1024,
    O_OK = 2048,
    O_FRONT = 4096,
};

struct kind_row {
    const char *name;
    unsigned required, allowed;
    const char *expected; /* when a required one is missing */
    const char *partner;
    enum named_kind partner_kind;
};

/* By enum named_kind. */
static const struct kind_row kinds[] = {
    {"call", O_FN | O_ARG, O_CBARG | O_REPEAT, "fn=N and arg=N: the callback and its data", NULL,
     0},
    {"submit", O_OBJ, O_FIFO | O_PAIR, "obj=N: the object that is handed over", "kind=run",
     NAMED_RUN},
    {"run", O_OBJ, O_PAIR, "obj=N: the object that is run", "kind=submit", NAMED_SUBMIT},
    {"put", O_ITEM, O_FIFO | O_FRONT | O_QUEUE | O_OK | O_PAIR,
     "item=N: what is put into the queue", "kind=get", NAMED_GET},
    {"get", O_ITEM, O_QUEUE | O_OK | O_PAIR,
     "item=ret, ret2, N or *N: what is taken out of the queue", "kind=put", NAMED_PUT},
    {"field", O_OBJ | O_OFF, O_CBARG | O_DATA, "obj=N and off=BYTES: where the function pointer is",
     NULL, 0},
    {"stdfunction", O_OBJ, O_CBARG, "obj=N: the std::function", NULL, 0},
    {"drop", 0, O_ITEM | O_QUEUE | O_OK | O_PAIR, "", "kind=put", NAMED_PUT},
    {"ref", O_QUEUE, O_PAIR, "queue=N: the queue that gets one more reference", "kind=put",
     NAMED_PUT},
    {"set", 0, 0, "", NULL, 0},
};

static bool fail(struct spec_error *error, const char *at, const char *expected)
{
    error->at = at;
    error->expected = expected;
    return false;
}

static bool read_number(const char *text, uint32_t max, uint32_t *into)
{
    uint32_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
        if (value > max)
            return false;
    }
    *into = value;
    return true;
}

static bool read_position(const char *text, uint8_t *into)
{
    uint32_t value;

    if (!read_number(text, NAMED_ARGUMENTS, &value) || !value)
        return false;
    *into = (uint8_t)value;
    return true;
}

static bool read_item(const char *text, struct named_spec *out)
{
    if (!strcmp(text, "ret")) {
        out->item_at = ITEM_RESULT;
        return true;
    }
    if (!strcmp(text, "ret2")) {
        out->item_at = ITEM_RESULT2;
        return true;
    }
    out->item_at = *text == '*' ? ITEM_POINTED : ITEM_ARGUMENT;
    return read_position(text + (*text == '*'), &out->obj);
}

static bool read_queue(const char *text, struct named_spec *out)
{
    if (!strcmp(text, "ret")) {
        out->queue_at = ITEM_RESULT;
        return true;
    }
    out->queue_at = *text == '*' ? ITEM_POINTED : ITEM_ARGUMENT;
    return read_position(text + (*text == '*'), &out->queue);
}

static const char position_expected[] = "the position of an argument, from 1 to 6";

/* One option; `value` is NULL when it has no '='. */
static bool read_option(char *name, const char *value, struct named_spec *out, unsigned *seen,
                        struct spec_error *error)
{
    static const struct {
        char name[8];
        unsigned bit;
    } positions[] = {{"fn", O_FN}, {"arg", O_ARG}, {"cbarg", O_CBARG}, {"obj", O_OBJ}};
    uint8_t *const places[] = {&out->fn, &out->arg, &out->cbarg, &out->obj};
    uint32_t number;

    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(name, positions[i].name) != 0)
            continue;
        *seen |= positions[i].bit;
        return value && read_position(value, places[i])
                   ? true
                   : fail(error, value ? value : name, position_expected);
    }
    if (!value && !strcmp(name, "repeat")) {
        *seen |= O_REPEAT;
        out->is_repeating = true;
        return true;
    }
    if (!value && !strcmp(name, "fifo")) {
        *seen |= O_FIFO;
        out->is_fifo = true;
        return true;
    }
    if (!value && !strcmp(name, "front")) {
        *seen |= O_FRONT;
        out->is_front = true;
        return true;
    }
    if (!value && !strcmp(name, "outside")) {
        out->is_outside = true;
        return true;
    }
    if (value && !strcmp(name, "queue")) {
        *seen |= O_QUEUE;
        return read_queue(value, out) ? true
                                      : fail(error, value, "N, *N or ret with N from 1 to 6");
    }
    if (value && !strcmp(name, "ok")) {
        *seen |= O_OK;
        out->ok = !strcmp(value, "0") ? OK_ZERO : OK_NONZERO;
        return out->ok == OK_ZERO || !strcmp(value, "1")
                   ? true
                   : fail(error, value, "0 or 1: whether it answers zero or not when it was done");
    }
    if (!value && !strcmp(name, "unsafe")) {
        out->is_unsafe = true;
        return true;
    }
    if (value && !strcmp(name, "item")) {
        *seen |= O_ITEM;
        return read_item(value, out) ? true
                                     : fail(error, value, "ret, ret2, N or *N with N from 1 to 6");
    }
    if (value && !strcmp(name, "off")) {
        *seen |= O_OFF;
        if (!read_number(value, 1 << 20, &number) || number % sizeof(void *))
            return fail(error, value, "a number of bytes, a multiple of 8");
        out->off = number;
        return true;
    }
    if (value && !strcmp(name, "data")) {
        *seen |= O_DATA;
        out->has_data = true;
        if (!read_number(value, 1 << 20, &out->data) || out->data % sizeof(void *))
            return fail(error, value, "a number of bytes, a multiple of 8");
        return true;
    }
    if (value && !strcmp(name, "pair")) {
        *seen |= O_PAIR;
        out->pair = value;
        return *value ? true : fail(error, value, "the name of a pair");
    }
    if (value && !strcmp(name, "stack")) {
        if (!read_number(value, NAMED_STACK_MAX, &number))
            return fail(error, value, "a number of words, up to 64");
        out->stack = out->callback_stack = (uint8_t)number;
        return true;
    }
    if (value && !strcmp(name, "how")) {
        static const char ways[][8] = {"auto", "symbol", "got", "patch"};

        for (unsigned i = 0; i < 4; i++) {
            if (!strcmp(value, ways[i])) {
                out->how = (enum named_how)i;
                return true;
            }
        }
        return fail(error, value, "auto, symbol, got or patch");
    }
    return fail(
        error, name,
        "kind, fn, arg, cbarg, repeat, obj, fifo, front, item, queue, ok, off, data, pair, stack, "
        "how, outside or unsafe");
}

static const char kinds_expected[] = "call, submit, run, put, get, field, stdfunction, drop or ref";

static bool read_kind(const char *text, enum named_kind *into)
{
    for (unsigned i = 0; i < NAMED_SET; i++) {
        if (!strcmp(text, kinds[i].name)) {
            *into = (enum named_kind)i;
            return true;
        }
    }
    return false;
}

/* FUNCTION[@MODULE][#FILE.c], in either order, cut at the marks. */
static bool read_name(char *text, struct named_spec *out, struct spec_error *error)
{
    char *at = strchr(text, '@'), *hash = strchr(text, '#');

    if (at) {
        *at = '\0';
        out->module = at + 1;
    }
    if (hash) {
        *hash = '\0';
        out->file = hash + 1;
    }
    if (at && !*out->module)
        return fail(error, out->module, "the name of a module");
    if (hash && !*out->file)
        return fail(error, out->file, "the name of a source file");
    out->function = text;
    if (!*text)
        return fail(error, text, "the name of a function");
    for (; *text; text++) {
        if (*text <= ' ' || strchr("(),=;:*", *text))
            return fail(error, text,
                        "the name of a function as the linker knows it (nm), then (kind=...)");
    }
    return true;
}

bool spec_parse(char *text, struct named_spec *out, struct spec_error *error)
{
    char *open = strchr(text, '('), *close, *option;
    unsigned seen = 0;
    bool has_kind = false;

    out->pair = "";
    out->stack = NAMED_STACK;
    if (!open)
        return fail(error, text + strlen(text), "(kind=...) after the name of the function");
    close = strchr(open, ')');
    if (!close)
        return fail(error, text + strlen(text), "a closing )");
    if (close[1])
        return fail(error, close + 1, "nothing after the closing )");
    *open = *close = '\0';
    if (!read_name(text, out, error))
        return false;
    for (option = open + 1; option < close;) {
        char *next = option + strcspn(option, ","), *value;

        *next = '\0';
        value = strchr(option, '=');
        if (value)
            *value++ = '\0';
        if (value && !strcmp(option, "kind")) {
            if (!read_kind(value, &out->kind))
                return fail(error, value, kinds_expected);
            has_kind = true;
        } else if (!read_option(option, value, out, &seen, error)) {
            return false;
        }
        option = next + 1;
    }
    if (!has_kind)
        return fail(error, open + 1,
                    "kind=call, submit, run, put, get, field, stdfunction, drop or ref");
    if ((seen & kinds[out->kind].required) != kinds[out->kind].required)
        return fail(error, close, kinds[out->kind].expected);
    if (seen & ~(kinds[out->kind].required | kinds[out->kind].allowed))
        return fail(error, open + 1, "only options of this kind (see man 7 baton)");
    if (out->kind == NAMED_CALL && out->fn == out->arg)
        return fail(error, open + 1, "two different positions for fn and arg");
    if (out->kind == NAMED_PUT && out->item_at != ITEM_ARGUMENT)
        return fail(error, open + 1, "item=N: what is put is an argument");
    if (out->kind == NAMED_DROP && (!(seen & (O_ITEM | O_QUEUE)) || out->item_at != ITEM_ARGUMENT))
        return fail(error, open + 1, "item=N: what is dropped, or queue=N: all that is in it");
    if (out->queue_at && (out->kind != NAMED_DROP || seen & O_ITEM))
        return fail(error, open + 1, "queue=N: the queue is an argument");
    if (!out->cbarg)
        out->cbarg = 1;
    return true;
}

const char *spec_kind_name(enum named_kind kind)
{
    return kinds[kind].name;
}

const char *spec_setting(const struct named_spec *spec)
{
    return spec->kind == NAMED_SET ? "BATON_CARRY" : "BATON_HOOKS";
}

const char *spec_partner(enum named_kind kind)
{
    return kinds[kind].partner;
}

/* Items of a preset go with each other only. */
static bool is_pair(const struct named_spec *one, const struct named_spec *other)
{
    return !strcmp(one->pair, other->pair) &&
           !strcmp(one->preset ? one->preset : "", other->preset ? other->preset : "");
}

static bool is_queue(enum named_kind kind)
{
    return kind == NAMED_PUT || kind == NAMED_GET || kind == NAMED_DROP || kind == NAMED_REF;
}

size_t spec_pair(struct named_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool has_partner = !kinds[specs[i].kind].partner;

        specs[i].pair_id = (uint32_t)i;
        for (size_t j = count; j-- > 0;) {
            if (!kinds[specs[i].kind].partner || !kinds[specs[j].kind].partner ||
                is_queue(specs[i].kind) != is_queue(specs[j].kind) ||
                !is_pair(&specs[i], &specs[j]))
                continue;
            specs[i].pair_id = (uint32_t)j; /* ends as the first of the pair */
            has_partner |= kinds[specs[i].kind].partner_kind == specs[j].kind;
        }
        if (!has_partner)
            return i;
    }
    return count;
}
