/*
 * Planning an entry patch: five bytes at the entry become a jump to a thunk, and the instructions
 * that stood there are rebuilt in an island, from where the function goes on. Everything that could
 * be wrong is looked for in the whole function; in doubt nothing is patched.
 *
 * The landing pad (endbr64) stays. A call among the displaced instructions becomes push and jump, so
 * that it returns into the function itself and no unwinder meets the island. Where five bytes are
 * too many, two do, if there is filling before the function for the long jump.
 */
#include <stdio.h>
#include <string.h>

#include "plan.h"

#if defined(__x86_64__) && defined(HAVE_ZYDIS)
#include <Zydis/Zydis.h>

enum { JUMP_LEN = 5, SHORT_LEN = 2, FUNCTION_MAX = 1 << 20 };

struct planning {
    struct plan_patch *patch;
    uint64_t start, end; /* the displaced bytes, addresses in the file */
    char *reason;
    size_t n;
};

static bool no(struct planning *p, const char *why)
{
    snprintf(p->reason, p->n, "%s", why);
    return false;
}

static bool put(struct planning *p, const void *bytes, size_t len)
{
    if (p->patch->island_len + len > PLAN_ISLAND - 16 * 2)
        return no(p, "its first instructions need too much room elsewhere");
    memcpy(p->patch->island + p->patch->island_len, bytes, len);
    p->patch->island_len = (uint8_t)(p->patch->island_len + len);
    return true;
}

static bool fix(struct planning *p, unsigned at, unsigned end, enum plan_fixup_kind kind,
                uint64_t target)
{
    struct plan_fixup *fixup = &p->patch->fixup[p->patch->fixups];

    if (p->patch->fixups == PLAN_FIXUPS)
        return no(p, "its first instructions refer to too many places");
    if (kind == FIXUP_RELATIVE && target > p->start && target < p->end)
        return no(p, "one of its first instructions refers to another of them");
    p->patch->fixups++;
    fixup->at = (uint8_t)at;
    fixup->end = (uint8_t)end;
    fixup->kind = (uint8_t)kind;
    fixup->target = target;
    return true;
}

/* OPCODE rel32 to target. */
static bool put_jump(struct planning *p, const unsigned char *opcode, size_t len, uint64_t target)
{
    static const unsigned char zeros[4];
    unsigned at;

    if (!put(p, opcode, len))
        return false;
    at = p->patch->island_len;
    return put(p, zeros, 4) && fix(p, at, at + 4, FIXUP_RELATIVE, target);
}

static bool is_relative(const ZydisDecodedInstruction *insn)
{
    return (insn->attributes & ZYDIS_ATTRIB_IS_RELATIVE) && insn->raw.imm[0].is_relative;
}

static uint64_t relative_target(const ZydisDecodedInstruction *insn, uint64_t address)
{
    return address + insn->length + (uint64_t)insn->raw.imm[0].value.s;
}

/* A slot for the return address is put behind the jump back; which one, is known when all is there. */
struct pending_call {
    unsigned at;
    uint64_t back;
};

/* push *slot(%rip): the slot is filled with `back` when the island is placed. */
static bool put_push(struct planning *p, struct pending_call *call, uint64_t back)
{
    static const unsigned char push[6] = {0xff, 0x35};

    call->at = p->patch->island_len + 2u;
    call->back = back;
    return put(p, push, sizeof push);
}

static bool rebuild(struct planning *p, const unsigned char *code, uint64_t address,
                    const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
                    struct pending_call *call)
{
    unsigned char bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
    uint64_t next = address + insn->length;
    unsigned at = p->patch->island_len;
    bool uses_rip = false, uses_rsp = false;

