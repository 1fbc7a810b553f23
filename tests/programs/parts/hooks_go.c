/* Looks like what the Go linker makes. */
__asm__(".data\n.globl \"runtime.buildVersion\"\n\"runtime.buildVersion\": .quad 0\n.text\n"
        ".globl \"runtime.goexit\"\n.type \"runtime.goexit\",@function\n\"runtime.goexit\": .nops 8\n ret\n"
        ".globl submit\n.type submit,@function\nsubmit: .nops 8\n ret\n.size submit, . - submit\n");

int main(void)
{
    return 0;
}
