// A task of a oneTBB that is not known, or that does not look like one, runs as it is.
// usage: tbb_unknown LIBRARY version|task|none [CARRIER]
// link: -ldl
#include "carrier.h"
#include <dlfcn.h>

struct task {
    void *const *vtable;
    long traits;
    void *words[6];
} __attribute__((aligned(64)));

static long executed, saw;

static void nothing(struct task *task)
{
}

static struct task *execute(struct task *task, void *group)
{
    executed++;
    saw = current();
    set_current(-1);
    return NULL;
}

static const int type_information;
static void *const words[] = {NULL, (void *)&type_information, nothing, nothing, execute, execute};

int main(int argc, char **argv)
{
    void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    struct task task = {.vtable = words + 2};
    void (*spawn)(struct task *, void *);
    void ***last;

    if (!library)
        return 2;
    carrier_choose(argc > 3 ? argv[3] : NULL);
    spawn = (void (*)(struct task *, void *))dlsym(
        library, "_ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE");
    last = dlsym(library, "tbb_last_vtable");
    if (strcmp(argv[2], "version"))
        *(int *)dlsym(library, "tbb_version") = 12080;
    if (!strcmp(argv[2], "task"))
        task.words[5] = &task;
    set_current(5);
    spawn(&task, NULL);
    expect("executed", executed, 1);
    expect("saw", saw, 5);
    expect("its own vtable", *last == words + 2, 1);
    expect("last word", task.words[5] == (strcmp(argv[2], "task") ? NULL : &task), 1);
    expect("left", current(), -1);
    return verdict();
}
