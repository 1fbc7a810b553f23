// promise: the same of copies of a locale, from threads that have none of their own, and from those that have one
#define FRONT_ITEMS "key:front_key;locale,dup"
#define FRONT_IS_IN_LINE 1
#define FRONT_BY BY_LOCALE
#define FRONT_FORM WORD_NONE
#include "test_front.c"
