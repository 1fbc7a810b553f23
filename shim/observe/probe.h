/*
 * USDT probes: a nop each, and a note in the file that says where it is and where its arguments are
 * (the format of SystemTap's sys/sdt.h, version 3, which bpftrace, perf and gdb read).
 */
#ifndef BATON_OBSERVE_PROBE_H
#define BATON_OBSERVE_PROBE_H

#define PROBE_NOTE(name, args)                                              \
    "990: nop\n"                                                            \
    ".pushsection .note.stapsdt,\"\",\"note\"\n"                            \
    ".balign 4\n"                                                           \
    ".4byte 992f-991f, 994f-993f, 3\n"                                      \
    "991: .asciz \"stapsdt\"\n"                                             \
    "992: .balign 4\n"                                                      \
    "993: .8byte 990b\n"                                                    \
    ".8byte _.stapsdt.base\n"                                               \
    ".8byte 0\n"                                                            \
    ".asciz \"baton\"\n"                                                    \
    ".asciz \"" name "\"\n"                                                 \
    ".asciz \"" args "\"\n"                                                 \
    "994: .balign 4\n"                                                      \
    ".popsection\n"                                                         \
    ".ifndef _.stapsdt.base\n"                                              \
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
    ".weak _.stapsdt.base\n"                                                \
    ".hidden _.stapsdt.base\n"                                              \
    "_.stapsdt.base: .space 1\n"                                            \
    ".size _.stapsdt.base, 1\n"                                             \
    ".popsection\n"                                                         \
    ".endif\n"

#define PROBE_3(name, a, b, c)                          \
    __asm__ volatile(PROBE_NOTE(name, "8@%0 8@%1 8@%2") \
                     :                                  \
                     : "nor"((uint64_t)(a)), "nor"((uint64_t)(b)), "nor"((uint64_t)(c)))

#endif
