/* Functions that must not be hooked, each for a reason of its own. */
#include "hooks_refused.h"
#include <pthread.h>
#include <stdio.h>

pthread_key_t request_key;

__asm__(".text\n"
        ".globl too_short\n.type too_short,@function\ntoo_short:\n ret\n.size too_short, . - too_short\n"
        ".globl no_length\n.type no_length,@function\nno_length:\n .nops 8\n ret\n"
        ".globl to_entry\n.type to_entry,@function\nto_entry:\n .nops 3\n1: decl %edi\n .nops 4\n jns 1b\n ret\n"
        ".size to_entry, . - to_entry\n"
        ".globl rubbish\n.type rubbish,@function\nrubbish:\n .nops 8\n ret\n .byte 0x06, 0x07, 0x0e\n"
        ".size rubbish, . - rubbish\n"
        ".globl early_call\n.type early_call,@function\nearly_call:\n call *%rax\n .nops 8\n ret\n"
        ".size early_call, . - early_call\n"
        ".globl counter_jump\n.type counter_jump,@function\ncounter_jump:\n jrcxz 1f\n .nops 8\n1: ret\n"
        ".size counter_jump, . - counter_jump\n"
        ".globl whole\n.type whole,@function\nwhole:\n .nops 8\n ret\n.size whole, . - whole\n"
        ".macro fine name\n.globl \\name\n.type \\name,@function\n\\name:\n .nops 8\n ret\n.size \\name, . - \\name\n.endm\n"
        ".macro short name\n.globl \\name\n.type \\name,@function\n\\name:\n ret\n.size \\name, . - \\name\n.endm\n"
        "short some_a\n short some_b\n fine some_c\n fine more_a\n short more_b\n short none_a\n short none_b\n"
        ".purgem fine\n.purgem short\n");

static __attribute__((noinline)) int twice(int value)
{
    __asm__ volatile(".nops 8");
    return value + 1;
}

/* A static function whose argument the compiler knows: it makes a clone without it. */
static __attribute__((noinline)) int cloned(int value, int step)
{
    __asm__ volatile(".nops 8" : "+r"(value));
    return value + step;
}

static __attribute__((noinline, used)) int local(void *pool, void (*function)(void *), void *argument)
{
    __asm__ volatile(".nops 8" : "+r"(pool), "+r"(function), "+r"(argument));
    return pool != NULL;
}

#ifdef EARLY_THREAD
/* A thread that is there before any constructor: an indirect function's resolver starts it. */
#include <linux/sched.h>
#include <sys/syscall.h>

static char stack[4096] __attribute__((aligned(16)));
static int answer(void)
{
    return 0;
}

static int (*resolve_early(void))(void)
{
    long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, result = SYS_clone;
    __asm__ volatile("xor %%r10d, %%r10d\n xor %%r8d, %%r8d\n xor %%edx, %%edx\n syscall\n"
                     "test %%eax, %%eax\n jnz 2f\n 1: mov $34, %%eax\n syscall\n jmp 1b\n 2:"
                     : "+a"(result)
                     : "D"(flags), "S"(stack + sizeof(stack))
                     : "rcx", "r11", "r10", "r8", "rdx", "memory");
    return answer;
}
int early(void) __attribute__((ifunc("resolve_early")));
int (*early_pointer)(void) = early;
#endif

int main(int argc, char **argv)
{
    pthread_key_create(&request_key, NULL);
    printf("%d\n", twice(argc) + other_twice(argc) + cloned(argc, 3) + cloned(argc + 1, 3) + local(NULL, NULL, NULL));
    return 0;
}
