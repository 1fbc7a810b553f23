/* A library that comes late: a word of each thread's own, -DSTART=N in a new thread. */
__thread long late_before[2] = {1, 1}, late_word = START;

void late_set(long value)
{
    late_word = value;
}

long late_get(void)
{
    return late_word;
}
