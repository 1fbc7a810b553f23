// A plugin with a thread-local variable that does not begin with nothing.
static __thread long late_word = 42;

long *late_word_at(void);
long *late_word_at(void)
{
    return &late_word;
}
