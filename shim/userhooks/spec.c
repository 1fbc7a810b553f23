/*
 * Reading an item of BATON_HOOKS: its kind and options; its name is read by spec_name.c. Nothing is searched
 * for here.
 *
 * Every option is checked against its kind: an option that a kind does not know is a mistake, not
 * something to skip, because a hook with a wrong shape gives functions arguments they never had.
 */
#include "userhooks/spec.h"

#include <string.h>

#include "slots/kind.h"
#include "userhooks/spec_name.h"

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
    O_NEXT = 8192,
    O_INT = 16384,
    O_FROM = 32768,
    O_TO = 65536,
    O_KEEP = 131072,
    O_SLOT = 262144,
    O_END = 524288,
    O_UNLESS = 1048576,
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
    {"submit", O_OBJ, O_FIFO | O_PAIR | O_DATA | O_NEXT | O_OK | O_INT,
     "obj=N: the object that is handed over", "kind=run", NAMED_RUN},
    {"run", O_OBJ, O_PAIR | O_DATA | O_INT, "obj=N: the object that is run", "kind=submit",
     NAMED_SUBMIT},
    {"put", O_ITEM, O_FIFO | O_FRONT | O_QUEUE | O_OK | O_PAIR | O_DATA | O_NEXT | O_INT,
     "item=N: what is put into the queue", "kind=get", NAMED_GET},
    {"get", O_ITEM, O_QUEUE | O_OK | O_PAIR | O_DATA | O_INT,
     "item=ret, ret2, N or *N: what is taken out of the queue", "kind=put", NAMED_PUT},
    {"field", O_OBJ | O_OFF, O_CBARG | O_DATA | O_FIFO | O_NEXT | O_UNLESS,
     "obj=N and off=BYTES: where the function pointer is", NULL, 0},
    {"stdfunction", O_OBJ, O_CBARG, "obj=N: the std::function", NULL, 0},
    {"drop", 0, O_ITEM | O_OBJ | O_QUEUE | O_OK | O_PAIR | O_DATA | O_INT, "", "kind=put",
     NAMED_PUT},
    {"ref", O_QUEUE, O_PAIR, "queue=N: the queue that gets one more reference", "kind=put",
     NAMED_PUT},
    {"virtual", O_OBJ | O_SLOT, O_END | O_CBARG | O_FIFO | O_OK | O_DATA,
     "obj=N and slot=K: the object, and which virtual function runs it, from 0", NULL, 0},
    {"relay", O_FROM | O_TO, O_KEEP | O_PAIR | O_INT,
     "from=N and to=N: what it was known by, and what it is known by from now on", "kind=run",
     NAMED_RUN},
    {"set", 0, 0, "", NULL, 0},
};

static bool read_number(const char *text, uint32_t max, uint32_t *into)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
        if (value > max)
            return false;
    }
    *into = (uint32_t)value;
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

/* K or K+L+...: slots of a vtable, behind those that were named before. */
static bool read_slots(const char *text, uint8_t *numbers, uint8_t *count)
{
    do {
        char number[8];
        size_t len = strcspn(text, "+");
        uint32_t slot;

        if (len >= sizeof number || *count == NAMED_SLOTS)
            return false;
        memcpy(number, text, len);
        number[len] = '\0';
        if (!read_number(number, NAMED_SLOT_MAX, &slot) || memchr(numbers, (int)slot, *count))
            return false;
        numbers[(*count)++] = (uint8_t)slot;
        text += len;
    } while (*text++);
    return true;
}

/* BYTES&MASK */
static bool read_bits(char *text, struct named_spec *out)
{
    char *mask = strchr(text, '&');

    if (!mask)
        return false;
    *mask++ = '\0';
    return read_number(text, 1 << 20, &out->unless_at) && out->unless_at % sizeof(uint32_t) == 0 &&
           read_number(mask, UINT32_MAX, &out->unless) && out->unless;
}

/* 0, 1 for anything but 0, true for a bool that is, or the number itself. */
static bool read_ok(const char *text, struct named_spec *out)
{
    bool is_bool = !strcmp(text, "true");

    out->ok_bits = is_bool ? UINT8_MAX : UINT32_MAX;
    out->ok_differs = is_bool || !strcmp(text, "1");
    return out->ok_differs || read_number(text, UINT32_MAX, &out->ok_value);
}

static const char position_expected[] = "the position of an argument, from 1 to 6";

