// promise: says whether it is privileged, then becomes `env`, which shows what a program that it starts is given
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(void)
{
    printf("secure %lu\n", getauxval(AT_SECURE));
    fflush(stdout);
    execl("/usr/bin/env", "env", (char *)NULL);
    return 1;
}
