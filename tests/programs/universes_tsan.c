// The same as five_universes, built with ThreadSanitizer.
// flags: -fsanitize=thread
#include "five_universes.c"
