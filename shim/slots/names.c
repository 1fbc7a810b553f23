/*
 * The names that items give, looked for all at once.
 *
 * Every slot that waits asks again after a dlopen and after a key was made. Alone, each would walk
 * through the files of a hundred libraries; together they walk once, and only through what is new.
 */
#include "elf/elf.h"
#include "base/lock.h"
#include "base/sys.h"
#include "slots/kind.h"
#include "slots/slots.h"

enum { NAMES_MAX = 5 * SLOTS_MAX };

static struct elf_search names[NAMES_MAX];
static unsigned names_count;
static struct elf_seen names_seen;
static struct lock names_lock;

bool slot_name_add(struct slot_name *name, const char *symbol, const char *module, const char *file,
                   unsigned want)
{
    if (names_count == NAMES_MAX)
        return false;
    names[names_count] = (struct elf_search){.module = module,
                                             .query = {.name = symbol, .file = file, .want = want}};
    name->index = names_count++;
    return true;
}

/*
 * The search takes the loader's lock inside ours. A callback of dl_iterate_phdr holds the loader's
 * already and may make a key or a thread: so nobody waits here for ever. A thread that gives up looks again.
 */
static bool names_try_lock(void)
{
    for (unsigned tries = 0; tries < 256; tries++) {
        if (lock_try(&names_lock))
            return true;
        lock_nap();
    }
    return false;
}

bool slot_name_find(struct slot_name name, struct elf_search *out)
{
    if (!names_try_lock()) {
        slots_look_again();
        return false;
    }
    elf_search_modules(names, names_count, &names_seen);
    *out = names[name.index];
    lock_drop(&names_lock);
    return out->query.found.matches > 0;
}

bool slot_name_near(struct slot_name name, char *buf, size_t n)
{
    struct elf_search search;

    return !slot_name_find(name, &search) && elf_search_nearest(&search, buf, n);
}

void slot_names_fork_lock(void)
{
    lock_take_for_fork(&names_lock);
}

void slot_names_fork_unlock(void)
{
    lock_drop_after_fork(&names_lock);
}
