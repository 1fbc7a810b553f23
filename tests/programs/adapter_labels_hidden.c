// custom-labels, linked in and not exported: what the adapter wants is in the program's symbol table alone.
// libs: glib-2.0
#include "adapter_labels.c"
