// OpenSSL 3: the thread's default library context. The context itself stays its owner's.
#include <stdlib.h>

#include "baton_adapter.h"
#include "adapters/library.h"

static void *(*set_default)(void *context); /* answers the one before; NULL only asks */
static void *(*get_global)(void);

static const char *start(void)
{
    void *library = library_of("libcrypto.so.3");

    *(void **)&set_default = dlsym(library, "OSSL_LIB_CTX_set0_default");
    *(void **)&get_global = dlsym(library, "OSSL_LIB_CTX_get0_global_default");
    return set_default && get_global ? NULL : "libcrypto of OpenSSL 3 is not loaded";
}

static enum baton_adapter_result capture(void **captured)
{
    *captured = set_default(NULL);
    return *captured && *captured != get_global() ? BATON_ADAPTER_OK : BATON_ADAPTER_NONE;
}

struct attached {
    void *before, *borrowed;
};

static enum baton_adapter_result attach(void *captured, void **attached)
{
    struct attached *scope = malloc(sizeof *scope);

    if (!scope)
        return BATON_ADAPTER_FAILED;
    scope->borrowed = captured ? captured : get_global();
    scope->before = set_default(scope->borrowed);
    *attached = scope;
    return BATON_ADAPTER_OK;
}

static void detach(void *attached)
{
    struct attached *scope = attached;

    set_default(scope->before);
    free(scope);
}

static void detach_at_end(void *attached)
{
    struct attached *scope = attached;

    if (set_default(NULL) == scope->borrowed)
        set_default(scope->before);
    free(scope);
}

static void exchange(void **state)
{
    void *now = set_default(*state ? *state : get_global());

    *state = now == get_global() ? NULL : now;
}

static void release(void *captured)
{
}

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "openssl-libctx", start, capture, attach, detach, release,
    detach_at_end,         exchange,         NULL,  0};
