/*
 * memcpy and its kin for ourselves.
 *
 * The C library's are interposed by sanitizers and by programs with an allocator or checker of their
 * own: through them our memory would be reported on, and a hook could run foreign code. These are
 * hidden: nobody else sees them. The empty asm keeps the compiler from turning a loop back into a
 * call of the function that it is in. Names in parentheses are macros in newer C libraries.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KEEP_LOOP() __asm__ volatile("" ::: "memory")

typedef uint64_t __attribute__((may_alias, aligned(1))) word;
/* Several at once; no vector register, because some callers may not touch one. */
typedef struct {
    word at[4];
} words;

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    char *out = to;
    const char *in = from;

    for (; size >= sizeof(words);
         size -= sizeof(words), out += sizeof(words), in += sizeof(words)) {
        words *there = (words *)(void *)out;
        const words *here = (const words *)(const void *)in;
        word one = here->at[0], two = here->at[1], three = here->at[2], four = here->at[3];

        there->at[0] = one;
        KEEP_LOOP(); /* or they would be joined in a vector */
        there->at[1] = two;
        KEEP_LOOP();
        there->at[2] = three;
        KEEP_LOOP();
        there->at[3] = four;
        KEEP_LOOP();
    }
    for (; size >= sizeof(word); size -= sizeof(word), out += sizeof(word), in += sizeof(word)) {
        *(word *)(void *)out = *(const word *)(const void *)in;
        KEEP_LOOP();
    }
    if (size && out - (char *)to >= (ptrdiff_t)sizeof(word)) { /* the last word, some of it again */
        *(word *)(void *)(out + size - sizeof(word)) =
            *(const word *)(const void *)(in + size - sizeof(word));
        return to;
    }
    while (size--) {
        *out++ = *in++;
        KEEP_LOOP();
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    char *out = to;
    const char *in = from;

    if ((uintptr_t)out - (uintptr_t)in < size) { /* upwards, into what is still to be read */
        while (size--) {
            out[size] = in[size];
            KEEP_LOOP();
        }
        return to;
    }
    for (; size; size--, out++, in++) {
        *out = *in;
        KEEP_LOOP();
    }
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    char *out = to;
    word pattern = (unsigned char)byte * UINT64_C(0x0101010101010101);

    for (; size >= sizeof(words); size -= sizeof(words), out += sizeof(words)) {
        words *there = (words *)(void *)out;

        there->at[0] = pattern;
        KEEP_LOOP();
        there->at[1] = pattern;
        KEEP_LOOP();
        there->at[2] = pattern;
        KEEP_LOOP();
        there->at[3] = pattern;
        KEEP_LOOP();
    }
    for (; size >= sizeof(word); size -= sizeof(word), out += sizeof(word)) {
        *(word *)(void *)out = pattern;
        KEEP_LOOP();
    }
    while (size--) {
        *out++ = (char)byte;
        KEEP_LOOP();
    }
    return to;
}

int memcmp(const void *one, const void *other, size_t size)
{
    const unsigned char *a = one, *b = other;

    for (; size >= sizeof(words); size -= sizeof(words), a += sizeof(words), b += sizeof(words)) {
        const words *x = (const words *)(const void *)a, *y = (const words *)(const void *)b;

        if ((x->at[0] ^ y->at[0]) | (x->at[1] ^ y->at[1]) | (x->at[2] ^ y->at[2]) |
            (x->at[3] ^ y->at[3]))
            break;
        KEEP_LOOP();
    }
    for (; size >= sizeof(word); size -= sizeof(word), a += sizeof(word), b += sizeof(word)) {
        if (*(const word *)(const void *)a != *(const word *)(const void *)b)
            break;
        KEEP_LOOP();
    }
    for (; size; size--, a++, b++) {
        if (*a != *b)
            return *a < *b ? -1 : 1;
        KEEP_LOOP();
    }
    return 0;
}

void *(memchr)(const void *in, int byte, size_t size)
{
    const unsigned char *c = in;

    for (; size; size--, c++) {
        if (*c == (unsigned char)byte)
            return (void *)(uintptr_t)c;
        KEEP_LOOP();
    }
    return NULL;
}

void *(memrchr)(const void *in, int byte, size_t size)
{
    const unsigned char *c = in;

    while (size--) {
        if (c[size] == (unsigned char)byte)
            return (void *)(uintptr_t)(c + size);
        KEEP_LOOP();
    }
    return NULL;
}

size_t strlen(const char *text)
{
    const char *end = text;

    for (;; end += 4) { /* one behind the other: nothing behind the end may be read */
        if (!end[0])
            return (size_t)(end - text);
        if (!end[1])
            return (size_t)(end + 1 - text);
        if (!end[2])
            return (size_t)(end + 2 - text);
        if (!end[3])
            return (size_t)(end + 3 - text);
        KEEP_LOOP();
    }
}

size_t strnlen(const char *text, size_t max)
{
    size_t len = 0;

    while (len < max && text[len]) {
        len++;
        KEEP_LOOP();
    }
    return len;
}

int strcmp(const char *one, const char *other)
{
    for (; *one && *one == *other; one++, other++)
        KEEP_LOOP();
    return (unsigned char)*one - (unsigned char)*other;
}

int strncmp(const char *one, const char *other, size_t max)
{
    for (; max; max--, one++, other++) {
        if (*one != *other || !*one)
            return (unsigned char)*one - (unsigned char)*other;
        KEEP_LOOP();
    }
    return 0;
}

char *(strchr)(const char *text, int c)
{
    for (;; text++) {
        char here = *text;

        if (here == (char)c)
            return (char *)(uintptr_t)text;
        if (!here)
            return NULL;
        KEEP_LOOP();
    }
}

char *(strrchr)(const char *text, int c)
{
    const char *last = NULL;

    for (;; text++) {
        char here = *text;

        if (here == (char)c)
            last = text;
        if (!here)
            return (char *)(uintptr_t)last;
        KEEP_LOOP();
    }
}

size_t strcspn(const char *text, const char *stops)
{
    size_t len = 0;

    if (stops[0] && !stops[1]) {
        const char *end = text;

        for (char stop = stops[0], here; (here = *end) != '\0' && here != stop; end++)
            KEEP_LOOP();
        return (size_t)(end - text);
    }
    for (; text[len]; len++) {
        for (const char *stop = stops; *stop; stop++) {
            if (text[len] == *stop)
                return len;
            KEEP_LOOP();
        }
    }
    return len;
}

size_t strspn(const char *text, const char *kept)
{
    size_t len = 0;

    while (text[len] && strchr(kept, text[len]))
        len++;
    return len;
}

char *(strpbrk)(const char *text, const char *stops)
{
    text += strcspn(text, stops);
    return *text ? (char *)(uintptr_t)text : NULL;
}

char *(strstr)(const char *text, const char *part)
{
    size_t len = strlen(part);

    if (!len)
        return (char *)(uintptr_t)text;
    for (; *text; text++) {
        if (*text == *part && strncmp(text, part, len) == 0)
            return (char *)(uintptr_t)text;
        KEEP_LOOP();
    }
    return NULL;
}

char *strcpy(char *restrict to, const char *restrict from)
{
    memcpy(to, from, strlen(from) + 1);
    return to;
}
