/*
 * tls:NAME[@MODULE][#FILE.c] and tls:MODULE+0xOFFSET:SIZE: __thread variables, by their bytes.
 *
 * A variable of a library that came with the program lies at one offset from the thread pointer in
 * every thread: plain memory. Others are looked up in the thread's table of blocks each time; their library is
 * pinned, because module ids are used again after dlclose and we would write into another's block.
 */
#include <string.h>

#include "base/arch.h"
#include "base/infile.h"
#include "base/text.h"
#include "elf/elf.h"
#include "slots/moves.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/tls_reason.h"
#include "slots/typed.h"

static bool read_size(const char *text, uint32_t *size)
{
    uint32_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 65536)
            return false;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    *size = value;
    return value > 0 && value <= 65536;
}

static const struct slot_form tls_form = {
    .name = "tls",
    .shape = SHAPE_WHAT,
    .options = O_POLICIES | O_ENDERS | O_CODEC,
    .own = O_CODEC,
    .item = "the name of a variable, tls:NAME[@MODULE][#FILE.c]; or tls:MODULE+0xOFFSET:SIZE",
    .extra = "codec=string|shared_ptr|map-string-string|/FILE.so[:PREFIX], " POLICY_WORDS,
};

/* NAME[@MODULE], where NAME may have '*' in the place of what a compiler makes up: hashes, numbers. */
static bool check_pattern(const char *at, size_t len, struct slot_error *error)
{
    const char *module = memchr(at, '@', len), *end = module ? module : at + len;

    if (!memchr(at, '*', (size_t)(end - at)))
        return form_check_symbol(at, len, tls_form.item, error);
    if (form_is_digit(*at))
        return form_check_symbol(at, len, tls_form.item, error);
    if (strspn(at, "*") >= (size_t)(end - at))
        return form_bad(error, at, "more of a name than '*'");
    for (const char *piece = at; piece < end; piece++) {
        const char *star = memchr(piece, '*', (size_t)(end - piece));
        size_t n = (size_t)((star ? star : end) - piece);

        if (n && !form_check_name(piece, n, tls_form.item, error))
            return false;
        piece += n;
    }
    return !module ||
           form_check_name(module + 1, len - (size_t)(module + 1 - at),
                           "main or the beginning of a library's file name after @", error);
}

static bool tls_check(const char *at, size_t len, struct slot_error *error)
{
    const char *file = memchr(at, '#', len), *end = at + len;
    const char *offset = form_find_offset(at, file ? (size_t)(file - at) : len);

    if (offset)
        return form_check_offset(at, offset, end, true, error);
    if (!check_pattern(at, file ? (size_t)(file - at) : len, error))
        return false;
    if (!file)
        return true;
    if (++file == end)
        return form_bad(error, file, "the name of a source file after #, as in #pool.c");
    for (const char *c = file; c < end;) {
        size_t n = text_shown(c, (size_t)(end - c));

        if (*c == '@')
            return form_bad(error, c, "@MODULE before #FILE.c, as in tls:x@main#pool.c");
        if (!n || *c == '#')
            return form_bad(error, c, "the name of a source file after #, as in #pool.c");
        c += n;
    }
    return true;
}

static bool place_parse(struct slot *slot, char *text, struct slot_error *error)
{
    char *plus = strrchr(text, '+'), *file;
    const char *end;

    if (plus && plus != text && plus[1] == '0') {
        uintptr_t offset;

        *plus = '\0';
        slot->tls.module = text;
        if (!form_read_offset(plus + 1, &offset, &end) || *end != ':' ||
            !read_size(end + 1, &slot->size)) {
            *error =
                (struct slot_error){"MODULE+0xOFFSET:SIZE, the size from 1 to 65536", plus + 1};
            return false;
        }
        slot->tls.tls_offset = offset;
        return true;
    }
    file = strchr(text, '#');
    if (file) {
        *file = '\0';
        slot->tls.file = file + 1;
    }
    form_cut_module(text, &slot->tls.module);
    slot->tls.name = text;
    if (!*text || (slot->tls.module && !*slot->tls.module) || (file && !slot->tls.file[0])) {
        *error = (struct slot_error){"NAME[@MODULE][#FILE.c] or MODULE+0xOFFSET:SIZE", text};
        return false;
    }
    if (!slot_name_add(&slot->tls.id, text, slot->tls.module, slot->tls.file, ELF_TLS)) {
        *error = (struct slot_error){"fewer names", text};
        return false;
    }
    return true;
}

