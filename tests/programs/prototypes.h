/*
 * Compares rows of hooks.def with the libraries' own headers: it compiles or not.
 *
 * A program defines WANT_FAMILY as 1 for each family whose header it has included, then includes this.
 */
#define ONE_1 ~,
#define SECOND(first, second, ...) second
#define IS_ONE(...) SECOND(__VA_ARGS__, 0, 0)
#define PASTE(a, b) a##b
#define IS_WANTED(want) IS_ONE(PASTE(ONE_, want) 1, 0)
#define CHECK_0(ret, name, params)
#define CHECK_1(ret, name, params)                                             \
    _Static_assert(__builtin_types_compatible_p(__typeof__(name), ret params), \
                   #name " differs from its header");
#define CHECK(wanted, ret, name, params) CHECK_AS(wanted, ret, name, params)
#define CHECK_AS(wanted, ret, name, params) CHECK_##wanted(ret, name, params)
#define HOOK(family, ret, name, params) CHECK(IS_WANTED(WANT_##family), ret, name, params)
#if __has_include("interpose/hooks.def")
#include "interpose/hooks.def"
#endif
#undef HOOK

int puts(const char *);

int main(void)
{
    puts("RIGHT");
    return 0;
}
