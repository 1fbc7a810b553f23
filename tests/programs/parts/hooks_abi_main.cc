// Calls every function of hooks_abi.h and compares; each WRONG line is a register or a word of the
// stack that did not arrive. usage: hooks_abi_main [tls]
#include "hooks_abi.h"
#include <cmath>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <unistd.h>

pthread_key_t request_key;
__thread long request_id;
static int wrong;

static void expect(const char *what, bool is_right)
{
    if (!is_right) {
        std::printf("%s WRONG\n", what);
        wrong++;
    }
}

static void integers()
{
    expect("ints", abi_ints(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) == 650);
    expect("doubles", abi_doubles(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) == 396);
    two_ints ints = abi_two_ints(5);
    expect("two ints", ints.a == 6 && ints.b == 7);
    two_doubles doubles = abi_two_doubles(5);
    expect("two doubles", doubles.a == 6 && doubles.b == 7);
    mixed both = abi_mixed(5, 6);
    expect("mixed", both.a == 6 && both.b == 8);
    big result = abi_big_result(10);
    expect("big result", result.words[0] == 10 && result.words[8] == 18);
    expect("big argument", abi_big_argument(result, 7) == 133);
    expect("long double", abi_long_double(1.5L, 4) == 7.0L);
    __complex__ long double number;
    __real__ number = 1.5L;
    __imag__ number = 2.5L;
    number = abi_complex(number);
    expect("complex", __real__ number == 4.5L && __imag__ number == 7.5L);
    expect("variadic", abi_variadic(15, 1L, 2.0, 3L, 4.0, 5L, 6.0, 7L, 8.0, 9L, 10.0, 11L, 12.0, 13L, 14.0, 15L) == 120);
    expect("recursion", abi_recurse(500) == 500);
}

#if defined(__x86_64__)
__attribute__((target("avx"))) static void avx()
{
    __m256d a = _mm256_set_pd(1, 2, 3, 4), b = _mm256_set_pd(10, 20, 30, 40);
    double got[4];
    _mm256_storeu_pd(got, abi_avx(a, b));
    expect("avx", got[0] == 44 && got[1] == 33 && got[2] == 22 && got[3] == 11);
}

__attribute__((target("avx512f"))) static void avx512()
{
    double in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, got[8];
    __m512d a = _mm512_loadu_pd(in);
    _mm512_storeu_pd(got, abi_avx512(a, a));
    for (int i = 0; i < 8; i++)
        expect("avx512", got[i] == 2 * in[i]);
}

// Every register that a callee may write, before and after a call of a function that writes none.
struct registers {
    unsigned long general[9];
    unsigned char vector[16][32];
};

static void registers_kept(bool has_avx)
{
    static registers before, after;
    for (size_t i = 0; i < sizeof before; i++)
        reinterpret_cast<unsigned char *>(&before)[i] = static_cast<unsigned char>(i * 7 + 3);
    before.general[6] = 5; // an item, not a pointer: rdi
    // clang-format off
#define EACH_VECTOR(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD(n) "vmovdqu 72+32*" #n "(%%rbx), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", 72+32*" #n "(%%r12)\n"
#define LOAD_OLD(n) "movups 72+32*" #n "(%%rbx), %%xmm" #n "\n"
#define STORE_OLD(n) "movups %%xmm" #n ", 72+32*" #n "(%%r12)\n"
#define GENERAL_LOAD                                                                         \
    "movq 0(%%rbx),%%rax\n movq 8(%%rbx),%%rcx\n movq 16(%%rbx),%%rdx\n movq 24(%%rbx),%%r8\n" \
    "movq 32(%%rbx),%%r9\n movq 40(%%rbx),%%rsi\n movq 48(%%rbx),%%rdi\n movq 56(%%rbx),%%r10\n" \
    "movq 64(%%rbx),%%r11\n"
#define GENERAL_STORE                                                                        \
    "movq %%rax,0(%%r12)\n movq %%rcx,8(%%r12)\n movq %%rdx,16(%%r12)\n movq %%r8,24(%%r12)\n" \
    "movq %%r9,32(%%r12)\n movq %%rsi,40(%%r12)\n movq %%rdi,48(%%r12)\n movq %%r10,56(%%r12)\n" \
    "movq %%r11,64(%%r12)\n"
#define CALL "leaq -256(%%rsp), %%rsp\n call *%%r13\n leaq 256(%%rsp), %%rsp\n"
#define CLOBBERS "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "xmm0", "xmm1", "xmm2", \
    "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
    // clang-format on
    for (int round = 0; round < 3; round++) {
        std::memset(&after, 0, sizeof after);
        registers *in = &before, *out = &after;
        void (*function)() = abi_nothing;
        register registers *rbx_ __asm__("rbx") = in;
        register registers *r12_ __asm__("r12") = out;
        register void (*r13_)() __asm__("r13") = function;
        if (has_avx)
            __asm__ volatile(EACH_VECTOR(LOAD) GENERAL_LOAD CALL GENERAL_STORE EACH_VECTOR(STORE) "vzeroupper\n"
                             : "+r"(rbx_), "+r"(r12_), "+r"(r13_)::CLOBBERS);
        else
            __asm__ volatile(EACH_VECTOR(LOAD_OLD) GENERAL_LOAD CALL GENERAL_STORE EACH_VECTOR(STORE_OLD)
                             : "+r"(rbx_), "+r"(r12_), "+r"(r13_)::CLOBBERS);
        for (int i = 0; i < 9; i++)
            expect("general register", before.general[i] == after.general[i]);
        for (int i = 0; i < 16; i++)
            expect("vector register", !std::memcmp(before.vector[i], after.vector[i], has_avx ? 32 : 16));
    }
}

