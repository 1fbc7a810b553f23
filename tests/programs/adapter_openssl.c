// OpenSSL's default library context of the request is the task's, and nobody else's.
// libs: libcrypto >= 3.0 glib-2.0
#include "adapter.h"
#include <openssl/crypto.h>

static OSSL_LIB_CTX *contexts[10];

static void set_request(long number)
{
    OSSL_LIB_CTX_set0_default(number ? contexts[number] : OSSL_LIB_CTX_get0_global_default());
}

static long seen(void)
{
    OSSL_LIB_CTX *now = OSSL_LIB_CTX_set0_default(NULL);
    for (long i = 1; i < 10; i++)
        if (contexts[i] == now)
            return i;
    return now == OSSL_LIB_CTX_get0_global_default() ? 0 : -1;
}

static void spoil(void)
{
    set_request(9);
}

int main(void)
{
    int status;
    for (int i = 1; i < 10; i++)
        contexts[i] = OSSL_LIB_CTX_new();
    status = main_of_test();
    for (int i = 1; i < 10; i++)
        OSSL_LIB_CTX_free(contexts[i]);
    return status;
}
