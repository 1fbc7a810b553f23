// For adapters of logging libraries: the thread's nested and mapped diagnostic contexts, by value, in the
// library's own containers. An adapter defines, after this,
//     bool copy_now(contexts &)          what the thread has set; false: nothing
//     void put_now(const contexts &)
//     bool are_equal(const contexts &, const contexts &)
// and names them as arguments of diagnostic_adapter.
#ifndef BATON_ADAPTERS_DIAGNOSTIC_H
#define BATON_ADAPTERS_DIAGNOSTIC_H

#include <utility>

#include "baton_adapter.h"

namespace {

template <class Nested, class Mapped> struct diagnostic {
    Nested nested;
    Mapped mapped;

    bool is_empty() const
    {
        return nested.empty() && mapped.empty();
    }
};

/* What detach puts back; borrowed stays its owner's. */
template <class Contexts> struct scope_of {
    Contexts before;
    const Contexts *borrowed;
};

template <class Contexts, bool copy_now(Contexts &), void put_now(const Contexts &),
          bool are_equal(const Contexts &, const Contexts &)>
struct diagnostic_adapter {
    typedef scope_of<Contexts> scope;

    static enum baton_adapter_result capture(void **captured)
    try {
        Contexts now;
        if (!copy_now(now))
            return BATON_ADAPTER_NONE;
        *captured = new Contexts(std::move(now));
        return BATON_ADAPTER_OK;
    } catch (...) {
        return BATON_ADAPTER_FAILED;
    }

    static enum baton_adapter_result attach(void *captured, void **attached)
    {
        scope *made = nullptr;
        try {
            made = new scope();
            made->borrowed = static_cast<const Contexts *>(captured);
            copy_now(made->before);
            put_now(captured ? *made->borrowed : Contexts());
        } catch (...) {
            delete made;
            return BATON_ADAPTER_FAILED;
        }
        *attached = made;
        return BATON_ADAPTER_OK;
    }

    static void detach(void *attached)
    {
        scope *made = static_cast<scope *>(attached);
        try {
            put_now(made->before);
        } catch (...) {
        }
        delete made;
    }

    static void detach_at_end(void *attached)
    {
        scope *made = static_cast<scope *>(attached);
        try {
            Contexts now;
            copy_now(now);
            if (made->borrowed ? are_equal(now, *made->borrowed) : now.is_empty())
                put_now(made->before);
        } catch (...) {
        }
        delete made;
    }

    static void exchange(void **state)
    {
        Contexts *comes = static_cast<Contexts *>(*state), *goes = nullptr;
        try {
            Contexts now;
            if (copy_now(now))
                goes = new Contexts(std::move(now));
            put_now(comes ? *comes : Contexts());
        } catch (...) {
            delete goes;
            return;
        }
        delete comes;
        *state = goes;
    }

    static void release(void *captured)
    {
        delete static_cast<Contexts *>(captured);
    }
};

} // namespace
#endif
