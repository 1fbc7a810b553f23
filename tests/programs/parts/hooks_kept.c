/*
 * A caller that counts on what it knows of the function: that it leaves the registers of callback and data alone
 * (GCC: -fipa-ra). In assembler, so that no compiler chooses otherwise.
 */
#include <pthread.h>
#include <stdio.h>

struct {
    void (*function)(void *);
    void *argument;
} kept; /* what was handed over, for one thread to run */

int kept_submit(void *pool, void (*function)(void *), void *argument);
void kept_pass_on(void *registers[2]);

#ifdef __x86_64__
__asm__(".text\n"
        ".globl kept_submit\n.type kept_submit,@function\nkept_submit:\n"
        "    mov %rsi, kept(%rip)\n"
        "    mov %rdx, kept+8(%rip)\n"
        "    xor %eax, %eax\n"
        "    ret\n.size kept_submit, .-kept_submit\n"
        ".globl kept_pass_on\n.type kept_pass_on,@function\nkept_pass_on:\n"
        "    push %rbx\n"
        "    mov %rdi, %rbx\n"
        "    mov (%rbx), %rsi\n"
        "    mov 8(%rbx), %rdx\n"
        "    call kept_submit\n"
        "    mov %rsi, (%rbx)\n"
        "    mov %rdx, 8(%rbx)\n"
        "    pop %rbx\n"
        "    ret\n.size kept_pass_on, .-kept_pass_on\n");
#else
__asm__(".text\n"
        ".globl kept_submit\n.type kept_submit,%function\nkept_submit:\n"
        "    adrp x9, kept\n"
        "    add x9, x9, :lo12:kept\n"
        "    stp x1, x2, [x9]\n"
        "    mov w0, #0\n"
        "    ret\n.size kept_submit, .-kept_submit\n"
        ".globl kept_pass_on\n.type kept_pass_on,%function\nkept_pass_on:\n"
        "    stp x29, x30, [sp, #-32]!\n"
        "    str x19, [sp, #16]\n"
        "    mov x19, x0\n"
        "    ldp x1, x2, [x19]\n"
        "    bl kept_submit\n"
        "    stp x1, x2, [x19]\n"
        "    ldr x19, [sp, #16]\n"
        "    ldp x29, x30, [sp], #32\n"
        "    ret\n.size kept_pass_on, .-kept_pass_on\n");
#endif

pthread_key_t request_key;
static long seen;

static void see(void *argument)
{
    seen += pthread_getspecific(request_key) == argument;
}

static void *worker(void *unused)
{
    kept.function(kept.argument);
    return unused;
}

/* Twice: of the first call less is exchanged. */
int main(void)
{
    void *registers[2] = {(void *)see, &seen};
    pthread_t thread;

    pthread_key_create(&request_key, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_setspecific(request_key, &seen);
        kept_pass_on(registers);
        pthread_setspecific(request_key, NULL);
        pthread_create(&thread, NULL, worker, NULL);
        pthread_join(thread, NULL);
    }
    printf("seen %ld; registers kept %d %d\n", seen, registers[0] == (void *)see, registers[1] == &seen);
    return seen != 2 || registers[0] != (void *)see || registers[1] != &seen;
}
