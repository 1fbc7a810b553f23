// promise: the same where there is more than one piece of such state
#define FRONT_ITEMS "key:front_key;fenv;locale;name"
#define FRONT_IS_IN_LINE 0
#include "test_front.c"
