/* Records of handoffs: made in one thread, freed in another, their memory used again. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "context/pool/slab.h"
#include "context/pool/record.h"
#include "context/thread.h"
#include "suite.h"

START_TEST(test_record_is_its_own)
{
    enum { COUNT = 3 * RECORDS_IN_CHUNK };
    static struct record *records[COUNT];

    for (uintptr_t i = 0; i < COUNT; i++) {
        records[i] = record_new();
        ck_assert_ptr_nonnull(records[i]);
        *records[i] = (struct record){(void *)i, (void *)(i + 1), (struct context *)(i + 2)};
    }
    for (uintptr_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq((uintptr_t)records[i]->function, i);
        ck_assert_uint_eq((uintptr_t)records[i]->data, i + 1);
        ck_assert_uint_eq((uintptr_t)records[i]->context, i + 2);
        record_free(records[i]);
    }
    ck_assert_uint_eq(thread_self->records.made, COUNT);
    ck_assert_uint_eq(thread_self->records.freed + thread_self->records.untold, COUNT);
}
END_TEST

/* Callbacks may get a small number where a record is looked for first; who has freed no record, or none since, knows none. */
START_TEST(test_record_small_number_is_none)
{
    for (uintptr_t number = 0; number < 3 * RECORD_CHUNK_SIZE; number += 5)
        ck_assert(!record_is_near(thread_self, (const struct record *)number));
    record_free(record_new());
    ck_assert(thread_self->records.freed_last != 0);
    record_flush(thread_self);
    ck_assert(!record_is_near(thread_self, (const struct record *)15));
}
END_TEST

static size_t resident_pages(void)
{
    size_t total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%zu %zu", &total, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident;
}

START_TEST(test_record_memory_is_used_again)
{
    size_t before = 0;

    for (unsigned round = 0; round < 200; round++) {
        static struct record *records[5000];

        for (unsigned i = 0; i < 5000; i++)
            records[i] = record_new();
        for (unsigned i = 0; i < 5000; i++)
            record_free(records[i]);
        if (round == 20)
            before = resident_pages();
    }
    ck_assert_uint_lt(resident_pages(), before + 64);
}
END_TEST

/* A queue of one producer and one consumer. */
enum { ROOM = 1024 };
static struct record *queue[ROOM];
static _Atomic size_t pushed, popped;
static const size_t transfers = 1000000;

static void *consume(void *arg)
{
    uintptr_t wrong = 0;

    thread_enter();
    for (size_t i = 0; i < transfers; i++) {
        struct record *record;

        while (atomic_load_explicit(&pushed, memory_order_acquire) == i)
            sched_yield();
        record = queue[i % ROOM];
        wrong += record->function != (void *)i || record->data != (void *)~i;
        record_free(record);
        atomic_store_explicit(&popped, i + 1, memory_order_release);
    }
    thread_leave(thread_self);
    return (void *)wrong;
}

/* Many in flight at once, then none. Answers the pages beyond `before`. */
static long burst(size_t before)
{
    enum { COUNT = 200000 };
    static struct record *records[COUNT];

    for (unsigned i = 0; i < COUNT; i++)
        records[i] = record_new();
    for (unsigned i = 0; i < COUNT; i++)
        record_free(records[i]);
    record_flush(thread_self);
    return (long)resident_pages() - (long)before;
}

START_TEST(test_record_bursts_that_repeat_keep_pages)
{
    enum { PAGES = 200000 / 170, FEW = 200 };
    struct timespec pause = {1, 100000000};
    size_t before;

    burst(0); /* the table itself */
    before = resident_pages();
    nanosleep(&pause, NULL);
    ck_assert_int_lt(burst(before), FEW);
    ck_assert_int_gt(burst(before), PAGES / 2);
    ck_assert_int_gt(burst(before), PAGES / 2);
    nanosleep(&pause, NULL);
    for (unsigned i = 0; i < 2 * RECORDS_IN_CHUNK; i++)
        record_free(record_new());
    ck_assert_int_lt((long)resident_pages() - (long)before, FEW); /* nothing needed them */
}
END_TEST

START_TEST(test_record_crosses_threads)
{
    pthread_t consumer;
    void *wrong;
    size_t before = 0;

    pthread_create(&consumer, NULL, consume, NULL);
    for (size_t i = 0; i < transfers; i++) {
        struct record *record = record_new(); /* an assertion a round would be Check's memory */

        if (!record)
            abort();
        record->function = (void *)i;
        record->data = (void *)~i;
        while (i - atomic_load_explicit(&popped, memory_order_acquire) == ROOM)
            sched_yield();
        queue[i % ROOM] = record;
        atomic_store_explicit(&pushed, i + 1, memory_order_release);
        if (i == transfers / 10)
            before = resident_pages();
    }
    pthread_join(consumer, &wrong);
    ck_assert_ptr_null(wrong);
    ck_assert_uint_lt(resident_pages(), before + 256);
}
END_TEST

/* Chunks that were full of slab objects, many given back at once, hold records then: which are counted, and
 * not taken for the reserve's. */
START_TEST(test_record_chunks_that_held_slab_objects)
{
    enum { OBJECTS = 20000, RECORDS = 60 * RECORDS_IN_CHUNK };
    static void *slab_objects[OBJECTS];
    static struct record *records[RECORDS];
    size_t before = 0, of_reserve = 0;

    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < OBJECTS; i++)
            slab_objects[i] = slab_new();
        for (unsigned i = 0; i < OBJECTS; i++) /* a batch then empties two chunks */
            slab_free(slab_objects[(i % 2) * (OBJECTS / 2) + i / 2]);
        slab_flush(thread_self);
        for (unsigned i = 0; i < RECORDS; i++)
            records[i] = record_new();
        for (unsigned i = 0; i < RECORDS; i++) {
            of_reserve += ((uint32_t *)record_chunk_of(records[i]))[1] != 0;
            record_free(records[i]);
        }
        record_flush(thread_self);
        if (round == 5)
            before = resident_pages();
    }
    ck_assert_uint_eq(of_reserve, 0);
    ck_assert_uint_lt(resident_pages(), before + 64);
}
END_TEST

START_TEST(test_record_new_sure_answers)
{
    struct record *record = record_new_sure();

    ck_assert_ptr_nonnull(record);
    record_free(record);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("record");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_record_is_its_own);
    tcase_add_test(tests, test_record_small_number_is_none);
    tcase_add_test(tests, test_record_memory_is_used_again);
    tcase_add_test(tests, test_record_bursts_that_repeat_keep_pages);
    tcase_add_test(tests, test_record_crosses_threads);
    tcase_add_test(tests, test_record_chunks_that_held_slab_objects);
    tcase_add_test(tests, test_record_new_sure_answers);
    return suite_run("record", tests);
}