/* One option; `value` is NULL when it has no '='. */
static bool read_option(char *name, char *value, struct named_spec *out, unsigned *seen,
                        struct spec_error *error)
{
    static const struct {
        char name[8];
        unsigned bit;
    } positions[] = {{"fn", O_FN},   {"arg", O_ARG},   {"cbarg", O_CBARG},
                     {"obj", O_OBJ}, {"from", O_FROM}, {"to", O_TO}};
    uint8_t *const places[] = {&out->fn, &out->arg, &out->cbarg, &out->obj, &out->obj, &out->to};
    static const struct {
        char name[8];
        unsigned bit;
    } words[] = {{"repeat", O_REPEAT}, {"fifo", O_FIFO}, {"front", O_FRONT}, {"int", O_INT},
                 {"keep", O_KEEP},     {"outside", 0},   {"unsafe", 0}};
    bool *const flags[] = {&out->is_repeating, &out->is_fifo,    &out->is_front, &out->is_narrow,
                           &out->is_keeping,   &out->is_outside, &out->is_unsafe};
    uint32_t number;

    for (unsigned i = 0; !value && i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(name, words[i].name) != 0)
            continue;
        *seen |= words[i].bit;
        *flags[i] = true;
        return true;
    }
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(name, positions[i].name) != 0)
            continue;
        *seen |= positions[i].bit;
        return value && read_position(value, places[i])
                   ? true
                   : spec_fail(error, value ? value : name, position_expected);
    }
    if (value && (!strcmp(name, "slot") || !strcmp(name, "end"))) {
        bool is_end = *name == 'e';

        *seen |= is_end ? O_END : O_SLOT;
        return read_slots(value, is_end ? out->ends : out->slots,
                          is_end ? &out->ends_count : &out->slots_count)
                   ? true
                   : spec_fail(
                         error, value,
                         "a slot of the vtable, from 0 to 223; each once, at most four, as in 0+1");
    }
    if (value && !strcmp(name, "queue")) {
        *seen |= O_QUEUE;
        return read_queue(value, out) ? true
                                      : spec_fail(error, value, "N, *N or ret with N from 1 to 6");
    }
    if (value && !strcmp(name, "ok")) {
        *seen |= O_OK;
        return read_ok(value, out)
                   ? true
                   : spec_fail(
                         error, value,
                         "0, 1 or true: whether it answers zero or not when it was done, or a "
                         "bool; or the number from 2 on that it answers then");
    }
    if (value && !strcmp(name, "item")) {
        *seen |= O_ITEM;
        return read_item(value, out)
                   ? true
                   : spec_fail(error, value, "ret, ret2, N or *N with N from 1 to 6");
    }
    if (value && !strcmp(name, "off")) {
        *seen |= O_OFF;
        if (!read_number(value, 1 << 20, &number) || number % sizeof(void *))
            return spec_fail(error, value, "a number of bytes, a multiple of 8");
        out->off = number;
        return true;
    }
    if (value && !strcmp(name, "data")) {
        *seen |= O_DATA;
        out->has_data = true;
        if (!read_number(value, 1 << 20, &out->data) || out->data % sizeof(void *))
            return spec_fail(error, value, "a number of bytes, a multiple of 8");
        return true;
    }
    if (value && !strcmp(name, "next")) {
        *seen |= O_NEXT;
        out->has_next = true;
        if (!read_number(value, 1 << 20, &out->next) || out->next % sizeof(void *))
            return spec_fail(error, value, "a number of bytes, a multiple of 8");
        return true;
    }
    if (value && !strcmp(name, "unless")) {
        *seen |= O_UNLESS;
        return read_bits(value, out)
                   ? true
                   : spec_fail(error, value,
                               "BYTES&MASK: where 32 bits are, a multiple of 4, and which of them, "
                               "as in 16&32768");
    }
    if (value && !strcmp(name, "pair")) {
        *seen |= O_PAIR;
        out->pair = value;
        return *value ? true : spec_fail(error, value, "the name of a pair");
    }
    if (value && !strcmp(name, "stack")) {
        if (!read_number(value, NAMED_STACK_MAX, &number))
            return spec_fail(error, value, "a number of words, up to 64");
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
        return spec_fail(error, value, "auto, symbol, got or patch");
    }
    return spec_fail(
        error, name,
        "kind, fn, arg, cbarg, repeat, obj, fifo, front, item, queue, ok, off, data, next, "
        "unless, int, from, to, keep, slot, end, pair, stack, how, outside or unsafe");
}

static const char kinds_expected[] =
    "call, submit, run, put, get, field, stdfunction, drop, ref, virtual or relay";

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

/* The names of the options so far. False: this one was among them. */
struct given {
    const char *names[32];
    size_t count;
};

static bool note_option(struct given *given, const char *name)
{
    bool is_listed = !strcmp(name, "slot") || !strcmp(name, "end"); /* slot=2,slot=3 is slot=2+3 */

    for (size_t i = 0; i < given->count && !is_listed; i++)
        if (!strcmp(given->names[i], name))
            return false;
    if (given->count == sizeof given->names / sizeof *given->names)
        return false; /* there are not so many */
    given->names[given->count++] = name;
    return true;
}

