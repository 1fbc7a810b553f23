// promise: the same of a thread's name, which rides in two registers
#define FRONT_ITEMS "key:front_key;name"
#define FRONT_IS_IN_LINE 1
#define FRONT_BY BY_NAME
#define FRONT_FORM WORD_WIDE
#include "test_front.c"
