// promise: names are found where the loader and the linker put them, in any file, and never past its end
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arch.h"
#include "elf/elf.h"
#include "elf/file.h"
#include "elf/pointers.h"
#include "suite.h"

/* The libraries that the tests look into, built into a folder of their own. */

static char folder[] = "/tmp/baton_elf_XXXXXX";

static const char one_c[] =
    "static int same = 1; static __thread long hidden = 41; __thread int shown = 7;\n"
    "static __thread char wide[24];\n"
    "int exported = 5; static int only_here(int x) { return x + same; }\n"
    "int *one_same(void) { return &same; } long *one_hidden(void) { return &hidden; }\n"
    "int *one_shown(void) { return &shown; } char *one_wide(void) { return wide; }\n"
    "void *one_only(void) { return (void *)only_here; }\n"
    "int answer_1(void) { return 1; } int answer_2(void) { return 2; }\n"
    "__asm__(\".symver answer_1,answer@V1\"); __asm__(\".symver answer_2,answer@@V2\");\n"
    "int old_1(void) { return 11; } __asm__(\".symver old_1,old_only@V1\");\n"
    "static int slow(void) { return 33; } static void *choose(void) { return (void *)slow; }\n"
    "int picked(void) __attribute__((ifunc(\"choose\")));\n";

static const char two_c[] =
    "static int same = 2; static __thread int hidden_two = 3; static __thread int both;\n"
    "int *two_same(void) { return &same; } int *two_hidden(void) { return &hidden_two; }\n"
    "int *two_both(void) { return &both; }\n";

static const char three_c[] = "static __thread int both; static int same_global;\n"
                              "int *three_both(void) { return &both; }\n"
                              "int *three_same_global(void) { return &same_global; }\n";

static const char four_c[] = "int same_global = 4;\n";

static const char names_cc[] =
    "#include <string>\n"
    "namespace ns { struct Ctx { static thread_local int id; static int get(); int pad; };\n"
    "thread_local int Ctx::id = 3; int Ctx::get() { return id; } }\n"
    "thread_local std::string text = \"x\";\n"
    "const char *use() { return text.c_str(); }\n";

