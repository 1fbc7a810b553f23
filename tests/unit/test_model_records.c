/*
 * Records and their chunks in every interleaving (context/pool/record.c): a chunk is used again when all of its records
 * are freed, by whomever, and not before.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/lock.h"
#include "model.h"

static void step(void);
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(place, more, order) \
    __extension__({                                   \
        __typeof__(*(place) + 0) was_;                \
                                                      \
        step();                                       \
        was_ = *(place);                              \
        *(place) = was_ + (more);                     \
        was_;                                         \
    })

/* What is done under the lock is done at once; before it others may go on. */
static bool is_locked;

#define lock_take(lock) (step(), is_locked = true)
#define lock_drop(lock) ((void)(is_locked = false))
#include "context/pool/record.c"
#undef lock_take
#undef lock_drop

#include "context/thread.h"
#include "suite.h"

enum { LAST = 3, MORE = 2, RECORDS = LAST + MORE, THREADS = 3 };

static struct thread *blocks[THREADS];
static struct record *waiting[RECORDS]; /* to be freed */
static bool is_used[RECORDS];
static struct record *places[RECORDS];
static unsigned given, made;

static void step(void)
{
    int self = model_state.current;

    if (self < 0)
        return;
    model_step();
    thread_self = blocks[self];
}

/* The last records of a chunk, then those of another. */
static void maker(void)
{
    thread_self = blocks[0];
    for (made = 0; made < RECORDS; made++) {
        struct record *record = record_new();

        ck_assert_ptr_nonnull(record);
        for (unsigned i = 0; i < made; i++)
            ck_assert(places[i] != record || !is_used[i]);
        places[made] = waiting[made] = record;
        is_used[made] = true;
        step();
    }
}

static void free_of(struct thread *thread)
{
    thread_self = thread;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *record = waiting[i];

        if (!record)
            continue;
        waiting[i] = NULL;
        is_used[i] = false;
        record_free(record);
    }
}

static void freer(void)
{
    free_of(blocks[model_state.current]);
    record_flush(thread_self);
}

/* Keeps what it has freed of the last chunk to itself. */
static void slow_freer(void)
{
    free_of(blocks[model_state.current]);
}

/* All but the last records of the maker's chunk have been freed. */
static void reset(void)
{
    struct record_chunk *chunk = record_chunk_take();

    ck_assert_ptr_nonnull(chunk);
    atomic_store(&chunk->freed, RECORDS_IN_CHUNK - LAST);
    blocks[0]->records.next = chunk->records[RECORDS_IN_CHUNK - LAST];
    blocks[0]->records.end = chunk->records[0] + sizeof chunk->records;
    memset(waiting, 0, sizeof waiting);
    memset(is_used, 0, sizeof is_used);
    memset(places, 0, sizeof places);
    given = 0;
}

static unsigned free_chunks(void)
{
    const struct group *lists[] = {groups_partial, groups_warm, groups_cold};
    unsigned count = 0;

    for (unsigned i = 0; i < 3; i++) {
        for (const struct group *group = lists[i]; group; group = group->next)
            count += (unsigned)__builtin_popcount(group->free);
    }
    return count;
}

/* What the maker has left of its second chunk was never handed out: it goes back by hand. */
static void check(void)
{
    struct record_chunk *last = record_chunk_of(places[RECORDS - 1]);
    unsigned before;

    free_of(blocks[1]);
    for (int i = 0; i < THREADS; i++)
        record_flush(blocks[i]);
    ck_assert(last != record_chunk_of(places[0]) || is_used[0] == false);
    ck_assert_uint_eq(atomic_load(&last->freed), MORE);
    before = free_chunks();
    blocks[0]->records.next = blocks[0]->records.end = NULL;
    record_chunk_give(last);
    ck_assert_uint_eq(free_chunks(), before + 1);
    ck_assert_uint_eq(free_chunks() % (REGION_CHUNKS - 1), 0); /* all of them, none twice */
    ck_assert(!is_locked);
}

static void explore(void (*one)(void), void (*two)(void))
{
    struct model model = {{maker, one, two}, reset, check};

    for (int i = 0; i < THREADS; i++) {
        thread_self = &thread_unknown;
        blocks[i] = thread_begin();
        ck_assert_ptr_nonnull(blocks[i]);
    }
    ck_assert_uint_gt(model_explore(&model), 100);
}

START_TEST(test_model_records_freed_by_two)
{
    explore(freer, freer);
}
END_TEST

START_TEST(test_model_records_told_late)
{
    explore(freer, slow_freer);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model_records");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_model_records_freed_by_two);
    tcase_add_test(tests, test_model_records_told_late);
    return suite_run("model_records", tests);
}