bool spec_is_carried(const char *text)
{
    size_t len = strcspn(text, ":");

    return slot_kind_find(text, len) && !(text[len] && text[len + 1] == ':');
}

bool spec_parse(char *text, struct named_spec *out, struct spec_error *error)
{
    char *open = strrchr(text, '('), *close, *option,
         *next_item; /* names of C++ have some of their own */
    struct given given = {.count = 0};
    unsigned seen = 0;
    bool has_kind = false;

    out->pair = "";
    out->stack = NAMED_STACK;
    if (!open && spec_is_carried(text))
        return spec_fail(error, text,
                         "FUNCTION(kind=...) or preset:NAME; what is to be carried is for "
                         "BATON_CARRY, or --carry");
    if (!open)
        return spec_fail(error, text + strlen(text),
                         "(kind=...) after the name of the function, or preset:NAME");
    close = strchr(open, ')');
    if (!close)
        return spec_fail(error, text + strlen(text), "a closing )");
    if (close[1])
        return spec_fail(error, close + 1, "nothing after the closing )");
    if (close[-1] == ',')
        return spec_fail(error, close, "an option after the comma, or no comma");
    *open = *close = '\0';
    next_item = strstr(text, "),");
    if (next_item && strstr(text, "(kind="))
        return spec_fail(error, next_item + 1, "a ';' between items");
    if (!spec_read_name(text, out, error))
        return false;
    for (option = open + 1; option < close;) {
        char *next = option + strcspn(option, ","), *value;

        *next = '\0';
        if (!*option)
            return spec_fail(error, option, "an option after the comma, or no comma");
        value = strchr(option, '=');
        if (value)
            *value++ = '\0';
        if (!note_option(&given, option))
            return spec_fail(error, option, "each option once");
        if (value && !strcmp(option, "kind")) {
            if (!read_kind(value, &out->kind))
                return spec_fail(error, value, kinds_expected);
            has_kind = true;
        } else if (!read_option(option, value, out, &seen, error)) {
            return false;
        }
        option = next + 1;
    }
    if (!has_kind)
        return spec_fail(
            error, open + 1,
            "kind=call, submit, run, put, get, field, stdfunction, drop, ref, virtual or relay");
    if ((seen & kinds[out->kind].required) != kinds[out->kind].required)
        return spec_fail(error, close, kinds[out->kind].expected);
    if (seen & ~(kinds[out->kind].required | kinds[out->kind].allowed))
        return spec_fail(error, open + 1, "only options of this kind (see man 7 baton-hooks)");
    if (out->is_outside && out->how == HOW_PATCH)
        return spec_fail(error, open + 1,
                         "outside or how=patch, not both: a patch sees the calls inside, too");
    if (out->kind == NAMED_CALL && out->fn == out->arg)
        return spec_fail(error, open + 1, "two different positions for fn and arg");
    if (out->kind == NAMED_PUT && out->item_at != ITEM_ARGUMENT)
        return spec_fail(error, open + 1, "item=N: what is put is an argument");
    if (out->kind == NAMED_DROP &&
        (!(seen & (O_ITEM | O_OBJ | O_QUEUE)) || out->item_at != ITEM_ARGUMENT))
        return spec_fail(error, open + 1,
                         "item=N or obj=N: what is dropped, or queue=N: all that is in it");
    if (seen & O_OBJ && seen & (O_ITEM | O_QUEUE))
        return spec_fail(error, open + 1, "obj=N of a submit, or item=N and queue=N of a queue");
    if (out->has_next && out->kind != NAMED_FIELD && (out->ok_bits || out->has_data))
        return spec_fail(error, open + 1, "next=BYTES without ok and data");
    if (out->kind == NAMED_STDFUNCTION && out->cbarg > 2)
        return spec_fail(error, open + 1, "cbarg=1, or cbarg=2 where its result is in memory");
    if (out->kind == NAMED_FIELD && out->has_data && out->data == out->off)
        return spec_fail(error, open + 1, "two different places for off and data");
    for (unsigned i = 0; i < out->ends_count; i++)
        if (memchr(out->slots, out->ends[i], out->slots_count))
            return spec_fail(error, open + 1, "two different functions for slot and end");
    out->is_fifo |= out->ends_count; /* it is known when one is gone, so none can be left over */
    out->is_object = out->kind == NAMED_DROP && seen & O_OBJ;
    if (out->queue_at && (out->kind != NAMED_DROP || seen & O_ITEM))
        return spec_fail(error, open + 1, "queue=N: the queue is an argument");
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

const char *spec_partner(const struct named_spec *spec)
{
    return spec->is_object ? "kind=submit" : kinds[spec->kind].partner;
}

enum named_kind spec_partner_kind(const struct named_spec *spec)
{
    return spec->is_object ? NAMED_SUBMIT : kinds[spec->kind].partner_kind;
}
