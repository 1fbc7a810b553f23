// promise: a trace's times are of CLOCK_MONOTONIC, by the processor's counter and by the kernel's clock
/*
 * With a clock's name and a file it makes that file, a trace of three handoffs, and prints between which times
 * each was noted down: test_trace.py has it converted.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/arch.h"
#include "interpose/hooks.h"
#include "observe/store.h"
#include "observe/store_parts.h"
#include "suite.h"
#include "userhooks/named.h"

enum { HANDOFFS = 3, SUBMIT_WORDS = 4 };

/* What names a file has of the rooms above. */
unsigned named_count;
struct named_hook *named_hooks;

const char *family_name(enum family family)
{
    return family == 0 ? "one" : "other";
}

const char *hooks_name(enum hook_id hook)
{
    return hook == 0 ? "call" : "none";
}

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Large as they are, a look for leaks would read all of them. */
static void unmap(void)
{
    munmap(store_live, store_live->handoffs_at + (size_t)LIVE_HANDOFFS * sizeof(struct handoff));
    munmap(store_trace, store_trace->chunks_at + (size_t)store_trace->chunk_count * TRACE_CHUNK);
}

/* Both clocks read what they shall, and the file says which. */
static void check_clock(bool has_ticks)
{
    char path[] = "/tmp/clock-XXXXXX";
    int fd = mkstemp(path);
    uint64_t before, after;
    struct trace_anchor anchor;

    ck_assert_int_ge(fd, 0);
    close(fd);
    store_has_ticks = has_ticks;
    before = now();
    ck_assert(store_open(path, 1, false));
    after = now();
    ck_assert_uint_eq(store_trace->clock, has_ticks ? TRACE_CLOCK_TICKS : TRACE_CLOCK_NS);
    ck_assert_uint_eq(store_live->clock, store_trace->clock);
    ck_assert_uint_ge(store_trace->first.ns, before);
    ck_assert_uint_le(store_trace->first.ns, after);
    before = has_ticks ? arch_ticks() : now();
    anchor = store_anchor();
    after = has_ticks ? arch_ticks() : now();
    ck_assert_uint_ge(anchor.ticks, before);
    ck_assert_uint_le(anchor.ticks, after);
    ck_assert(has_ticks || anchor.ticks == anchor.ns);
    before = has_ticks ? arch_ticks() : now();
    anchor.ticks = store_ticks_slow();
    after = has_ticks ? arch_ticks() : now();
    ck_assert_uint_ge(anchor.ticks, before);
    ck_assert_uint_le(anchor.ticks, after);
    before = now();
    store_close();
    after = now();
    ck_assert_uint_ge(store_trace->last.ns, before);
    ck_assert_uint_le(store_trace->last.ns, after);
    unlink(path);
    unmap();
}

START_TEST(test_clock_of_the_kernel)
{
    check_clock(false);
}
END_TEST

START_TEST(test_clock_of_the_processor)
{
    if (arch_has_ticks())
        check_clock(true);
}
END_TEST

/* Submissions, on the clock of that name; 77: this machine has none such. */
static int make_file(const char *clock, const char *file)
{
    struct trace_chunk *chunk;
    uint64_t *record;

    store_has_ticks = strcmp(clock, "processor") == 0;
    if (store_has_ticks && !arch_has_ticks())
        return 77;
    if (!store_open(file, 1, false) || !(chunk = store_chunk()))
        return 1;
    chunk->ring = chunk->sequence = 1;
    chunk->tid = (uint32_t)getpid();
    chunk->anchor = store_anchor();
    chunk->used = TRACE_CHUNK;
    record = (uint64_t *)(void *)(chunk + 1);
    for (uint64_t id = 1; id <= HANDOFFS; id++, record += SUBMIT_WORDS) {
        uint64_t before = now();

        record[0] = TRACE_WORD(TRACE_SUBMIT, SUBMIT_WORDS, 0, 0);
        record[1] = store_ticks_slow();
        printf("%llu %llu %llu\n", (unsigned long long)before, (unsigned long long)record[1],
               (unsigned long long)now());
        record[2] = id;
        usleep(2000);
    }
    store_close();
    return 0;
}

int main(int argc, char **argv)
{
    TCase *tests = tcase_create("trace_clock");

    if (argc == 3)
        return make_file(argv[1], argv[2]);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_clock_of_the_kernel);
    tcase_add_test(tests, test_clock_of_the_processor);
    return suite_run("trace_clock", tests);
}
