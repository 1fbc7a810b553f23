/* libc's functions for keys by its symbol table: a way to them that no preloaded library can see. */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

static void *in_library(struct link_map *map, const char *name)
{
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            symbols = (const ElfW(Sym) *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_STRTAB)
            names = (const char *)entry->d_un.d_ptr;
    }
    /* The names follow the symbols. */
    for (const ElfW(Sym) *symbol = symbols; (const char *)symbol < names; symbol++)
        if (symbol->st_value && !strcmp(names + symbol->st_name, name))
            return (void *)(map->l_addr + symbol->st_value);
    return NULL;
}

static void *in_libc(const char *name)
{
    void *found = in_library(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), name);
    /* Before glibc 2.34 they are libpthread's. */
    return found ? found : in_library(dlopen("libpthread.so.0", RTLD_LAZY | RTLD_NOLOAD), name);
}
