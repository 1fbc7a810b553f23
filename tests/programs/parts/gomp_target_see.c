/* What target regions of gomp_target.c call: code that the compiler does not look into. */
long (*target_current)(void);
void (*target_set)(long);
long target_see(void);
void target_put(long value);

long target_see(void)
{
    return target_current();
}

void target_put(long value)
{
    target_set(value);
}
