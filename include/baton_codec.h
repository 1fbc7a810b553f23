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
 * (BATON_CODEC_WHEN where empty() is called otherwise.) `codec=string`, `codec=shared_ptr` and
 * `codec=map-string-string` need no file: baton has them for libstdc++ and libc++.
 *
 * Build it with the compiler and the standard library of the program. Every function may run in several threads at
 * once; no exception may leave one. The object is the thread's until its own destructor runs; afterwards
 * no function is called for it.
 */
#ifndef BATON_CODEC_H
#define BATON_CODEC_H

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an empty object in the calling thread's variable, and has it ended with the thread (what
 * __cxa_thread_atexit does). Only called for a variable of a function that has not run in this thread. */
typedef void baton_codec_construct(void *at);
/* A copy of the object, for contexts: it stays as it is. Also of a copy. NULL: the object is empty. */
typedef void *baton_codec_clone(const void *at);
/* From clone: the object has something, and there is no memory for a copy. The task runs without; counted. */
#define BATON_CODEC_FAILED ((void *)-1)
/* Gives the thread's object what the copy has; NULL: makes it empty. */
typedef void baton_codec_assign(void *at, const void *captured);
/* Ends a copy. */
typedef void baton_codec_destroy(void *captured);

/* Optional. Exchanges what the thread's object has for what *copy has (NULL: nothing). Answers 0 when there was no
 * memory, which may only be where *copy is NULL: both are then as they were. With it what a thread had
 * before a task is put back without any memory. */
typedef int baton_codec_exchange(void *at, void **copy);
/* Optional, a variable: sizeof the type. A thread_local of another size is refused. */
typedef const unsigned long baton_codec_size;

#ifdef __cplusplus
}

#include <new>

extern "C" int __cxa_thread_atexit(void (*)(void *), void *, void *);
extern "C" void *__dso_handle;

#define BATON_CODEC_EXPORT extern "C" __attribute__((visibility("default")))

/* The functions for TYPE, which has empty(), a default constructor, copies, and moves that throw nothing. */
#define BATON_CODEC(PREFIX, ...) BATON_CODEC_WHEN(PREFIX, object.empty(), __VA_ARGS__)

/* IS_EMPTY: of `object`, a const TYPE &. */
#define BATON_CODEC_WHEN(PREFIX, IS_EMPTY, ...)                                      \
    namespace                                                                        \
    {                                                                                \
    typedef __VA_ARGS__ PREFIX##_type;                                               \
    bool PREFIX##_is_empty(const PREFIX##_type &object)                              \
    {                                                                                \
        return IS_EMPTY;                                                             \
    }                                                                                \
    void PREFIX##_end(void *at)                                                      \
    {                                                                                \
        static_cast<PREFIX##_type *>(at)->~PREFIX##_type();                          \
    }                                                                                \
    }                                                                                \
    BATON_CODEC_EXPORT const unsigned long PREFIX##_size;                            \
    const unsigned long PREFIX##_size = sizeof(PREFIX##_type);                       \
    BATON_CODEC_EXPORT void PREFIX##_construct(void *at)                             \
    {                                                                                \
        new (at) PREFIX##_type;                                                      \
        __cxa_thread_atexit(PREFIX##_end, at, &__dso_handle);                        \
    }                                                                                \
    BATON_CODEC_EXPORT void *PREFIX##_clone(const void *at)                          \
    {                                                                                \
        try {                                                                        \
            const PREFIX##_type &object = *static_cast<const PREFIX##_type *>(at);   \
            return PREFIX##_is_empty(object) ? nullptr : new PREFIX##_type(object);  \
        } catch (...) {                                                              \
            return BATON_CODEC_FAILED;                                               \
        }                                                                            \
    }                                                                                \
    BATON_CODEC_EXPORT void PREFIX##_assign(void *at, const void *captured)          \
    {                                                                                \
        try {                                                                        \
            PREFIX##_type copy;                                                      \
            if (captured)                                                            \
                copy = *static_cast<const PREFIX##_type *>(captured);                \
            *static_cast<PREFIX##_type *>(at) = static_cast<PREFIX##_type &&>(copy); \
        } catch (...) {                                                              \
        }                                                                            \
    }                                                                                \
    BATON_CODEC_EXPORT int PREFIX##_exchange(void *at, void **copy)                  \
    {                                                                                \
        PREFIX##_type *object = static_cast<PREFIX##_type *>(at);                    \
        PREFIX##_type *other = static_cast<PREFIX##_type *>(*copy);                  \
        if (!other && PREFIX##_is_empty(*object))                                    \
            return 1;                                                                \
        try {                                                                        \
            if (!other)                                                              \
                other = new PREFIX##_type;                                           \
            PREFIX##_type held(static_cast<PREFIX##_type &&>(*object));              \
            *object = static_cast<PREFIX##_type &&>(*other);                         \
            *other = static_cast<PREFIX##_type &&>(held);                            \
        } catch (...) {                                                              \
            if (!*copy)                                                              \
                delete other;                                                        \
            return 0;                                                                \
        }                                                                            \
        if (PREFIX##_is_empty(*other)) {                                             \
            delete other;                                                            \
            other = nullptr;                                                         \
        }                                                                            \
        *copy = other;                                                               \
        return 1;                                                                    \
    }                                                                                \
    BATON_CODEC_EXPORT void PREFIX##_destroy(void *captured)                         \
    {                                                                                \
        delete static_cast<PREFIX##_type *>(captured);                               \
    }
#endif
#endif
