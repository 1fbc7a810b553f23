// Every row of hooks.def for OpenSSL has the type of its headers.
// libs: libcrypto
// flags: -Ishim
#include <openssl/async.h>

#define WANT_OPENSSL 1
#include "prototypes.h"
