/*
 * What is looked at in a run: every thread-local variable of which a word has changed, and every key, each with the
 * item that would carry it. A key goes by the variable that holds it; one that is kept on the stack or the heap
 * by the function that made it, or by its number.
 */
#include <stdio.h>
#include <string.h>

#include "facts.h"

struct subject subjects[SUBJECTS_MAX];
unsigned subjects_count;

static struct subject *subject_add(void)
{
    return subjects_count < SUBJECTS_MAX ? &subjects[subjects_count++] : NULL;
}

static bool has_subject(const struct names *names, const struct variable *variable)
{
    for (unsigned i = 0; i < subjects_count; i++) {
        if (subjects[i].variable == variable && subjects[i].of == names)
            return true;
    }
    return false;
}

bool variable_has_word(const struct variable *variable, uint64_t offset)
{
    return variable->offset < offset + 8 &&
           variable->offset + (variable->size ? variable->size : 1) > offset;
}

/* Every variable of which a word has changed. */
static void find_variables(void)
{
    for (uint32_t i = 0; i < facts_events; i++) {
        const struct discover_event *event = &facts->event[i];
        struct names *names = event->kind == DISCOVER_WORD ? facts_module(event->which) : NULL;

        for (unsigned j = 0; names && j < names->variables_count; j++) {
            const struct variable *variable = &names->variables[j];
            struct subject *subject;

            if (!variable_has_word(variable, event->object) || variable->size > 4096 ||
                has_subject(names, variable) ||
                (variable->name &&
                 (!strncmp(variable->name, "_ZGV", 4) || !strncmp(variable->name, "_ZTH", 4) ||
                  !strcmp(variable->name, "__tls_guard"))) ||
                !(subject = subject_add()))
                continue;
            subject->of = names;
            subject->variable = variable;
            snprintf(subject->item, sizeof subject->item, "tls:%s", names_item(names, variable));
        }
    }
}

/* By the variable at this place in a module. */
static void name_by_variable(struct subject *subject, const struct place *variable)
{
    bool is_main = variable->names->module->elf.is_main;
    char name[400];

    subject->of = variable->names;
    if (names_data(variable->names, variable->address, name, sizeof name))
        snprintf(subject->item, sizeof subject->item, "key:%s%s%s", name, is_main ? "" : "@",
                 is_main ? "" : variable->names->shown);
    else
        snprintf(subject->item, sizeof subject->item, "key:%s+0x%zx", variable->names->shown,
                 (size_t)variable->address);
}

static bool is_made_in(uint32_t key, const struct place *maker)
{
    uint32_t number = facts->key[key].stack;
    const struct discover_stack *stack = number < DISCOVER_STACKS ? &facts->stack[number] : NULL;

    for (uint32_t i = 0; stack && i < stack->count && i < DISCOVER_FRAMES; i++) {
        struct place place = facts_place(stack->frames[i], true);

        if (place.names == maker->names && place.function == maker->function)
            return true;
    }
    return false;
}

/*
 * "#N", or "" where this one is all that the function makes. As shim/slots/key_by.c counts: from the first again when
 * all that it had made were deleted, as they are at exit, when there is no next.
 */
static const char *which_of(uint32_t key, const struct place *maker)
{
    static char text[16];
    uint32_t count = facts->keys < DISCOVER_KEYS ? facts->keys : DISCOVER_KEYS;
    uint32_t made = 0, most = 0, which = 1;
    bool is_its[DISCOVER_KEYS];

    for (uint32_t i = 0; i < count; i++) {
        bool is_any = false;

        is_its[i] = is_made_in(i, maker);
        if (!is_its[i])
            continue;
        for (uint32_t j = 0; j < i; j++) {
            uint32_t deleted = facts->key[j].deleted_after;

            is_any |= is_its[j] && (!deleted || deleted > i);
        }
        made = is_any ? made + 1 : 1;
        most = most < made ? made : most;
        if (i == key)
            which = made;
    }
    snprintf(text, sizeof text, "#%u", which);
    return most > 1 ? text : "";
}

static bool is_of_glib(const struct place *place)
{
    return place->names && !strncmp(place->names->module->elf.name, "libglib", 7);
}