static void vectors()
{
    if (__builtin_cpu_supports("avx"))
        avx();
    if (__builtin_cpu_supports("avx512f"))
        avx512();
    registers_kept(__builtin_cpu_supports("avx"));
}
#else
// As on x86-64; x16 and x17 may be lost in any call that the loader resolves.
static void vectors()
{
    struct registers {
        unsigned long general[17];
        unsigned long unused;
        unsigned char vector[32][16];
    };
    static registers before, after;
    for (size_t i = 0; i < sizeof before; i++)
        reinterpret_cast<unsigned char *>(&before)[i] = static_cast<unsigned char>(i * 7 + 3);
    before.general[0] = 5; // an item, not a pointer
    // clang-format off
#define PAIRS(X) X(0, 1) X(2, 3) X(4, 5) X(6, 7) X(8, 9) X(10, 11) X(12, 13) X(14, 15)
#define MORE_PAIRS(X) X(16, 17) X(18, 19) X(20, 21) X(22, 23) X(24, 25) X(26, 27) X(28, 29) X(30, 31)
#define LOAD_X(a, b) "ldp x" #a ", x" #b ", [x20, 8*" #a "]\n"
#define LOAD_Q(a, b) "ldp q" #a ", q" #b ", [x22, 16*" #a "]\n"
#define STORE_X(a, b) "stp x" #a ", x" #b ", [x21, 8*" #a "]\n"
#define STORE_Q(a, b) "stp q" #a ", q" #b ", [x22, 16*" #a "]\n"
    // clang-format on
    for (int round = 0; round < 3; round++) {
        std::memset(&after, 0, sizeof after);
        register registers *in __asm__("x20") = &before;
        register registers *out __asm__("x21") = &after;
        register void (*function)() __asm__("x23") = abi_nothing;
        __asm__ volatile("add x22, x20, 144\n" PAIRS(LOAD_Q) MORE_PAIRS(LOAD_Q) PAIRS(LOAD_X)
                         "ldr x18, [x20, 128]\n blr x23\n str x18, [x21, 128]\n" PAIRS(STORE_X)
                         "add x22, x21, 144\n" PAIRS(STORE_Q) MORE_PAIRS(STORE_Q)
                         : "+r"(in), "+r"(out), "+r"(function)
                         :
                         : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                           "x14", "x15", "x16", "x17", "x18", "x22", "x30", "memory", "v0", "v1", "v2", "v3", "v4",
                           "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                           "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
                           "v31");
        for (int i = 0; i < 17; i++)
            expect("general register", before.general[i] == after.general[i]);
        for (int i = 0; i < 32; i++)
            expect("vector register", !std::memcmp(before.vector[i], after.vector[i], 16));
    }
}
#endif

static long throws(long value)
{
    if (value > 0)
        return abi_callback(throws, value - 1);
    throw std::runtime_error("out");
}

static jmp_buf out;
static long jumps(long value)
{
    if (value > 0)
        return abi_callback(jumps, value - 1);
    longjmp(out, 1);
}

static long exits(long)
{
    pthread_exit(reinterpret_cast<void *>(77));
}

static void *thread_body(void *)
{
    abi_callback(exits, 0);
    return nullptr;
}

static long waits(long)
{
    for (;;)
        pause();
}

static void *waiting_body(void *)
{
    abi_callback(waits, 0);
    return nullptr;
}

static int cleaned;
static long nested(long value)
{
    struct Guard {
        ~Guard() { cleaned++; }
    } guard;
    try {
        abi_callback(throws, value);
    } catch (const std::exception &) {
        throw;
    }
    return 0;
}

static void ways_out()
{
    for (int i = 0; i < 200; i++) {
        bool caught = false;
        try {
            abi_callback(nested, 3);
        } catch (const std::runtime_error &) {
            caught = true;
        }
        expect("throw", caught);
    }
    expect("destructors", cleaned == 200);
    cleaned = 0;
    for (volatile int i = 0; i < 2000; i++)
        if (!setjmp(out))
            abi_callback(jumps, 2);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, nullptr, thread_body, nullptr);
        pthread_join(thread, &result);
        expect("pthread_exit", result == reinterpret_cast<void *>(77));
        pthread_create(&thread, nullptr, waiting_body, nullptr);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        expect("cancel", result == PTHREAD_CANCELED);
    }
}

int main(int argc, char **argv)
{
    pthread_key_create(&request_key, nullptr);
    for (long value = 0; value < 3; value++) {
        if (argc > 1)
            request_id = value;
        else
            pthread_setspecific(request_key, reinterpret_cast<void *>(value));
        integers();
        vectors();
        ways_out();
    }
    std::printf(wrong ? "WRONG\n" : "RIGHT\n");
    return wrong != 0;
}
