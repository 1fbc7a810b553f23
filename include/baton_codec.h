/*
 * baton_codec.h: teach baton the type of a C++ thread_local object, for `tls:NAME,codec=FILE.so[:PREFIX]`.
 *
 * A codec is a shared object of your own that exports four functions, PREFIX_construct and so on (PREFIX is
 * "codec" when the item names none). It knows the type and nothing else: baton finds the variable, sees to
 * it that each thread has made its object before it is touched, and that the object ends with its thread.
 *
 *     c++ -shared -fPIC my_codec.cc -o my_codec.so
 *     baton run --carry 'tls:_ZN3app3mdcE,codec=/path/to/my_codec.so' -- ./program
 *
 * For a type that can be copied and that its own default means "empty", one line does:
 *
 *     #include <baton_codec.h>
 *     BATON_CODEC(codec, std::map<std::string, std::string>)
 *
 * Build it with the compiler and the standard library of the program. Every function may run in several threads at
 * once; no exception may leave one.
 */
#ifndef BATON_CODEC_H
#define BATON_CODEC_H

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an empty object in the calling thread's variable, and has it ended with the thread (what
 * __cxa_thread_atexit does). Only called for a variable of a function that has not run in this thread. */
typedef void baton_codec_construct(void *at);
/* A copy of the object, for contexts: it stays as it is. NULL: the object is empty. */
typedef void *baton_codec_clone(const void *at);
/* Gives the thread's object what the copy has; NULL: makes it empty. */
typedef void baton_codec_assign(void *at, const void *captured);
/* Ends a copy. */
typedef void baton_codec_destroy(void *captured);

#ifdef __cplusplus
}

#include <new>

extern "C" int __cxa_thread_atexit(void (*)(void *), void *, void *);
extern "C" void *__dso_handle;

/* The four functions for TYPE, which has empty(), a default constructor, and copies. */
#define BATON_CODEC(PREFIX, ...)                                                                 \
    namespace                                                                                    \
    {                                                                                            \
    typedef __VA_ARGS__ PREFIX##_type;                                                           \
    void PREFIX##_end(void *at)                                                                  \
    {                                                                                            \
        static_cast<PREFIX##_type *>(at)->~PREFIX##_type();                                      \
    }                                                                                            \
    }                                                                                            \
    extern "C" __attribute__((visibility("default"))) void PREFIX##_construct(void *at)          \
    {                                                                                            \
        new (at) PREFIX##_type;                                                                  \
        __cxa_thread_atexit(PREFIX##_end, at, &__dso_handle);                                    \
    }                                                                                            \
    extern "C" __attribute__((visibility("default"))) void *PREFIX##_clone(const void *at)       \
    {                                                                                            \
        try {                                                                                    \
            const PREFIX##_type *object = static_cast<const PREFIX##_type *>(at);                \
            return object->empty() ? nullptr : new PREFIX##_type(*object);                       \
        } catch (...) {                                                                          \
            return nullptr;                                                                      \
        }                                                                                        \
    }                                                                                            \
    extern "C" __attribute__((visibility("default"))) void PREFIX##_assign(void *at,             \
                                                                           const void *captured) \
    {                                                                                            \
        try {                                                                                    \
            PREFIX##_type copy;                                                                  \
            if (captured)                                                                        \
                copy = *static_cast<const PREFIX##_type *>(captured);                            \
            *static_cast<PREFIX##_type *>(at) = static_cast<PREFIX##_type &&>(copy);             \
        } catch (...) {                                                                          \
        }                                                                                        \
    }                                                                                            \
    extern "C" __attribute__((visibility("default"))) void PREFIX##_destroy(void *captured)      \
    {                                                                                            \
        delete static_cast<PREFIX##_type *>(captured);                                           \
    }
#endif
#endif
