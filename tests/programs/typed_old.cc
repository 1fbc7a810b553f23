// The same with the older string of libstdc++: as large, and something else.
// flags: -D_GLIBCXX_USE_CXX11_ABI=0
#include "typed_static.cc"
