// The plugin of bypass.so.c with every pointer bound when it is loaded and read-only from then on, called without PLT.
// flags: -Wl,-z,relro,-z,now -fno-plt
#include "bypass.so.c"
