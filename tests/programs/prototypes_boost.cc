// Every row of hooks.def for Boost.Context has the type of its own header.
// flags: -Ishim
// needs: boost/context/detail/fcontext.hpp
#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <type_traits>

using namespace boost::context::detail;

#define fcontext_transfer transfer_t // the row names it by a tag of its own
#define WANT_BOOST_CONTEXT 1
// As in prototypes.h, whose comparison is C's.
#define ONE_1 ~,
#define SECOND(first, second, ...) second
#define IS_ONE(...) SECOND(__VA_ARGS__, 0, 0)
#define PASTE(a, b) a##b
#define IS_WANTED(want) IS_ONE(PASTE(ONE_, want) 1, 0)
#define CHECK_0(type, name, parameters)
#define CHECK_1(type, name, parameters) \
    static_assert(std::is_same<decltype(name), type parameters>::value, #name " differs from its header");
#define CHECK(wanted, type, name, parameters) CHECK_AS(wanted, type, name, parameters)
#define CHECK_AS(wanted, type, name, parameters) CHECK_##wanted(type, name, parameters)
#define HOOK(family, type, name, parameters) CHECK(IS_WANTED(WANT_##family), type, name, parameters)
#include "interpose/hooks.def"

int main()
{
    puts("RIGHT");
    return 0;
}
