// promise: argv[1] becomes descriptor 2 of a daemon that has closed the standard ones; it holds two records at the end
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static void *nothing(void *unused)
{
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    for (int fd = 0; fd < 3; fd++)
        close(fd);
    if (argc < 2 || open("/dev/null", O_RDONLY) != 0 || open("/dev/null", O_WRONLY) != 1 ||
        open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600) != 2)
        return 2;
    if (write(2, "record 1\n", 9) != 9 || pthread_create(&thread, NULL, nothing, NULL) != 0)
        return 3;
    pthread_join(thread, NULL);
    return write(2, "record 2\n", 9) != 9;
}
