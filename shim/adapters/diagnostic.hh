// For adapters of logging libraries: the thread's nested and mapped diagnostic contexts, by value, in the
// library's own containers. An adapter defines, after this,
//     bool find(bool is_wanted, place &)     where the thread's are; false: it has none (is_wanted: makes some)
//     bool are_equal(const contexts &, const place &)
// and names them as arguments of diagnostic_adapter.
//
// What a thread has set is copied when it has changed since it was captured last: captures in between have that
// one, which is never written to. A task is lent a copy, which is exchanged for what its thread has, and serves
// again if the task has left it as it was: neither copies anything in a program that sets its contexts
// once a request.
#ifndef BATON_ADAPTERS_DIAGNOSTIC_H
#define BATON_ADAPTERS_DIAGNOSTIC_H

#include <atomic>
#include <utility>

#include "baton_adapter.h"

namespace
{

template <class Nested, class Mapped> struct diagnostic {
    Nested nested;
    Mapped mapped;

    bool is_empty() const
    {
        return nested.empty() && mapped.empty();
    }
};

/* The calling thread's own, in the library's memory. */
template <class Nested, class Mapped> struct diagnostic_place {
    Nested *nested;
    Mapped *mapped;

    bool is_empty() const
    {
        return nested->empty() && mapped->empty();
    }

    void swap(diagnostic<Nested, Mapped> &with)
    {
        nested->swap(with.nested);
        mapped->swap(with.mapped);
    }
};

template <class Contexts, class Place, bool find(bool, Place &),
          bool are_equal(const Contexts &, const Place &)>
struct diagnostic_adapter {
    struct snapshot;

    /* Lent to a task: in exchange, what its thread had before. */
    struct borrowed {
        Contexts contexts;
        snapshot *of;
    };

    /* What some thread had set. As many captures refer to it as `references` says, and that thread's cache. */
    struct snapshot {
        const Contexts contexts;
        std::atomic<long> references{1};
        std::atomic<borrowed *> spare{nullptr}; /* a copy that is as `contexts` */

        explicit snapshot(const Place &now) : contexts{*now.nested, *now.mapped}
        {
        }

        ~snapshot()
        {
            delete spare.load();
        }

        void let_go()
        {
            if (references.fetch_sub(1) == 1)
                delete this;
        }
    };

    /* Destructors of the thread's may hand over after this one has run. */
    struct cache {
        snapshot *latest = nullptr;
        bool is_over = false;

        ~cache()
        {
            is_over = true;
            drop();
        }

        void drop()
        {
            if (latest)
                latest->let_go();
            latest = nullptr;
        }
    };

    static cache &cache_here()
    {
        static thread_local cache here;
        return here;
    }

    static enum baton_adapter_result capture(void **captured)
    try {
        Place now;
        cache &here = cache_here();

        if (!find(false, now) || now.is_empty()) {
            here.drop();
            return BATON_ADAPTER_NONE;
        }
        if (!here.latest || !are_equal(here.latest->contexts, now)) {
            snapshot *made = new snapshot(now);
            here.drop();
            if (here.is_over) {
                *captured = made;
                return BATON_ADAPTER_OK;
            }
            here.latest = made;
        }
        here.latest->references.fetch_add(1, std::memory_order_relaxed);
        *captured = here.latest;
        return BATON_ADAPTER_OK;
    } catch (...) {
        return BATON_ADAPTER_FAILED;
    }

    static enum baton_adapter_result attach(void *captured, void **attached)
    {
        snapshot *of = static_cast<snapshot *>(captured);
        borrowed *made = nullptr;
        try {
            Place now;

            if (of)
                made = of->spare.exchange(nullptr);
            if (!made)
                made = of ? new borrowed{of->contexts, of} : new borrowed{Contexts(), nullptr};
            if (find(of != nullptr, now))
                now.swap(made->contexts);
        } catch (...) {
            delete made;
            return BATON_ADAPTER_FAILED;
        }
        *attached = made;
        return BATON_ADAPTER_OK;
    }

    /* Ends what is whole again: it serves the next attach if the task has changed nothing. */
    static void end(borrowed *made)
    {
        Place returned{&made->contexts.nested, &made->contexts.mapped};
        borrowed *none = nullptr;

        if (!made->of || !are_equal(made->of->contexts, returned) ||
            !made->of->spare.compare_exchange_strong(none, made))
            delete made;
    }

    static void detach(void *attached)
    {
        borrowed *made = static_cast<borrowed *>(attached);
        try {
            Place now;

            if (find(!made->contexts.is_empty(), now))
                now.swap(made->contexts);
            end(made);
        } catch (...) {
            delete made;
        }
    }

    static void detach_at_end(void *attached)
    {
        borrowed *made = static_cast<borrowed *>(attached);
        try {
            Place now;

            if (find(false, now) &&
                (made->of ? are_equal(made->of->contexts, now) : now.is_empty()))
                now.swap(made->contexts);
        } catch (...) {
        }
        delete made;
    }

    static void exchange(void **state)
    {
        Contexts *other = static_cast<Contexts *>(*state);
        try {
            Place now;

            if (!find(other != nullptr, now) || (!other && now.is_empty()))
                return;
            if (!other)
                *state = other = new Contexts();
            now.swap(*other);
        } catch (...) {
            return;
        }
        if (other->is_empty()) {
            delete other;
            *state = nullptr;
        }
    }

    static void release(void *captured)
    {
        static_cast<snapshot *>(captured)->let_go();
    }
};

} // namespace
#endif
