// The same with the other standard library.
// usage: typed_libcxx [ends | memory]
// libs: libuv
// cc: clang++
// flags: -stdlib=libc++ -gdwarf-4
// needs: map
#include "typed.cc"
