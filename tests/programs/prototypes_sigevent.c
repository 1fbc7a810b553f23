// Every row of hooks.def for SIGEV_THREAD has the type of the C library's own headers.
// flags: -Ishim -D_GNU_SOURCE
#include <aio.h>
#include <mqueue.h>
#include <netdb.h>
#include <signal.h>
#include <time.h>

#define WANT_TIMER 1
#define WANT_GAI 1
#define WANT_MQ 1
#define WANT_AIO 1
#include "prototypes.h"