static bool tls_bind(struct slot *slot, const struct elf_module *module, size_t offset, size_t size)
{
    if (offset + size > module->tls_size) {
        slot_refuse(slot, "outside of the module's thread-local storage");
        return false;
    }
    if (size > 65536 || (slot->has_offset && size > slot->size)) {
        slot_refuse(
            slot, "too large: 65536 bytes at most, 256 for what comes with a library loaded later");
        return false;
    }
    if (slot->is_owned && size != sizeof(void *)) {
        slot_refuse(slot, "its policy needs a variable that holds one pointer");
        return false;
    }
    /* A word that comes late lies where a block has its only one (SLOT_WORD_FROM_END). Nobody has a value of it yet. */
    if (slot->has_offset && slot->size == LATE_TLS_SIZE && size == sizeof(uint64_t))
        slot->offset += LATE_TLS_SIZE + SLOT_WORD_FROM_END;
    slot->size = (uint32_t)size;
    slot->tls.module_id = module->tls_modid;
    slot->tls.entry = ELF_TLS_ENTRY * module->tls_modid;
    slot->tls.tls_offset = offset;
    slot->is_fixed = elf_tls_tp_offset(module, offset, &slot->tp_offset);
    return true;
}

static void tls_resolve(struct slot *slot)
{
    struct elf_search found;
    char full[ELF_FULL];
    const struct elf_symbol *symbol = &found.query.found;
    size_t offset = slot->tls.tls_offset, size = slot->size;
    const char *reason;

    if (!slot->tls.name) {
        if (!elf_module_find(slot->tls.module, &found.where) || !found.where.tls_modid) {
            slot->reason = "no loaded module of this name has thread-local storage";
            return;
        }
        if (!slots_force && slot_deny_reason(NULL, found.where.name)) {
            slot_refuse(slot, slot_deny_reason(NULL, found.where.name));
            return;
        }
    } else {
        if (!slot_name_find(slot->tls.id, &found)) {
            slot->reason = "no loaded module has a thread-local variable of this name";
            return;
        }
        reason = tls_reason(slot, &found.where, symbol);
        if (reason) {
            slot_refuse(slot, reason);
            return;
        }
        offset = symbol->value;
        size = symbol->size ? symbol->size : sizeof(void *);
    }
    if (tls_bind(slot, &found.where, offset, size)) {
        slot_pin(found.where.phdr);
        slot->tls.generation = slot->is_fixed ? SIZE_MAX : elf_tls_generation(slot->tls.module_id);
        slot_bound(slot, found.where.name,
                   slot->tls.name ? tls_whole_name(slot, &found.where, full) : "offset");
    }
}

static APART char *tls_fixed(const struct slot *slot)
{
    return slot->is_fixed ? arch_tp() + slot->tp_offset
                          : elf_tls_address(slot->tls.module_id, slot->tls.tls_offset);
}

/* Of fixed ones no generation is trusted. */
static inline char *tls_at(const struct slot *slot)
{
    char *block = elf_tls_peek(slot->tls.entry, slot->tls.generation);

    return block ? block + slot->tls.tls_offset : tls_fixed(slot);
}

/* Most are one word: no function of the C library's is called for that. */
static bool tls_read(const struct slot *slot, void *value)
{
    if (slot->size == sizeof(uint64_t)) {
        uint64_t word, initial = 0;

        memcpy(&word, tls_at(slot), sizeof word);
        memcpy(value, &word, sizeof word);
        if (slots_initial)
            memcpy(&initial, (char *)slots_initial + slot->offset, sizeof initial);
        return !slots_initial || word != initial;
    }
    memcpy(value, tls_at(slot), slot->size);
    return !slots_initial || memcmp(value, (char *)slots_initial + slot->offset, slot->size) != 0;
}

static void tls_write(const struct slot *slot, void *value)
{
    if (slot->size == sizeof(uint64_t)) {
        memcpy(tls_at(slot), value, sizeof(uint64_t));
        return;
    }
    memcpy(tls_at(slot), value, slot->size);
}

static bool tls_same(const struct slot *slot, const void *value)
{
    return memcmp(tls_at(slot), value, slot->size) == 0;
}

static APART uint64_t get_fixed(const struct slot *slot)
{
    uint64_t word;

    memcpy(&word, tls_fixed(slot), sizeof word);
    return word;
}

static APART void put_fixed(const struct slot *slot, uint64_t word)
{
    memcpy(tls_fixed(slot), &word, sizeof word);
}

/* What is not had quickly is another function's, so that these have no frame. */
static uint64_t tls_get(const struct slot *slot)
{
    const char *block = elf_tls_peek(slot->tls.entry, slot->tls.generation);
    uint64_t word;

    if (__builtin_expect(!block, 0))
        return get_fixed(slot);
    memcpy(&word, block + slot->tls.tls_offset, sizeof word);
    return word;
}

