// A library that is unloaded while its values wait, under AddressSanitizer.
// libs: glib-2.0
// link: -ldl
// flags: -fsanitize=address -fno-omit-frame-pointer
#include "policy_unload.c"
