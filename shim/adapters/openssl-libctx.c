// OpenSSL 3: the thread's default library context. The context itself stays its owner's.
#include <dlfcn.h>
#include <stddef.h>

#include "baton_adapter.h"

static void *(*set_default)(void *context); /* answers the one before; NULL only asks */
static void *(*get_global)(void);

static const char *start(void)
{
    *(void **)&set_default = dlsym(RTLD_DEFAULT, "OSSL_LIB_CTX_set0_default");
    *(void **)&get_global = dlsym(RTLD_DEFAULT, "OSSL_LIB_CTX_get0_global_default");
    return set_default && get_global ? NULL : "libcrypto of OpenSSL 3 is not loaded";
}

static enum baton_adapter_result capture(void **captured)
{
    *captured = set_default(NULL);
    return *captured && *captured != get_global() ? BATON_ADAPTER_OK : BATON_ADAPTER_NONE;
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    *attached = set_default(captured ? captured : get_global());
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    set_default(attached);
}

static void release(void *captured)
{
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "openssl-libctx", start, capture, attach, detach, release};
