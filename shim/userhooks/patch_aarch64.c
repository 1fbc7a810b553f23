/* Entry patches: baton-plan makes none here, and says so. */
#include "base/log.h"
#include "userhooks/object.h"

void *patch_apply(const struct plan_patch *patch, void *thunk, struct elf_module *where,
                  char *reason, size_t n)
{
    fmt_buf(reason, n, "patches of code are not supported on this processor");
    return NULL;
}

void patch_end(void)
{
}
