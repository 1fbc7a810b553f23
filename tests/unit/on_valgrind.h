/* RUNNING_ON_VALGRIND, also where valgrind is not installed. */
#ifndef BATON_TEST_ON_VALGRIND_H
#define BATON_TEST_ON_VALGRIND_H

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_COUNT_ERRORS 0
#endif

#endif
