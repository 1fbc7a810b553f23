/* What bench_late carries: a thread-local word of a library that is not there from the start. */
__thread long bench_late;

void bench_late_set(long value);

void bench_late_set(long value)
{
    bench_late = value;
}