    for (unsigned i = 0; i < insn->operand_count_visible; i++) {
        if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        uses_rip |= operands[i].mem.base == ZYDIS_REGISTER_RIP;
        uses_rsp |= operands[i].mem.base == ZYDIS_REGISTER_RSP;
    }
    switch (insn->mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_XBEGIN:
        return no(p, "one of its first instructions cannot be moved");
    default:
        break;
    }
    memcpy(bytes, code, insn->length);
    if (insn->meta.category == ZYDIS_CATEGORY_CALL) {
        if (next < p->end)
            return no(p, "it calls another function among its first five bytes");
        if (!put_push(p, call, next))
            return false;
        if (is_relative(insn))
            return put_jump(p, (const unsigned char *)"\xe9", 1, relative_target(insn, address));
        if (uses_rsp)
            return no(p, "it calls through its stack among its first instructions");
        at = p->patch->island_len;
        bytes[insn->raw.modrm.offset] =
            (unsigned char)((bytes[insn->raw.modrm.offset] & 0xc7) | 4 << 3);
        if (!put(p, bytes, insn->length))
            return false;
    } else if (is_relative(insn)) {
        unsigned char opcode[2] = {0x0f, 0};

        if (insn->mnemonic == ZYDIS_MNEMONIC_JMP)
            return put_jump(p, (const unsigned char *)"\xe9", 1, relative_target(insn, address));
        if (insn->meta.category != ZYDIS_CATEGORY_COND_BR ||
            insn->mnemonic == ZYDIS_MNEMONIC_JCXZ || insn->mnemonic == ZYDIS_MNEMONIC_JECXZ ||
            insn->mnemonic == ZYDIS_MNEMONIC_JRCXZ || insn->mnemonic == ZYDIS_MNEMONIC_LOOP ||
            insn->mnemonic == ZYDIS_MNEMONIC_LOOPE || insn->mnemonic == ZYDIS_MNEMONIC_LOOPNE)
            return no(p, "one of its first instructions cannot be moved");
        opcode[1] = (unsigned char)(0x80 | (insn->opcode & 0x0f));
        return put_jump(p, opcode, 2, relative_target(insn, address));
    } else if (!put(p, bytes, insn->length)) {
        return false;
    }
    if (uses_rip) {
        if (insn->raw.disp.size != 32)
            return no(p, "one of its first instructions cannot be moved");
        return fix(p, at + insn->raw.disp.offset, at + insn->length, FIXUP_RELATIVE,
                   next + (uint64_t)insn->raw.disp.value);
    }
    return true;
}

static bool ends_flow(const ZydisDecodedInstruction *insn)
{
    return insn->meta.category == ZYDIS_CATEGORY_RET || insn->mnemonic == ZYDIS_MNEMONIC_JMP ||
           insn->mnemonic == ZYDIS_MNEMONIC_HLT || insn->mnemonic == ZYDIS_MNEMONIC_UD2;
}

/* The whole function: it must decode, and nothing may jump back among the displaced bytes. */
static bool body_is_fine(struct planning *p, const ZydisDecoder *decoder, const unsigned char *code,
                         uint64_t address, uint64_t function, size_t len)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    for (size_t at = 0; at < len; at += insn.length) {
        uint64_t target;

        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code + at, len - at, &insn, operands)))
            return no(p, "it has bytes that are no instructions");
        if (!is_relative(&insn) || insn.meta.category == ZYDIS_CATEGORY_CALL)
            continue;
        target = relative_target(&insn, address + at);
        if (target >= function && target < p->end && !(address + at < p->end && target >= p->end))
            return no(p, "it jumps back to its entry");
    }
    return true;
}

static const unsigned char landing_pad[4] = {0xf3, 0x0f, 0x1e, 0xfa};

/* Displaces at least `jump_len` bytes of CODE, the function without its landing pad. */
static bool displace(struct planning *p, const ZydisDecoder *decoder, const unsigned char *code,
                     uint64_t function, size_t size, size_t jump_len)
{
    struct plan_patch *out = p->patch;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction insn;
    struct pending_call call = {0, 0};
    size_t window = 0, slots;

    out->island_len = out->fixups = 0;
    if (size < jump_len)
        return no(p, "it is shorter than the five bytes that a jump needs");
    while (window < jump_len) {
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(decoder, code + window, size - window, &insn, operands)))
            return no(p, "it has bytes that are no instructions");
        window += insn.length;
        if (window < jump_len && ends_flow(&insn))
            return no(p, "it ends or goes elsewhere before the five bytes that a jump needs");
    }
    p->end = p->start + window;
    if (!body_is_fine(p, decoder, code, p->start, function, size))
        return false;
    out->address = p->start;
    out->window = (uint8_t)window;
    memcpy(out->expected, code, window);
    if (!put(p, landing_pad, sizeof landing_pad))
        return false;
    for (size_t at = 0; at < window; at += insn.length) {
        ZydisDecoderDecodeFull(decoder, code + at, size - at, &insn, operands);
        if (!rebuild(p, code + at, p->start + at, &insn, operands, &call))
            return false;
    }
    if (!put_jump(p, (const unsigned char *)"\xe9", 1, p->end))
        return false;
    if (call.at) {
        static const unsigned char zeros[16];
        int32_t distance;

        slots = (out->island_len + 7u) & ~7u;
        if (!put(p, zeros, slots - out->island_len + 8))
            return false;
        distance = (int32_t)(slots - (call.at + 4));
        memcpy(out->island + call.at, &distance, 4);
        return fix(p, (unsigned)slots, (unsigned)slots + 8, FIXUP_ABSOLUTE, call.back);
    }
    return true;
}

