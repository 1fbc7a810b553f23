/* A oneTBB that nobody has seen yet: the same functions, whatever version and task tbb_unknown wants. */
void **tbb_last_vtable;
int tbb_version = 13000;

int TBB_runtime_interface_version(void)
{
    return tbb_version;
}

void _ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE(void **task, void *group)
{
    tbb_last_vtable = *task;
    ((void *(*)(void *, void *))tbb_last_vtable[2])(task, group);
}