static void write_source(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void run(const char *command)
{
    char line[1024];

    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    ck_assert_msg(system(line) == 0, "%s", line);
}

static void build_libraries(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_source("one.c", one_c);
    write_source("two.c", two_c);
    write_source("three.c", three_c);
    write_source("four.c", four_c);
    write_source("names.cc", names_cc);
    write_source("map", "V1 { }; V2 { } V1;\n");
    run("cc -O1 -g -fPIC -c one.c two.c three.c four.c");
    run("cc -shared -Wl,--build-id,--hash-style=gnu,--version-script=map -o libgnu-2.0.so.0 "
        "one.o two.o three.o four.o");
    run("cc -shared -Wl,--build-id,--hash-style=sysv,--version-script=map -o libsysv.so "
        "one.o two.o three.o four.o");
    run("c++ -O1 -g -fPIC -shared -Wl,--build-id -o libnames.so names.cc");
    run("cc -shared -Wl,--build-id,--version-script=map -o full.so one.o two.o three.o four.o");
    run("objcopy --only-keep-debug full.so full.debug");
    run("strip -o libbare.so full.so");
    run("id=$(readelf -n full.so | sed -n 's/.*Build ID: //p') && "
        "mkdir -p root/.build-id/$(echo $id | cut -c1-2) && "
        "cp full.debug root/.build-id/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-).debug");
    run("cc -shared -Wl,--build-id=none,--version-script=map -o nobuild.so one.o two.o && "
        "objcopy --only-keep-debug nobuild.so liblink.so.debug && strip nobuild.so && "
        "objcopy --add-gnu-debuglink=liblink.so.debug nobuild.so liblink.so && mkdir .debug && "
        "mv liblink.so.debug .debug/");
    run("cp full.debug .debug/both.debug && "
        "cd .debug && objcopy --add-gnu-debuglink=both.debug ../libbare.so ../libboth.so");
    run("cp libgnu-2.0.so.0 libreplaced.so");
}

static void remove_libraries(void)
{
    char line[128];

    snprintf(line, sizeof line, "rm -rf %s", folder);
    ck_assert_int_eq(system(line), 0);
}

static void *open_library(const char *name, struct elf_module *m)
{
    char path[128];
    void *handle;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(handle != NULL, "%s", dlerror());
    ck_assert(elf_module_find(path, m));
    return handle;
}

static void *call(void *handle, const char *function)
{
    void *(*f)(void) = (void *(*)(void))dlsym(handle, function);

    ck_assert_msg(f != NULL, "%s", function);
    return f();
}

static void use_debug_root(void)
{
    static char root[128]; /* outlives the test, which may not have a process of its own */

    snprintf(root, sizeof root, "%s/root", folder);
    elf_debug_root = root;
}

/* Modules */

int elf_test_global = 3;
static int elf_test_static = 4;
static __thread int elf_test_tls = 5;

__attribute__((noinline)) static int elf_test_function(int x)
{
    return x + elf_test_static + elf_test_tls;
}

START_TEST(test_elf_heap_ends_where_sbrk_says)
{
    ck_assert_ptr_ne(sbrk(4096), (void *)-1); /* a sanitizer's allocator has none */
    ck_assert_uint_ne(elf_heap_end(), 0);
    ck_assert_uint_eq(elf_heap_end(), (uintptr_t)sbrk(0));
    ck_assert_ptr_ne(sbrk(4096), (void *)-1);
    ck_assert_uint_eq(elf_heap_end(), (uintptr_t)sbrk(0));
}
END_TEST

START_TEST(test_elf_modules_are_found_by_address_and_name)
{
    struct elf_module m, by_name;

    ck_assert(elf_module_at(&elf_test_global, &m));
    ck_assert(m.is_main);
    ck_assert_str_eq(m.name, "test_elf");
    ck_assert(elf_module_find("main", &by_name));
    ck_assert_ptr_eq(by_name.phdr, m.phdr);
    ck_assert(elf_module_find("test_elf", &by_name) && by_name.is_main);
    ck_assert(elf_module_at((void *)gnu_get_libc_version, &m));
    ck_assert(!m.is_main);
    ck_assert(elf_module_match(&m, "libc"));
    ck_assert(!elf_module_at(&(int){0}, &m));
    ck_assert(!elf_module_at(NULL, &m));
    ck_assert(!elf_module_find("libnothing", &m));
}
END_TEST

#ifdef DLFO_EH_SEGMENT_TYPE
/* By name: a forked child must not wait for the loader's lock, and no version of glibc is needed. */
START_TEST(test_elf_the_loaders_own_index_is_found_by_name)
{
    ck_assert_ptr_eq((void *)elf_find_object_finder(), dlsym(RTLD_DEFAULT, "_dl_find_object"));
}
END_TEST
#endif

START_TEST(test_elf_module_names_end_at_a_boundary)
{
    struct elf_module m;
    void *handle = open_library("libgnu-2.0.so.0", &m);

    ck_assert(elf_module_match(&m, "libgnu"));
    ck_assert(elf_module_match(&m, "libgnu-2.0"));
    ck_assert(elf_module_match(&m, "libgnu-2.0.so.0"));
    ck_assert(elf_module_match(&m, m.path));
    ck_assert(!elf_module_match(&m, "libgn"));
    ck_assert(!elf_module_match(&m, "libgnu-2.0.so.01"));
    ck_assert(!elf_module_match(&m, ""));
    ck_assert(!elf_module_match(&m, "main"));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_startup_modules_are_told_from_dlopened_ones)
{
    struct elf_module m;
    void *handle = open_library("libsysv.so", &m);

    ck_assert(!elf_module_is_startup(&m));
    dlclose(handle);
    ck_assert(elf_module_find("main", &m) && elf_module_is_startup(&m));
    ck_assert(elf_module_find("libc", &m) && elf_module_is_startup(&m));
    ck_assert(elf_module_find("ld-linux-x86-64", &m) ? elf_module_is_startup(&m) : true);
}
END_TEST

/* Exported names */

static const char *const hash_styles[] = {"libgnu-2.0.so.0", "libsysv.so"};

START_TEST(test_elf_dynsym_answers_what_dlsym_does)
{
    static const char *const names[] = {"one_same",     "exported",   "two_both",
                                        "answer",       "three_both", "picked",
                                        "no_such_name", "only_here",  ""};
    struct elf_module m;
    void *handle = open_library(hash_styles[_i], &m);

    ck_assert_int_eq(m.gnu_hash != NULL, _i == 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_ptr_eq(elf_dynsym(&m, names[i]), dlsym(handle, names[i]));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_dynsym_takes_default_versions_unless_asked)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library(hash_styles[_i], &m);

    ck_assert(elf_dynsym_find(&m, "answer", NULL, ELF_FUNC, &s));
    ck_assert_int_eq(((int (*)(void))s.value)(), 2);
    ck_assert(elf_dynsym_find(&m, "answer", "V1", ELF_FUNC, &s));
    ck_assert_int_eq(((int (*)(void))s.value)(), 1);
    ck_assert(!elf_dynsym_find(&m, "answer", "V3", ELF_FUNC, &s));
    ck_assert(!elf_dynsym_find(&m, "old_only", NULL, ELF_FUNC, &s));
    ck_assert(elf_dynsym_find(&m, "old_only", "V1", ELF_FUNC, &s));
    ck_assert(!elf_dynsym_find(&m, "answer", NULL, ELF_OBJECT | ELF_TLS, &s));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_dynsym_finds_libc_versions)
{
    struct elf_module m;
    struct elf_symbol s;
    void *libc;

    ck_assert(elf_module_at((void *)gnu_get_libc_version, &m));
    libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    ck_assert_ptr_eq(elf_dynsym(&m, "pthread_create"), dlsym(libc, "pthread_create"));
    ck_assert_ptr_eq(elf_dynsym(&m, "strchr"), dlsym(libc, "strchr"));
    if (elf_dynsym_find(&m, "memcpy", "GLIBC_2.2.5", ELF_FUNC, &s))
        ck_assert_ptr_eq(elf_symbol_address(&s), dlvsym(libc, "memcpy", "GLIBC_2.2.5"));
    /* The module of an address need not know its thread-local storage: found by name it does. */
    ck_assert(elf_module_find("libc.so", &m));
    ck_assert(elf_dynsym_find(&m, "errno", "GLIBC_PRIVATE", ELF_TLS, &s));
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), &errno);
}
END_TEST

