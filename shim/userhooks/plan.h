/*
 * What baton-plan finds out before the program starts, in the object that it writes (GENERATED_OBJECT):
 * which function is hooked by which means, and the code patches. Data only, in the object's read-only
 * memory under the name PLAN_SYMBOL; the library believes nothing of it before it has compared the
 * settings, and for a patch the module's build-id and the function's bytes.
 */
#ifndef BATON_USERHOOKS_PLAN_H
#define BATON_USERHOOKS_PLAN_H

#include <stdint.h>

#include "elf/elf.h"
#include "userhooks/spec.h"

#define PLAN_SYMBOL "baton_named_plan"

enum {
    PLAN_MAGIC = 0x334e5442 /* "BTN3" */,
    PLAN_ROWS = 1024,
    PLAN_FIXUPS = 8,
    PLAN_WINDOW = 32,
    PLAN_ISLAND = 192,
    PLAN_REASON = 200
};

enum plan_fixup_kind { FIXUP_RELATIVE, FIXUP_ABSOLUTE };

struct plan_fixup {
    uint8_t at;  /* in the island: four bytes, or eight of an absolute address */
    uint8_t end; /* relative: where the instruction ends */
    uint8_t kind;
    uint8_t unused[5];
    uint64_t target; /* address in the module's file */
};

struct plan_patch {
    uint32_t row;
    uint8_t build_id_len /* 0: none, it holds the fingerprint */, window, island_len, fixups;
    uint8_t build_id[32];
    uint64_t address; /* of the first byte that is replaced, in the module's file */
    uint8_t expected[PLAN_WINDOW];
    /* Not 0: a jump of two bytes at the entry leads to the padding before the function, five bytes
     * at this address, which get the jump to the island. */
    uint64_t padding;
    uint8_t padding_expected[8];
    uint8_t island[PLAN_ISLAND]; /* the displaced instructions, then a jump back */
    struct plan_fixup fixup[PLAN_FIXUPS];
};

/* One function. The first PLAN.items rows are one an item, in their order; what an item with a pattern
 * stands for besides comes after all of these. */
struct plan_row {
    uint32_t name; /* the function's, from the start of the plan */
    uint32_t item;
    uint8_t by;         /* enum named_how; HOW_AUTO: not hooked */
    uint8_t is_missing; /* no such function was found at all */
    uint8_t unused[2];
    char module[100];
    char reason[PLAN_REASON]; /* why not; of one that is: which calls are not seen */
};

struct plan {
    uint32_t magic, size;
    uint64_t settings; /* plan_hash of the items */
    uint64_t program;  /* plan_identity of the program's file */
    uint32_t items, rows, patches, unused;
    /* struct plan_row[rows], struct plan_patch[patches], names */
};

static inline uint64_t plan_hash(uint64_t hash, const char *item)
{
    if (!hash)
        hash = 0xcbf29ce484222325u;
    for (; *item; item++)
        hash = (hash ^ (unsigned char)*item) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

static inline uint64_t plan_hash_bytes(uint64_t hash, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* What tells one program from another: its build-id, else the fingerprint of its file. */
static inline uint64_t plan_identity(const struct elf_module *program)
{
    size_t len = 0;
    const uint8_t *id = elf_module_build_id(program, &len);

    return id && len ? plan_hash_bytes(0xcbf29ce484222325u, id, len)
                     : elf_module_fingerprint(program);
}

#endif
