/* Two files, one name: each has a thread-local variable of its own called `shared_name`. */
static __thread long shared_name;

long *same_name_a(void)
{
    return &shared_name;
}