START_TEST(test_elf_global_lookup_goes_in_load_order_and_counts)
{
    struct elf_module first, found, skip;
    void *gnu = open_library("libgnu-2.0.so.0", &first), *sysv = open_library("libsysv.so", &skip);
    unsigned count;

    ck_assert_ptr_eq(elf_lookup_global("exported", NULL, &found, &count), dlsym(gnu, "exported"));
    ck_assert_ptr_eq(found.phdr, first.phdr);
    ck_assert_uint_eq(count, 2);
    ck_assert_ptr_eq(elf_lookup_global("exported", &first, &found, NULL), dlsym(sysv, "exported"));
    ck_assert_ptr_null(elf_lookup_global("no_such_name", NULL, NULL, &count));
    ck_assert_uint_eq(count, 0);
    /* The kernel's vdso exports this name too. */
    ck_assert_ptr_eq(elf_lookup_global("clock_gettime", NULL, NULL, NULL),
                     dlsym(RTLD_DEFAULT, "clock_gettime"));
    dlclose(sysv);
    dlclose(gnu);
}
END_TEST

/* Hidden and static names */

static const char *const with_names[] = {"libgnu-2.0.so.0", "libsysv.so", "libbare.so"};

START_TEST(test_elf_static_names_come_from_symtab_or_the_build_id_debug_file)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library(with_names[_i], &m);
    enum elf_source source = _i == 2 ? ELF_FROM_DEBUG : ELF_FROM_SYMTAB;

    use_debug_root();
    ck_assert(elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "one_hidden"));
    ck_assert_uint_eq(s.size, sizeof(long));
    ck_assert_uint_eq(s.source, source);
    ck_assert(s.is_local);
    ck_assert_uint_eq(s.matches, 1);
    ck_assert(elf_find_symbol(&m, "wide", NULL, ELF_TLS, &s));
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "one_wide"));
    ck_assert_uint_eq(s.size, 24);
    ck_assert(elf_find_symbol(&m, "shown", NULL, ELF_TLS, &s));
    ck_assert_uint_eq(s.source, ELF_FROM_DYNSYM);
    ck_assert(!s.is_local);
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "one_shown"));
    ck_assert(elf_find_symbol(&m, "only_here", NULL, ELF_FUNC, &s));
    ck_assert_ptr_eq((void *)s.value, call(handle, "one_only"));
    ck_assert(!elf_find_symbol(&m, "only_here", NULL, ELF_OBJECT | ELF_TLS, &s));
    ck_assert(!elf_find_symbol(&m, "no_such_name", NULL, ELF_ANY, &s));
    ck_assert(elf_has_symbol(&m, "hidden_two"));
    ck_assert(!elf_has_symbol(&m, "hidden_three"));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_the_same_static_name_needs_a_file)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library(with_names[_i], &m);

    use_debug_root();
    ck_assert(elf_find_symbol(&m, "both", NULL, ELF_TLS, &s));
    ck_assert_uint_eq(s.matches, 2);
    ck_assert(s.is_local);
    ck_assert(elf_find_symbol(&m, "both", "two.c", ELF_TLS, &s));
    ck_assert_uint_eq(s.matches, 1);
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "two_both"));
    ck_assert(elf_find_symbol(&m, "both", "three.c", ELF_TLS, &s));
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "three_both"));
    ck_assert(!elf_find_symbol(&m, "both", "one.c", ELF_TLS, &s));
    ck_assert(elf_find_symbol(&m, "same", "one.c", ELF_OBJECT, &s));
    ck_assert_ptr_eq((void *)s.value, call(handle, "one_same"));
    ck_assert(elf_find_symbol(&m, "same", "two.c", ELF_OBJECT, &s));
    ck_assert_ptr_eq((void *)s.value, call(handle, "two_same"));
    /* Exported beats static. */
    ck_assert(elf_find_symbol(&m, "same_global", NULL, ELF_OBJECT, &s));
    ck_assert_ptr_eq((void *)s.value, dlsym(handle, "same_global"));
    ck_assert(elf_find_symbol(&m, "same_global", "three.c", ELF_OBJECT, &s));
    ck_assert_ptr_eq((void *)s.value, call(handle, "three_same_global"));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_debug_file_by_link_must_fit)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library("liblink.so", &m);

    ck_assert(elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    ck_assert_uint_eq(s.source, ELF_FROM_DEBUG);
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "one_hidden"));
    run("printf x >> .debug/liblink.so.debug"); /* the checksum is another one now */
    ck_assert(!elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_debug_file_by_link_must_have_the_modules_build_id)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library("libboth.so", &m);

    elf_debug_root = "/nonexistent";
    ck_assert(elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    ck_assert_uint_eq(s.source, ELF_FROM_DEBUG);
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), call(handle, "one_hidden"));
    run("cp libgnu-2.0.so.0 .debug/both.debug");
    ck_assert(!elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_file_that_was_replaced_is_not_believed)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library("libreplaced.so", &m);

    ck_assert(elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    run("cp libnames.so new && mv new libreplaced.so");
    ck_assert(!elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    ck_assert(elf_find_symbol(&m, "shown", NULL, ELF_TLS, &s)); /* from memory */
    run("rm libreplaced.so");
    ck_assert(!elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_cxx_names_and_their_initialisers)
{
    struct elf_module m;
    struct elf_symbol s;
    void *handle = open_library("libnames.so", &m);

    ck_assert(elf_find_symbol(&m, "_ZN2ns3Ctx2idE", NULL, ELF_TLS, &s));
    ck_assert_int_eq(*(int *)elf_tls_address(m.tls_modid, s.value), 3);
    ck_assert(elf_find_symbol(&m, "_ZN2ns3Ctx3getEv", NULL, ELF_FUNC, &s));
    ck_assert_ptr_eq((void *)s.value, dlsym(handle, "_ZN2ns3Ctx3getEv"));
    ck_assert(elf_has_symbol(&m, "_ZTH4textB5cxx11"));
    ck_assert(!elf_has_symbol(&m, "_ZTHN2ns3Ctx2idE"));
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_one_pass_serves_many_names)
{
    struct elf_module m;
    struct elf_query q[40];
    char names[40][16];
    void *handle = open_library("libgnu-2.0.so.0", &m);

    for (size_t i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "nothing_%zu", i);
        q[i] = (struct elf_query){.name = names[i], .want = ELF_ANY};
    }
    q[0].name = "hidden";
    q[15].name = "wide";
    q[16].name = "exported";
    q[39].name = "hidden_two";
    ck_assert_uint_eq(elf_find_symbols(&m, q, 40), 4);
    ck_assert_uint_eq(q[0].found.kind, ELF_TLS);
    ck_assert_uint_eq(q[15].found.size, 24);
    ck_assert_uint_eq(q[16].found.source, ELF_FROM_DYNSYM);
    ck_assert_uint_eq(q[39].found.matches, 1);
    ck_assert_uint_eq(q[1].found.matches, 0);
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_search_finds_names_in_whatever_module)
{
    struct elf_search s[5] = {
        {.query = {.name = "hidden_two", .want = ELF_TLS}},
        {.query = {.name = "exported", .want = ELF_OBJECT}},
        {.module = "libsysv", .query = {.name = "exported", .want = ELF_OBJECT}},
        {.module = "main", .query = {.name = "elf_test_static", .want = ELF_OBJECT}},
        {.query = {.name = "_ZN2ns3Ctx2idE", .want = ELF_TLS}},
    };
    struct elf_seen seen = {0};
    struct elf_module gnu, sysv, names;
    void *gnu_handle = open_library("libgnu-2.0.so.0", &gnu);
    void *sysv_handle = open_library("libsysv.so", &sysv), *names_handle;
    size_t count;

    ck_assert_uint_eq(elf_search_modules(s, 5, &seen), 4);
    ck_assert_ptr_eq(s[0].where.phdr, gnu.phdr);
    ck_assert_ptr_eq((void *)s[1].query.found.value, dlsym(gnu_handle, "exported"));
    ck_assert_ptr_eq((void *)s[2].query.found.value, dlsym(sysv_handle, "exported"));
    ck_assert_ptr_eq((void *)s[3].query.found.value, &elf_test_static);
    ck_assert(s[3].where.is_main);
    ck_assert_uint_eq(s[4].query.found.matches, 0);
    count = seen.count;
    ck_assert_uint_eq(elf_search_modules(s, 5, &seen), 0);
    ck_assert_uint_eq(seen.count, count);
    names_handle = open_library("libnames.so", &names);
    ck_assert_uint_eq(elf_search_modules(s, 5, &seen), 1);
    ck_assert_ptr_eq(s[4].where.phdr, names.phdr);
    ck_assert_uint_eq(elf_search_modules(s, 5, &seen), 0);
    dlclose(names_handle);
    dlclose(sysv_handle);
    dlclose(gnu_handle);
}
END_TEST

START_TEST(test_elf_search_looks_only_at_new_modules_until_one_was_unloaded)
{
    struct elf_search s[2] = {{.query = {.name = "no_such_name", .want = ELF_ANY}},
                              {.query = {.name = "exported", .want = ELF_OBJECT}}};
    struct elf_seen seen = {0};
    struct elf_module m;
    void *handle = open_library("libgnu-2.0.so.0", &m);

    ck_assert_uint_eq(elf_search_modules(s, 2, &seen), 1);
    s[1].query.found.matches = 0;
    ck_assert_uint_eq(elf_search_modules(s, 2, &seen), 0); /* seen already */
    dlclose(handle);
    handle = open_library("libsysv.so", &m);
    ck_assert_uint_eq(elf_search_modules(s, 2, &seen), 1);
    ck_assert_ptr_eq(s[1].where.phdr, m.phdr);
    dlclose(handle);
    ck_assert_uint_eq(elf_search_modules(s, 2, &seen), 0);
    ck_assert_uint_eq(s[1].query.found.matches, 0); /* gone with its library */
}
END_TEST

START_TEST(test_elf_search_forgets_what_was_unloaded_when_all_was_found)
{
    struct elf_search s = {.query = {.name = "hidden_two", .want = ELF_TLS}};
    struct elf_seen seen = {0};
    struct elf_module m;
    void *handle = open_library("libgnu-2.0.so.0", &m);

    ck_assert_uint_eq(elf_search_modules(&s, 1, &seen), 1);
    dlclose(handle);
    ck_assert_uint_eq(elf_search_modules(&s, 1, &seen), 0);
    ck_assert_uint_eq(s.query.found.matches, 0);
    handle = open_library("libsysv.so", &m);
    ck_assert_uint_eq(elf_search_modules(&s, 1, &seen), 1);
    ck_assert_ptr_eq(s.where.phdr, m.phdr);
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_search_names_the_nearest_and_where)
{
    struct elf_search s = {.query = {.name = "hidden_tow", .want = ELF_TLS}};
    struct elf_module m;
    char name[64];
    void *handle = open_library("libsysv.so", &m);

    ck_assert(elf_search_nearest(&s, name, sizeof name));
    ck_assert_str_eq(name, "hidden_two@libsysv.so");
    s.module = "main";
    ck_assert(!elf_search_nearest(&s, name, sizeof name));
    s.query.name = "elf_tets_tls";
    ck_assert(elf_search_nearest(&s, name, sizeof name));
    ck_assert_str_eq(name, "elf_test_tls@main");
    dlclose(handle);
}
END_TEST

START_TEST(test_elf_the_programs_own_statics)
{
    struct elf_module m;
    struct elf_symbol s;
    char name[64];
    uintptr_t start, end;

    ck_assert(elf_module_find("main", &m));
    ck_assert(elf_find_symbol(&m, "elf_test_static", NULL, ELF_OBJECT, &s));
    ck_assert_ptr_eq((void *)s.value, &elf_test_static);
    ck_assert(elf_find_symbol(&m, "elf_test_tls", "test_elf.c", ELF_TLS, &s));
    ck_assert_ptr_eq(elf_tls_address(m.tls_modid, s.value), &elf_test_tls);
    ck_assert(elf_symbol_at(&elf_test_global, ELF_OBJECT, &s, name, sizeof name));
    ck_assert_str_eq(name, "elf_test_global");
    ck_assert_int_eq(elf_test_function(1), 10);
    ck_assert(
        elf_function_at((char *)(void *)elf_test_function + 1, &start, &end, name, sizeof name));
    ck_assert_ptr_eq((void *)start, (void *)elf_test_function);
    ck_assert_uint_gt(end, start + 1);
    ck_assert_str_eq(name, "elf_test_function");
    ck_assert(elf_function_at((void *)gnu_get_libc_version, &start, &end, name, sizeof name));
    ck_assert(strstr(name, "gnu_get_libc_version") != NULL);
    ck_assert(!elf_symbol_at(&(int){0}, ELF_ANY, &s, name, sizeof name));
}
END_TEST

START_TEST(test_elf_nearest_names_typos_and_clones)
{
    struct elf_module m;
    char name[64] = "";
    void *handle = open_library("libgnu-2.0.so.0", &m);

    ck_assert(elf_nearest(&m, "hiddne_two", ELF_TLS, name, sizeof name));
    ck_assert_str_eq(name, "hidden_two");
    ck_assert(elf_nearest(&m, "onely_here", ELF_FUNC, name, 5));
    ck_assert_str_eq(name, "only");
    ck_assert(!elf_nearest(&m, "something_else_altogether", ELF_ANY, name, sizeof name));
    dlclose(handle);
    /* crtstuff.c's static object is a clone by name: completed.0 */
    ck_assert(elf_module_find("main", &m));
    if (elf_has_symbol(&m, "completed.0")) {
        ck_assert(elf_nearest(&m, "completed", ELF_OBJECT, name, sizeof name));
        ck_assert_str_eq(name, "completed.0");
    }
}
END_TEST

/* Thread-local storage */

static intptr_t tp_offset;

static void *check_tp_offset(void *unused)
{
    int *tls = (int *)(arch_tp() + tp_offset);

    return tls == &elf_test_tls && *tls == 5 ? tls : NULL;
}

START_TEST(test_elf_tls_offset_is_good_for_every_thread)
{
    struct elf_module m;
    struct elf_symbol s;
    pthread_t thread;
    void *result, *handle;
    intptr_t offset;

    ck_assert(elf_module_find("main", &m));
    ck_assert(elf_find_symbol(&m, "elf_test_tls", NULL, ELF_TLS, &s));
    ck_assert(elf_tls_tp_offset(&m, s.value, &tp_offset));
    pthread_create(&thread, NULL, check_tp_offset, NULL);
    pthread_join(thread, &result);
    ck_assert_ptr_nonnull(result);
    handle = open_library("libgnu-2.0.so.0", &m);
    ck_assert(!elf_tls_tp_offset(&m, 0, &offset)); /* dlopened */
    dlclose(handle);
}
END_TEST

/* Bytes that are no good file */

static void read_all(const struct elf_file *f)
{
    const struct elf_table *tables[] = {&f->symtab, &f->dynsym};
    size_t sum = 0;

    for (size_t i = 0; i < 2; i++) {
        struct elf_cursor cursor = {.table = tables[i], .want = ELF_ANY};
        const char *name;

        while (elf_cursor_next(&cursor, &name))
            sum += strlen(name) + (cursor.file ? strlen(cursor.file) : 0);
    }
    for (size_t i = 0; i < f->build_id_len; i++)
        sum += f->build_id[i];
    if (f->debug_link)
        sum += strlen(f->debug_link);
    for (size_t i = 0; f->phdr && i < f->phnum * sizeof *f->phdr; i++)
        sum += ((const unsigned char *)f->phdr)[i];
    ck_assert_uint_lt(sum, (size_t)-1);
}

/* Right before a page that cannot be read: a byte too far is a crash, with and without ASan. */
static unsigned char *at_the_edge(const unsigned char *data, size_t len)
{
    size_t page = 4096, buffer = (len + page - 1) / page * page;
    unsigned char *p =
        mmap(NULL, buffer + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(p, MAP_FAILED);
    mprotect(p + buffer, page, PROT_NONE);
    memcpy(p + buffer - len, data, len);
    return p + buffer - len;
}

static void give_back(unsigned char *p, size_t len)
{
    munmap((void *)((uintptr_t)p & ~4095ul), (len + 4095) / 4096 * 4096 + 4096);
}

static unsigned char *read_whole(const char *name, size_t *len)
{
    char path[128];
    struct stat st;
    unsigned char *data;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(fstat(fd, &st), 0);
    *len = (size_t)st.st_size;
    data = malloc(*len);
    ck_assert_int_eq((int)read(fd, data, *len), (int)*len);
    close(fd);
    return data;
}

static unsigned long seed = 99;

static unsigned long next_random(void)
{
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return seed >> 33;
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(test_elf_file_cut_anywhere_is_read_within_its_end)
{
    size_t len;
    unsigned char *good = read_whole("liblink.so", &len);
    struct elf_file f;

    for (size_t cut = 0; cut < len; cut += cut < 2048 ? 7 : 131) {
        unsigned char *p = at_the_edge(good, cut);

        if (elf_file_parse(p, cut, &f))
            read_all(&f);
        give_back(p, cut);
    }
    free(good);
}
END_TEST

START_TEST(test_elf_file_of_any_bytes_is_read_within_its_end)
{
    static const unsigned char nasty[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x20};
    static const char *const names[] = {"libgnu-2.0.so.0", "liblink.so"};
    size_t len;
    unsigned char *good = read_whole(names[_i], &len);
    double end = now_s() + 1.5;
    struct elf_file f;

    for (unsigned round = 0; round < 20000 && (round % 64 || now_s() < end); round++) {
        unsigned char *p = at_the_edge(good, len);
        ElfW(Ehdr) header;

        memcpy(&header, p, sizeof header);
        for (unsigned hits = 1 + next_random() % 8; hits; hits--) {
            size_t at = next_random() % len;

            /* Most hits go where offsets and sizes stand. */
            if (next_random() % 4 == 0)
                at = next_random() % sizeof header;
            else if (next_random() % 4)
                at = header.e_shoff + next_random() % (len - header.e_shoff);
            p[at] = next_random() % 2 ? nasty[next_random() % sizeof nasty]
                                      : (unsigned char)next_random();
        }
        if (elf_file_parse(p, len, &f))
            read_all(&f);
        give_back(p, len);
    }
    free(good);
}
END_TEST

/* The way of a search, with a file that is not what it was. */
START_TEST(test_elf_search_in_a_file_of_any_bytes_finds_nothing_outside_of_the_module)
{
    static const char *const names[] = {"libboth.so", "libgnu-2.0.so.0"};
    size_t len;
    unsigned char *good = read_whole(names[_i], &len), *bad = malloc(len);
    double end = now_s() + 1.5;
    struct elf_module m;
    struct elf_symbol s;
    ElfW(Ehdr) header;
    char path[128];
    void *handle = open_library(names[_i], &m);

    snprintf(path, sizeof path, "%s/bad.so", folder);
    m.path = path;
    memcpy(&header, good, sizeof header);
    for (unsigned round = 0; round < 3000 && (round % 64 || now_s() < end); round++) {
        size_t cut = round % 5 ? len : next_random() % len;
        FILE *f = fopen(path, "w");

        memcpy(bad, good, len);
        for (unsigned hits = 1 + next_random() % 6; hits; hits--)
            bad[header.e_shoff + next_random() % (len - header.e_shoff)] =
                (unsigned char)next_random();
        fwrite(bad, 1, cut, f);
        fclose(f);
        if (elf_find_symbol(&m, "hidden", NULL, ELF_TLS, &s))
            ck_assert_uint_le(s.value + s.size, m.tls_size);
        if (elf_find_symbol(&m, "only_here", NULL, ELF_FUNC, &s))
            ck_assert(s.value >= m.lo && s.value < m.hi);
    }
    dlclose(handle);
    free(good);
    free(bad);
}
END_TEST

START_TEST(test_elf_notes_of_any_bytes_are_read_within_their_end)
{
    for (int round = 0; round < 20000; round++) {
        unsigned char notes[96], *p;
        size_t len = next_random() % sizeof notes, id_len;

        for (size_t i = 0; i < len; i++)
            notes[i] = (unsigned char)(next_random() % 3 ? next_random() % 5 : next_random());
        p = malloc(len ? len : 1);
        memcpy(p, notes, len);
        if (elf_note_build_id(p, len, &id_len))
            ck_assert_uint_le(id_len, len);
        free(p);
    }
}
END_TEST

START_TEST(test_elf_notes_are_looked_through_for_a_megabyte)
{
    const size_t len = 3 << 20;
    unsigned char *notes = calloc(1, len);
    ElfW(Nhdr) id = {.n_namesz = 4, .n_descsz = 20, .n_type = NT_GNU_BUILD_ID};
    size_t id_len, places[] = {12 * 1000, 12 * 100000}; /* of 12 zeros each */

    for (unsigned i = 0; i < 2; i++) {
        memset(notes, 0, len);
        memcpy(notes + places[i], &id, sizeof id);
        memcpy(notes + places[i] + sizeof id, "GNU", 4);
        ck_assert_int_eq(elf_note_build_id(notes, len, &id_len) != NULL, i == 0);
    }
    free(notes);
}
END_TEST

START_TEST(test_elf_no_file_and_other_files_are_refused)
{
    struct elf_file f;
    char path[128];

    ck_assert(!elf_file_open("/nonexistent", &f));
    ck_assert(!elf_file_open("/", &f));
    ck_assert(!elf_file_open("/dev/null", &f));
    snprintf(path, sizeof path, "%s/one.c", folder);
    ck_assert(!elf_file_open(path, &f));
    snprintf(path, sizeof path, "%s/one.o", folder);
    ck_assert(!elf_file_open(path, &f));
    elf_file_close(&f);
}
END_TEST

START_TEST(test_elf_keeps_errno)
{
    struct elf_module m;
    struct elf_symbol s;

    ck_assert(elf_module_find("libc", &m));
    errno = 88;
    elf_find_symbol(&m, "no_such_name", NULL, ELF_ANY, &s);
    ck_assert_int_eq(errno, 88);
    ck_assert(elf_module_find("main", &m));
    elf_module_is_startup(&m);
    elf_find_symbol(&m, "no_such_name", NULL, ELF_ANY, &s);
    ck_assert_int_eq(errno, 88);
}
END_TEST

/* The segment that PLACE is in has 64 bytes more in the file, and goes on with zeros. */
static void cut_behind(const struct elf_module *module, elf_phdr *phdr, const void *place)
{
    memcpy(phdr, module->phdr, module->phnum * sizeof *phdr);
    for (size_t i = 0; i < module->phnum; i++) {
        uintptr_t offset = (uintptr_t)place - (module->base + phdr[i].p_vaddr);

        if (phdr[i].p_type == PT_LOAD && offset < phdr[i].p_filesz)
            phdr[i].p_filesz = offset + 64;
    }
}

START_TEST(test_elf_tables_of_an_unchecked_file_end_where_the_file_does)
{
    elf_phdr phdr[64];
    struct elf_module module, cut;
    struct elf_symbol symbol;

    ck_assert(elf_module_find("libc", &module) && module.phnum <= 64);
    cut = module;
    elf_module_trim(&cut);
    ck_assert(!memcmp(&cut, &module, sizeof cut));
    ck_assert(elf_dynsym_find(&cut, "malloc", NULL, ELF_FUNC, &symbol));
    cut.phdr = phdr;
    cut_behind(&module, phdr, module.dynsym);
    ck_assert_uint_eq(elf_module_room(&cut, (uintptr_t)module.dynsym), 64);
    ck_assert_uint_eq(elf_module_room(&cut, (uintptr_t)module.dynsym + 64), 0);
    elf_module_trim(&cut);
    ck_assert(!cut.dynsym && !elf_dynsym_find(&cut, "malloc", NULL, ELF_FUNC, &symbol));
    cut = module;
    cut.phdr = phdr;
    cut_behind(&module, phdr, module.dynstr);
    elf_module_trim(&cut);
    ck_assert(!cut.dynsym && !cut.dynstr_len && !cut.soname);
    cut = module;
    cut.phdr = phdr;
    cut_behind(&module, phdr, module.versym);
    elf_module_trim(&cut);
    ck_assert(!cut.versym);
    cut = module;
    cut.phdr = phdr;
    cut_behind(&module, phdr, module.gnu_hash ? module.gnu_hash : module.sysv_hash);
    elf_module_trim(&cut);
    ck_assert(!(module.gnu_hash ? cut.gnu_hash : cut.sysv_hash));
}
END_TEST

/* A page that the loader has not made read-only yet belongs to a module that it still relocates. */
START_TEST(test_elf_pointer_of_a_module_that_is_being_relocated)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void **place = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const ElfW(Phdr) relro = {.p_type = PT_GNU_RELRO, .p_vaddr = 0, .p_memsz = page};
    const struct elf_module module = {.base = (uintptr_t)place,
                                      .lo = (uintptr_t)place,
                                      .hi = (uintptr_t)place + 2 * page,
                                      .phdr = &relro,
                                      .phnum = 1};
    void **outside = place + page / sizeof *place;

    place[3] = outside[3] = (void *)0x123456789abcdefU;
    ck_assert(!elf_pointer_is_relocated(&module, &place[3]));
    ck_assert(elf_pointer_is_relocated(&module, &outside[3]));
    ck_assert_int_eq(mprotect(place, page, PROT_READ), 0);
    ck_assert(elf_pointer_is_relocated(&module, &place[3]));
    ck_assert_ptr_eq(place[3], (void *)0x123456789abcdefU);
    munmap(place, 2 * page);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("elf");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, build_libraries, remove_libraries);
    tcase_add_test(tc, test_elf_modules_are_found_by_address_and_name);
#ifdef DLFO_EH_SEGMENT_TYPE
    tcase_add_test(tc, test_elf_the_loaders_own_index_is_found_by_name);
#endif
    tcase_add_test(tc, test_elf_module_names_end_at_a_boundary);
    tcase_add_test(tc, test_elf_startup_modules_are_told_from_dlopened_ones);
    tcase_add_loop_test(tc, test_elf_dynsym_answers_what_dlsym_does, 0, 2);
    tcase_add_loop_test(tc, test_elf_dynsym_takes_default_versions_unless_asked, 0, 2);
    tcase_add_test(tc, test_elf_dynsym_finds_libc_versions);
    tcase_add_test(tc, test_elf_global_lookup_goes_in_load_order_and_counts);
    tcase_add_loop_test(tc, test_elf_static_names_come_from_symtab_or_the_build_id_debug_file, 0,
                        3);
    tcase_add_loop_test(tc, test_elf_the_same_static_name_needs_a_file, 0, 3);
    tcase_add_test(tc, test_elf_debug_file_by_link_must_fit);
    tcase_add_test(tc, test_elf_debug_file_by_link_must_have_the_modules_build_id);
    tcase_add_test(tc, test_elf_file_that_was_replaced_is_not_believed);
    tcase_add_test(tc, test_elf_cxx_names_and_their_initialisers);
    tcase_add_test(tc, test_elf_one_pass_serves_many_names);
    tcase_add_test(tc, test_elf_search_finds_names_in_whatever_module);
    tcase_add_test(tc, test_elf_search_looks_only_at_new_modules_until_one_was_unloaded);
    tcase_add_test(tc, test_elf_search_forgets_what_was_unloaded_when_all_was_found);
    tcase_add_test(tc, test_elf_search_names_the_nearest_and_where);
    tcase_add_test(tc, test_elf_the_programs_own_statics);
    tcase_add_test(tc, test_elf_nearest_names_typos_and_clones);
    tcase_add_test(tc, test_elf_tls_offset_is_good_for_every_thread);
    tcase_add_test(tc, test_elf_file_cut_anywhere_is_read_within_its_end);
    tcase_add_loop_test(tc, test_elf_file_of_any_bytes_is_read_within_its_end, 0, 2);
    tcase_add_loop_test(
        tc, test_elf_search_in_a_file_of_any_bytes_finds_nothing_outside_of_the_module, 0, 2);
    tcase_add_test(tc, test_elf_notes_of_any_bytes_are_read_within_their_end);
    tcase_add_test(tc, test_elf_notes_are_looked_through_for_a_megabyte);
    tcase_add_test(tc, test_elf_no_file_and_other_files_are_refused);
    tcase_add_test(tc, test_elf_tables_of_an_unchecked_file_end_where_the_file_does);
    tcase_add_test(tc, test_elf_pointer_of_a_module_that_is_being_relocated);
    tcase_add_test(tc, test_elf_heap_ends_where_sbrk_says);
    tcase_add_test(tc, test_elf_keeps_errno);
    return suite_run("elf", tc);
}
