// A forked child's thread destroys its values when it ends, also if it had handed them over.
// usage: fork_ends plain|cached
#include "carrier.h"
#include <sys/wait.h>

static const char *who = "parent";

static void gone(void *value)
{
    char text[64];
    int len = snprintf(text, sizeof text, "destroyed %s by the %s\n", (char *)value, who);

    if (write(1, text, (size_t)len) != len)
        _exit(3);
}

static void *once(void *arg)
{
    return arg;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "plain";
    pthread_t thread;
    int status;
    pid_t pid;

    pthread_key_create(&request_key, gone);
    pthread_setspecific(request_key, "V");
    if (strcmp(mode, "plain")) {
        pthread_create(&thread, NULL, once, NULL);
        pthread_join(thread, NULL);
    }
    pid = fork();
    if (!pid) {
        who = "child";
        pthread_create(&thread, NULL, once, NULL); /* it hands over, too */
        pthread_join(thread, NULL);
        pthread_exit(NULL);
    }
    waitpid(pid, &status, 0);
    pthread_exit(NULL);
}
