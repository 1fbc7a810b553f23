/*
 * GOMP_task for what most tasks are, one word of arguments, on x86-64: 33 instructions where the
 * compiler's version of task_plain (gomp_task.c), which does the same and all the rest, takes 49,
 * because it loads the four stacked arguments before it pushes them and saves registers for that.
 *
 * Nothing is owned by this frame: libgomp copies the block or runs the task before it returns.
 */
#include <stddef.h>

#include "families/openmp/gomp_task.h"

/* The third 8 bytes of the block: struct head and the word. */
enum { BLOCK_SIZE = sizeof(struct gomp_head) + 8, FLAGS = 8, STACKED = 24 + BLOCK_SIZE + 8 };

_Static_assert(sizeof(struct gomp_head) == 16 && offsetof(struct gomp_head, function) == 0 &&
                   offsetof(struct gomp_head, context) == 8,
               "the block below is written by hand");

__attribute__((naked)) void gomp_task_word(void)
{
    __asm__(
        "testq %%rdx, %%rdx\n\t" /* a copy function */
        "jne 2f\n\t"
        "cmpq $8, %%rcx\n\t"
        "jne 2f\n\t"
        "testl %[detach], %c[flags](%%rsp)\n\t"
        "jne 2f\n\t"
        "movq thread_self@gottpoff(%%rip), %%rax\n\t"
        "movq %%fs:(%%rax), %%rax\n\t"
        "movq context_guard(%%rip), %%r11\n\t" /* thread_is_plain */
        "cmpq %%r11, %c[attached](%%rax)\n\t"
        "jne 2f\n\t"
        "movq %c[snapshot](%%rax), %%r10\n\t" /* context_take_bought */
        "subl $1, %c[snapshot_refs](%%rax)\n\t"
        "js 1f\n\t"
        "movq %c[tally](%%rax), %%r11\n\t"
        "addq $1, %c[family](%%r11)\n\t"
        "subq %[size], %%rsp\n\t"
        ".cfi_adjust_cfa_offset %c[size]\n\t"
        "movq %%rdi, (%%rsp)\n\t"
        "movq %%r10, 8(%%rsp)\n\t"
        "movq (%%rsi), %%r11\n\t"
        "movq %%r11, 16(%%rsp)\n\t"
        "movq %%rsp, %%rsi\n\t"
        "pushq %c[stacked](%%rsp)\n\t" /* detach, priority, depend, flags */
        ".cfi_adjust_cfa_offset 8\n\t"
        "pushq %c[stacked](%%rsp)\n\t"
        ".cfi_adjust_cfa_offset 8\n\t"
        "pushq %c[stacked](%%rsp)\n\t"
        ".cfi_adjust_cfa_offset 8\n\t"
        "pushq %c[stacked](%%rsp)\n\t"
        ".cfi_adjust_cfa_offset 8\n\t"
        "leaq gomp_run_task(%%rip), %%rdi\n\t"
        "xorl %%edx, %%edx\n\t"
        "movl %[size], %%ecx\n\t"
        "movl $8, %%r8d\n\t" /* the block's alignment */
        "call *hook_real + %c[real](%%rip)\n\t"
        "addq %[size] + 32, %%rsp\n\t"
        ".cfi_adjust_cfa_offset -%c[size] - 32\n\t"
        "ret\n"
        "1:\tmovl $0, %c[snapshot_refs](%%rax)\n"
        "2:\tjmp gomp_task_plain"
        :
        : [detach] "i"(GOMP_TASK_DETACH), [flags] "i"(FLAGS), [size] "i"(BLOCK_SIZE),
          [attached] "i"(offsetof(struct thread, attached)),
          [snapshot_refs] "i"(offsetof(struct thread, snapshot.refs)),
          [tally] "i"(offsetof(struct thread, snapshot.tally)),
          [snapshot] "i"(offsetof(struct thread, snapshot.context)), [family] "i"(8 * FAMILY_GOMP),
          [stacked] "i"(STACKED), [real] "i"(8 * HOOK_GOMP_task));
}
