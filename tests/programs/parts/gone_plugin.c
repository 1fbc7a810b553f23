/* A plugin that hands over to the library that it is linked with. */
extern int which;
void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags);

static void body(void *ran)
{
    ++*(int *)ran;
}

int plugin_run(int *ran)
{
    GOMP_parallel(body, ran, 1, 0);
    return which;
}
