// The same as contextvars, under AddressSanitizer.
// flags: -Iinclude -fsanitize=address
// libs: glib-2.0
#include "contextvars.c"
