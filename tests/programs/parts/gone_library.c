/* Two libraries with one function that is hooked, each its own; OTHER has something else in the first's place. */
int which;

#ifdef OTHER
void gone_wrong(void (*function)(void *), void *data, unsigned threads, unsigned flags)
{
    which = 99;
    function(data);
}
#endif

void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags)
{
    which = WHICH;
    function(data);
}