/* By who made it. The run time's own function, and GLib's, is nobody's name for it. */
static void name_by_maker(struct subject *subject)
{
    const struct discover_key *key = &facts->key[subject->key];
    uint32_t inner = facts_inner(key->stack);
    const struct discover_stack *stack;
    struct place maker;

    if (key->stack >= DISCOVER_STACKS || inner >= facts->stack[key->stack].count)
        return;
    stack = &facts->stack[key->stack];
    maker = facts_place(stack->frames[inner], true);
    for (uint32_t i = inner; i + 1 < stack->count && is_of_glib(&maker); i++)
        maker = facts_place(stack->frames[i + 1], true);
    subject->of = maker.names;
    if (maker.function && maker.function->name)
        snprintf(subject->item, sizeof subject->item, "key:by=%s%s%s%s", maker.function->name,
                 which_of(subject->key, &maker), maker.names->module->elf.is_main ? "" : "@",
                 maker.names->module->elf.is_main ? "" : maker.names->shown);
}

/* The option that copies the values of a QThreadStorage, by the name of the function that deletes them. */
static const char *storage_option(uint64_t end)
{
    static const struct {
        const char *type, *option;
    } known[] = {
        {"7QStringE", "codec=qstring"},
        {"10QByteArrayE", "codec=qbytearray"},
        {"NSt7__cxx1112basic_string", "codec=string"},
        {"bE", "copy=1"},
        {"cE", "copy=1"},
        {"sE", "copy=2"},
        {"tE", "copy=2"},
        {"iE", "copy=4"},
        {"jE", "copy=4"},
        {"fE", "copy=4"},
        {"lE", "copy=8"},
        {"mE", "copy=8"},
        {"xE", "copy=8"},
        {"yE", "copy=8"},
        {"dE", "copy=8"},
    };
    static const char begins[] = "_ZN14QThreadStorageI";
    struct place place = facts_place(end, false);
    const char *name = place.function ? place.function->name : NULL;

    if (!name || strncmp(name, begins, sizeof begins - 1) != 0)
        return NULL;
    name += sizeof begins - 1;
    name += *name == 'P';
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(name, known[i].type, strlen(known[i].type)))
            return known[i].option;
    return NULL;
}

/* A QThreadStorage at this place: what key:NAME is to a key, and how its values are copied. */
static void name_storage(struct subject *subject, const struct place *variable)
{
    const char *option = storage_option(facts->key[subject->key].destructor);
    char place[ITEM_MAX - 32];

    name_by_variable(subject, variable);
    snprintf(place, sizeof place, "%s", subject->item + strlen("key:"));
    snprintf(subject->item, sizeof subject->item, "qt:%s,%s", place,
             option ? option : "codec=/FILE.so");
    subject->is_unfinished = !option;
    if (!option)
        subject->note =
            "a QThreadStorage, of which Qt deletes the values, so each task needs a copy: "
            "codec=qstring,\n#   qbytearray or string if it is of these, copy=N for plain "
            "values, else a codec of its type (baton_codec.h)";
}

static void name_key(struct subject *subject)
{
    const struct discover_key *key = &facts->key[subject->key];
    struct place variable = facts_place(key->variable, false);
    struct place holder = facts_place(key->holder, false);

    if (key->is_storage && variable.names)
        name_storage(subject, &variable);
    else if (variable.names && !facts_is_runtime(variable.names))
        name_by_variable(subject, &variable);
    else if (key->holder && holder.names && !facts_is_runtime(holder.names))
        name_by_variable(subject, &holder); /* which points to it, on the heap: GPrivate */
    else
        name_by_maker(subject);
    if (!subject->item[0])
        snprintf(subject->item, sizeof subject->item, "key:n=%u", subject->key + 1);
}

static void find_keys(void)
{
    uint32_t count = facts->keys < DISCOVER_KEYS ? facts->keys : DISCOVER_KEYS;

    for (uint32_t i = 0; i < count; i++) {
        struct subject *subject = subject_add();

        if (!subject)
            return;
        subject->key = i;
        name_key(subject);
    }
}

void subjects_find(void)
{
    find_variables();
    find_keys();
}

struct subject *subject_of_key(uint32_t key)
{
    for (unsigned i = 0; i < subjects_count; i++) {
        if (!subjects[i].variable && subjects[i].key == key)
            return &subjects[i];
    }
    return NULL;
}
