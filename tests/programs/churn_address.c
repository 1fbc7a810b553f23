// The same as churn, built with a sanitizer.
// libs: glib-2.0
// flags: -fsanitize=address
#include "churn.c"
