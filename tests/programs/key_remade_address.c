// A key that is made again while a task runs, under AddressSanitizer.
// libs: glib-2.0
// flags: -fsanitize=address -fno-omit-frame-pointer
#include "key_remade.c"
