/* baton-plan: what it knows of the processor, but for the patches (patch.c, x86-64 only). */
#ifndef BATON_PLAN_MACHINE_H
#define BATON_PLAN_MACHINE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { JUMP_SIZE = 16, THUNK_SIZE = 16, THUNKS = 2048 };

#if defined(__x86_64__)
/* PAGE: the largest that a system of this kind may have. */
#define MACHINE_LOADER "/lib64/ld-linux-x86-64.so.2"
enum { OBJECT_MACHINE = EM_X86_64, OBJECT_RELOCATION = R_X86_64_64, PAGE = 4096 };

/* endbr64; jmp *slot */
static inline void machine_jump(unsigned char *jump, uint64_t jump_address, uint64_t slot_address)
{
    static const unsigned char code[6] = {0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25};
    int32_t distance = (int32_t)(slot_address - (jump_address + 10));

    memcpy(jump, code, sizeof code);
    memcpy(jump + 6, &distance, 4);
}

/* Any near call or jump to it: looked for byte by byte, because only whether there is one matters. */
static inline bool machine_calls(const unsigned char *code, size_t len, uintptr_t function)
{
    int32_t distance;

    for (size_t at = 0; at + 5 <= len; at++) {
        if ((code[at] & 0xfe) != 0xe8)
            continue;
        memcpy(&distance, code + at + 1, 4);
        if ((uintptr_t)(code + at + 5) + (uintptr_t)(intptr_t)distance == function)
            return true;
    }
    return false;
}
#elif defined(__aarch64__)
#define MACHINE_LOADER "/lib/ld-linux-aarch64.so.1"
enum { OBJECT_MACHINE = EM_AARCH64, OBJECT_RELOCATION = R_AARCH64_ABS64, PAGE = 65536 };

/* bti c; adrp x16, slot; ldr x16, [x16, slot]; br x16 */
static inline void machine_jump(unsigned char *jump, uint64_t jump_address, uint64_t slot_address)
{
    uint64_t pages = (slot_address >> 12) - ((jump_address + 4) >> 12);
    const uint32_t code[4] = {
        0xd503245f,
        0x90000010 | (uint32_t)(pages & 3) << 29 | (uint32_t)(pages >> 2 & 0x7ffff) << 5,
        0xf9400210 | (uint32_t)(slot_address & 4095) / 8 << 10,
        0xd61f0200,
    };

    memcpy(jump, code, sizeof code);
}

/* b or bl to it */
static inline bool machine_calls(const unsigned char *code, size_t len, uintptr_t function)
{
    uint32_t word;

    for (size_t at = 0; at + 4 <= len; at += 4) {
        memcpy(&word, code + at, 4);
        if ((word & 0x7c000000) == 0x14000000 &&
            (uintptr_t)(code + at) + (uintptr_t)(intptr_t)((int32_t)(word << 6) >> 4) == function)
            return true;
    }
    return false;
}
#else
#error "baton: no object can be written for this processor yet (see scripts/plan/machine.h)"
#endif

#endif
