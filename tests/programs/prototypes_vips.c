// The row of hooks.def for libvips has the type of its own header.
// libs: vips
// flags: -Ishim
#include <vips/vips.h>

#define WANT_VIPS 1
#include "prototypes.h"