/*
 * Are the five bytes before the function nothing but filling between two functions? They must decode
 * as such, up to the function, and belong to no symbol.
 */
static bool has_padding(const struct module *module, const ZydisDecoder *decoder,
                        uintptr_t function)
{
    if (function - module->elf.lo < 32 || !modules_is_free(module, function - JUMP_LEN, JUMP_LEN))
        return false;
    for (size_t len = JUMP_LEN; len <= 16; len++) {
        const unsigned char *code = (const unsigned char *)function - len;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        ZydisDecodedInstruction insn;
        size_t at = 0;

        while (
            at < len &&
            ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code + at, len - at, &insn, operands)) &&
            (insn.mnemonic == ZYDIS_MNEMONIC_NOP || insn.mnemonic == ZYDIS_MNEMONIC_INT3))
            at += insn.length;
        if (at == len)
            return true;
    }
    return false;
}

bool patch_plan(const struct module *module, uintptr_t function, size_t size,
                struct plan_patch *out, char *reason, size_t n)
{
    struct planning p = {.patch = out, .reason = reason, .n = n};
    const unsigned char *code = (const unsigned char *)function;
    uint64_t address = function - module->elf.base;
    ZydisDecoder decoder;
    char first_reason[PLAN_REASON];
    const uint8_t *id;
    size_t id_len;

    if (!size || size > FUNCTION_MAX)
        return no(&p, "the length of its code is not known");
    if (function < module->elf.lo || function + size > module->elf.hi)
        return no(&p, "its code is not in the file");
    id = elf_module_build_id(&module->elf, &id_len);
    if (id && id_len <= sizeof out->build_id) {
        memcpy(out->build_id, id, id_len);
        out->build_id_len = (uint8_t)id_len;
    } else {
        uint64_t fingerprint = elf_module_fingerprint(&module->elf);

        memcpy(out->build_id, &fingerprint, sizeof fingerprint);
    }
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (size >= sizeof landing_pad && !memcmp(code, landing_pad, sizeof landing_pad)) {
        code += sizeof landing_pad;
        size -= sizeof landing_pad;
    }
    p.start = address + (uint64_t)(code - (const unsigned char *)function);
    if (displace(&p, &decoder, code, address, size, JUMP_LEN))
        return true;
    /* Two bytes do where there is room for the long jump right before the function. */
    snprintf(first_reason, sizeof first_reason, "%s", reason);
    if (has_padding(module, &decoder, function) &&
        displace(&p, &decoder, code, address, size, SHORT_LEN)) {
        out->padding = address - JUMP_LEN;
        memcpy(out->padding_expected, (const void *)(function - JUMP_LEN), JUMP_LEN);
        reason[0] = '\0';
        return true;
    }
    return no(&p, first_reason);
}
#else
bool patch_plan(const struct module *module, uintptr_t function, size_t size,
                struct plan_patch *out, char *reason, size_t n)
{
#if defined(__x86_64__)
    snprintf(reason, n,
             "it is inside of %s, and baton was built without Zydis, which plans patches of code",
             module->elf.name);
#else
    snprintf(reason, n, "it is inside of %s: patches of code are not supported here (x86-64 only)",
             module->elf.name);
#endif
    return false;
}
#endif
