// The stack of contexts that a thread of OpenTelemetry C++ has (the default storage of RuntimeContext): a task finds
// what was active where it was handed over, attaches and detaches scopes of its own, and the thread has its own back.
//
// Built as it is, it needs none of their headers: a context is one nostd::shared_ptr of 32 bytes, whose functions are
// called by its table of virtual functions. Where they are built with OPENTELEMETRY_STL_VERSION (WITH_STL) it is another
// type, and this file is to be built once more, with the program's headers, flags and C++ library:
//     c++ -shared -fPIC -O2 -DOPENTELEMETRY_STL_VERSION=2017 -DOPENTELEMETRY_HEADERS opentelemetry.cc -o my_codec.so
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "baton_codec.h"

#ifdef OPENTELEMETRY_HEADERS
#include "opentelemetry/context/context.h"
typedef opentelemetry::context::Context context;
static bool is_known(const context &)
{
    return true;
}
#else
#include <dlfcn.h>

// A nostd::shared_ptr's first functions, in their order. Those of the program are called: none is made here.
struct pointer {
    virtual ~pointer() = 0;
    virtual void copy_to(void *to) const noexcept = 0;
};

struct context {
    void *words[4] = {};

    context() = default;
    context(const context &) = delete;
    ~context()
    {
        if (words[0])
            there()->~pointer();
    }
    // Only to one that was just made.
    context &operator=(const context &other)
    {
        other.there()->copy_to(words);
        return *this;
    }
    pointer *there() const
    {
        return reinterpret_cast<pointer *>(const_cast<void **>(words));
    }
};

// Does it begin with such a table, which some module has? A std::shared_ptr begins with what is on the heap: then no
// context is copied, which is counted, and none is ended.
static bool is_known(const context &context)
{
    static const bool known = [&] {
        Dl_info info;
        return dladdr(context.words[0], &info) != 0;
    }();
    return known;
}
#endif

// The library grows and ends BASE, by new[] and delete[] of an array whose elements have destructors.
struct stack {
    size_t size = 0, capacity = 0;
    context *base = nullptr;

    stack() = default;
    stack(const stack &other)
    {
        if (!other.size)
            return;
        if (!is_known(*other.base))
            throw std::runtime_error("built with OPENTELEMETRY_STL_VERSION");
        base = new context[other.size];
        size = capacity = other.size;
        for (size_t i = 0; i < size; i++)
            base[i] = other.base[i];
    }
    stack(stack &&other) noexcept
    {
        exchange(other);
    }
    stack &operator=(stack other) noexcept
    {
        exchange(other);
        return *this;
    }
    ~stack()
    {
        if (base && is_known(*base))
            delete[] base;
    }
    void exchange(stack &other) noexcept
    {
        std::swap(size, other.size);
        std::swap(capacity, other.capacity);
        std::swap(base, other.base);
    }
};

BATON_CODEC_WHEN(codec, !object.size, stack)
