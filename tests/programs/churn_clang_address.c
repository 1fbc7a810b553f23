// The same as churn, built with clang, whose sanitizer runtime is inside the program.
// libs: glib-2.0
// flags: -fsanitize=address
// cc: clang
#include "churn.c"
