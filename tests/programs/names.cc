// Slots with difficult names: static, in a namespace, made by a function, the same name in two files.
// parts: parts/same_name_a.c parts/same_name_b.c
// usage: names [offsets]; prints what a new thread sees in each; with `offsets` where they are
#include "carrier.h"
#include <link.h>
#include <memory>
#include <string>

long *same_name_a(void);
long *same_name_b(void);

static pthread_key_t hidden_key;
static __thread long hidden_word __attribute__((used));
pthread_key_t many_keys[40];

namespace app
{
thread_local long current_request;
pthread_key_t request_key_of_app;
struct settings {
    static thread_local int level;
};
thread_local int settings::level;
} // namespace app

/* A C++ object with a constructor: must never be carried as bytes. */
thread_local std::string user_name = "nobody";

/* Has a destructor: refused unless forced. */
struct ticket {
    long number = 1;
    ~ticket()
    {
        asm volatile("" ::: "memory");
    }
};
thread_local ticket held_ticket;

/* The key's variable is on the heap, as GLib's are: known only by who makes it. */
extern "C" __attribute__((noinline, used)) pthread_key_t *make_request_key(void)
{
    pthread_key_t *key = new pthread_key_t;
    pthread_key_create(key, nullptr);
    asm volatile("" ::: "memory");
    return key;
}

static pthread_key_t *heap_key;

static void *show(void *)
{
    printf("hidden_key %ld\n", (long)pthread_getspecific(hidden_key));
    printf("hidden_word %ld\n", hidden_word);
    printf("app::current_request %ld\n", app::current_request);
    printf("app::settings::level %d\n", app::settings::level);
    printf("app::request_key_of_app %ld\n", (long)pthread_getspecific(app::request_key_of_app));
    printf("heap_key %ld\n", (long)pthread_getspecific(*heap_key));
    printf("many_keys[39] %ld\n", (long)pthread_getspecific(many_keys[39]));
    printf("shared_name a %ld b %ld\n", *same_name_a(), *same_name_b());
    printf("user_name %s\n", user_name.c_str());
    printf("held_ticket %ld\n", held_ticket.number);
    return nullptr;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    setvbuf(stdout, nullptr, _IONBF, 0);
    pthread_key_create(&hidden_key, nullptr);
    pthread_key_create(&app::request_key_of_app, nullptr);
    heap_key = make_request_key();
    for (pthread_key_t &key : many_keys)
        pthread_key_create(&key, nullptr);
    if (argc > 1) {
        /* What a user without symbols finds out with a debugger. */
        uintptr_t base = 0;
        dl_iterate_phdr(
            [](dl_phdr_info *info, size_t, void *found) {
                *static_cast<uintptr_t *>(found) = info->dlpi_addr;
                return 1;
            },
            &base);
        printf("0x%lx\n", (unsigned long)((uintptr_t)&hidden_key - base));
        return 0;
    }
    pthread_setspecific(hidden_key, (void *)1);
    hidden_word = 2;
    app::current_request = 3;
    app::settings::level = 4;
    pthread_setspecific(app::request_key_of_app, (void *)5);
    pthread_setspecific(*heap_key, (void *)6);
    pthread_setspecific(many_keys[39], (void *)7);
    *same_name_a() = 8;
    *same_name_b() = 9;
    held_ticket.number = 10;
    user_name = "a name that is too long for the object itself";
    pthread_create(&thread, nullptr, show, nullptr);
    pthread_join(thread, nullptr);
    return 0;
}
