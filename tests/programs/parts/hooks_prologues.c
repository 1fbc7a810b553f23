/*
 * Functions whose first instructions have to be moved with care when their entry is patched: each
 * gives the same result whether it is patched or not. The name of one is p_NUMBER.
 */
#include <pthread.h>
#include <stdio.h>

pthread_key_t request_key;
long data = 40;
long (*helper_pointer)(long);

#define FUNCTION(number, body)                                                                          \
    __asm__(".text\n.p2align 4\n.globl p_" #number "\n.type p_" #number ",@function\np_" #number ":\n" body \
            "\n.size p_" #number ", . - p_" #number "\n.nops 16\n");                                    \
    long p_##number(long a, long b);

__attribute__((used)) long helper(long a)
{
    return a * 3;
}

/* Reads beside the instruction pointer, with and without a constant behind the distance. */
FUNCTION(0, "mov data(%rip), %rax\n add %rdi, %rax\n ret")
FUNCTION(1, "cmpq $40, data(%rip)\n sete %al\n movzbl %al, %eax\n add %rdi, %rax\n ret")
FUNCTION(2, "lea data(%rip), %rax\n mov (%rax), %rax\n sub %rdi, %rax\n ret")
FUNCTION(3, "cmpb $40, data(%rip)\n jne 1f\n lea 1(%rdi), %rax\n ret\n1: xor %eax, %eax\n ret")
/* Short and long jumps forward. */
FUNCTION(4, "test %rdi, %rdi\n js 1f\n mov %rdi, %rax\n ret\n1: mov %rdi, %rax\n neg %rax\n ret")
FUNCTION(5, "cmp %rsi, %rdi\n jg 1f\n mov %rsi, %rax\n ret\n .nops 200\n1: mov %rdi, %rax\n ret")
FUNCTION(6, "jmp 1f\n .nops 8\n1: lea 7(%rdi), %rax\n ret")
FUNCTION(7, "inc %rdi\n jmp helper")
/* Calls among the first instructions: they return into the function. */
FUNCTION(8, "call helper\n inc %rax\n ret")
FUNCTION(9, "push %rbx\n mov %rsi, %rbx\n call helper\n add %rbx, %rax\n pop %rbx\n ret")
FUNCTION(10, "call *helper_pointer(%rip)\n add $2, %rax\n ret")
FUNCTION(11, "mov helper_pointer(%rip), %rax\n jmp *%rax")
FUNCTION(12, "jmp *helper_pointer(%rip)")
FUNCTION(13, "push %rbp\n call *%r11\n pop %rbp\n ret")
/* A landing pad, a long prefix, registers of all sizes, a frame. */
FUNCTION(14, "endbr64\n mov %rdi, %rax\n imul %rsi, %rax\n ret")
FUNCTION(15, "rep nop\n lock addq $0, (%rsp)\n lea (%rdi,%rsi,4), %rax\n ret")
FUNCTION(16, "push %rbp\n mov %rsp, %rbp\n sub $32, %rsp\n mov %rdi, -8(%rbp)\n mov -8(%rbp), %rax\n leave\n ret")
FUNCTION(17, "movabs $0x123456789abcdef0, %rax\n add %rdi, %rax\n ret")
FUNCTION(18, "sub $8, %rsp\n call helper\n add $8, %rsp\n ret")
/* Its loop comes back right behind the first five bytes. */
FUNCTION(19, ".nops 5\n1: inc %rsi\n dec %rdi\n jnz 1b\n mov %rsi, %rax\n ret")

/* p_13 calls what is in r11, which a thunk must leave as it is. */
static __attribute__((noinline)) long call_13(long a, long b)
{
    long result = 0;
    __asm__ volatile("push %%rbp\n mov %%rsp, %%rbp\n sub $256, %%rsp\n and $-16, %%rsp\n mov %[helper], %%r11\n"
                     "call p_13\n mov %%rbp, %%rsp\n pop %%rbp\n"
                     : "=a"(result)
                     : "D"(a), "S"(b), [helper] "r"(helper)
                     : "rdx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

int main(void)
{
    static long (*const functions[])(long, long) = {p_0,  p_1,  p_2,  p_3,  p_4,  p_5,  p_6,  p_7,  p_8,  p_9,
                                                    p_10, p_11, p_12, call_13, p_14, p_15, p_16, p_17, p_18, p_19};
    helper_pointer = helper;
    pthread_key_create(&request_key, NULL);
    for (int round = 0; round < 3; round++)
        for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
            data = 40 + round;
            printf("p_%u %ld %ld\n", i, functions[i](5, 11), functions[i](12 + round, 3));
        }
    return 0;
}