static void tls_put(const struct slot *slot, uint64_t word)
{
    char *block = elf_tls_peek(slot->tls.entry, slot->tls.generation);

    if (__builtin_expect(!block, 0))
        put_fixed(slot, word);
    else
        memcpy(block + slot->tls.tls_offset, &word, sizeof word);
}

static void *const *tls_place(const struct slot *slot)
{
    return (void *const *)(void *)tls_at(slot);
}

struct initial_search {
    const struct slot *slot;
    void *value;
};

/* The module's initialisation image, zeros after it. */
static int visit_initial(const struct elf_module *module, void *arg)
{
    struct initial_search *search = arg;
    const struct slot *slot = search->slot;

    if (module->tls_modid != slot->tls.module_id)
        return 0;
    memset(search->value, 0, slot->size);
    for (size_t i = 0; i < module->phnum; i++) {
        const ElfW(Phdr) *segment = &module->phdr[i];

        if (segment->p_type == PT_TLS && slot->tls.tls_offset < segment->p_filesz) {
            size_t have = segment->p_filesz - slot->tls.tls_offset;

            memcpy(search->value,
                   (const char *)module->base + segment->p_vaddr + slot->tls.tls_offset,
                   have < slot->size ? have : slot->size);
        }
    }
    return 1;
}

static void tls_initial(const struct slot *slot, void *value)
{
    struct initial_search search = {slot, value};

    elf_each_module(visit_initial, &search);
}

static unsigned tls_names(const struct slot *slot, struct slot_meant *meant)
{
    if (!slot->tls.name)
        return 0;
    *meant = (struct slot_meant){slot->tls.name, slot->tls.module, slot->tls.file, slot->tls.id,
                                 ELF_TLS};
    return 1;
}

/* ---- objects, with a codec ---- */

static bool typed_parse(struct slot *slot, char *text, struct slot_error *error)
{
    char *codec = strstr(text, ",codec="), *prefix;
    const char *why = TYPED_FORM;
    const struct typed_known *known;
    char folder[SLOT_FOLDER_SIZE];

    *codec = '\0';
    codec += strlen(",codec=");
    known = typed_known_find(codec);
    prefix = known ? NULL : strrchr(codec, ':');
    if (prefix)
        *prefix++ = '\0';
    if (known)
        why = slot_own_folder(folder) ? NULL : "codec=/FILE.so: where baton lies is not known";
    else if (codec[0] == '/')
        why = infile_distrust(codec);
    if (why) {
        *error = (struct slot_error){why, codec};
        return false;
    }
    if (!place_parse(slot, text, error))
        return false;
    if (!slot->tls.name || strchr(slot->tls.name, '*')) {
        *error = (struct slot_error){"NAME[@MODULE][#FILE.cc],codec=..., the whole name", text};
        return false;
    }
    slot->size = sizeof(void *);
    slot->tls.typed = known ? typed_new(folder, typed_known_prefix(known), known)
                            : typed_new(codec, prefix ? prefix : "codec", NULL);
    if (!slot->tls.typed)
        *error = (struct slot_error){"memory", text};
    return slot->tls.typed != NULL;
}

static void typed_resolve(struct slot *slot)
{
    struct elf_search found;
    const char *reason;

    if (!slot_name_find(slot->tls.id, &found)) {
        slot->reason = "no loaded module has a thread-local variable of this name";
        return;
    }
    reason = tls_reason(slot, &found.where, &found.query.found);
    if (!reason && slots_may_not_open)
        return;
    if (!reason)
        reason = typed_bind(slot, &found.where, &found.query.found, &slots_calls);
    if (reason) {
        slot_refuse(slot, reason);
        return;
    }
    slot_pin(found.where.phdr);
    slot_bound(slot, found.where.name, slot->tls.name);
}

static const struct slot_kind slot_kind_typed = {
    .form = &tls_form,
    .names = tls_names,
    .reason = tls_reason,
    .resolve = typed_resolve,
    .hold = typed_hold,
    .lend = typed_lend,
    .reclaim = typed_reclaim,
    .let_go = typed_let_go,
    .can_exchange = typed_can_exchange,
    .exchange = typed_exchange,
};

/* ---- the kind ---- */

static bool tls_parse(struct slot *slot, char *text, struct slot_error *error)
{
    if (!strstr(text, ",codec="))
        return place_parse(slot, text, error);
    slot->kind = &slot_kind_typed;
    return typed_parse(slot, text, error);
}

const struct slot_kind slot_kind_tls = {
    .form = &tls_form,
    .check = tls_check,
    .parse = tls_parse,
    .names = tls_names,
    .reason = tls_reason,
    .may_dangle = true,
    .resolve = tls_resolve,
    .read = tls_read,
    .write = tls_write,
    .same = tls_same,
    .get = tls_get,
    .put = tls_put,
    .initial = tls_initial,
    .place = tls_place,
};
