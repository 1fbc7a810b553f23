// The policies under AddressSanitizer: what is freed twice, kept after its end or read past it is reported.
// libs: glib-2.0
// flags: -fsanitize=address -fno-omit-frame-pointer
#include "policies.c"
