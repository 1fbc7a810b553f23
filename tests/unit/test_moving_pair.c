// promise: the same as test_moving.c where one pair is all that is carried, which is attached in front of the thread's block
#define ONE_PAIR 1
#include "test_moving.c"
