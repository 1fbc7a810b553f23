// promise: discover calls a value context for all of the evidence, and says of every other one what it lacks
#include "../../scripts/discover/evidence.c"
#include "suite.h"

/* A key and a variable that have everything: a request's, of which there are many. */
static const struct seen whole = {
    .pairs = 40,
    .differs = 40,
    .values_count = VALUES_MAX,
    .threads_count = 1,
    .varied = 39,
    .tasks = 40,
    .got_first = 40,
    .set_blindly = 40,
};

static void lacks(const struct seen *seen, bool is_key, const char *what)
{
    unsigned rank;

    ck_assert_pstr_eq(evidence_lacks(seen, is_key, true, &rank), what);
}

START_TEST(test_evidence_all_of_it)
{
    lacks(&whole, true, NULL);
    lacks(&whole, false, NULL);
}
END_TEST

START_TEST(test_evidence_only_where_a_pool_was_given_work_twice)
{
    struct seen seen = whole;
    unsigned rank;

    ck_assert_ptr_nonnull(evidence_lacks(&seen, true, false, &rank));
    ck_assert_int_eq(rank, 0);
    seen.pairs = seen.differs = 1;
    lacks(&seen, true, "was not seen where work was handed over");
}
END_TEST

START_TEST(test_evidence_of_one_value)
{
    struct seen seen = whole;

    seen.values_count = 1;
    lacks(&seen, false, "the same at every handoff");
}
END_TEST

START_TEST(test_evidence_of_identities)
{
    struct seen seen = whole;
    const char *identity = "one value a thread: an identity";

    seen.varied = 0; /* each thread had one and the same: */
    seen.values_count = seen.threads_count = 4;
    lacks(&seen, false, NULL); /* a thread a request */
    seen.worker_own = 1;
    lacks(&seen, false, identity);
    lacks(&seen, true, identity);
    seen.varied = 3; /* made anew in fewer threads than there are */
    lacks(&seen, true, identity);
    seen.varied = 4;
    lacks(&seen, true, NULL);
    seen.varied = 0;
    seen.worker_own = 0;
    seen.values_count = seen.threads_count = 3;
    lacks(&seen, false, identity);
}
END_TEST

START_TEST(test_evidence_of_what_workers_have)
{
    struct seen seen = whole;

    seen.differs = 19;
    lacks(&seen, false, "workers have the same value already");
    seen.differs = 20;
    lacks(&seen, false, NULL);
}
END_TEST

START_TEST(test_evidence_of_what_tasks_do_with_a_key)
{
    struct seen seen = whole;

    seen.got_first = 0;
    lacks(&seen, true, "no task reads it");
    seen.set_first = 1;
    lacks(&seen, true, "tasks set it before they read it");
    seen.got_first = 1;
    lacks(&seen, true, NULL);
    seen.set_first = 2;
    lacks(&seen, true, "tasks set it before they read it");
    lacks(&seen, false, NULL); /* a variable's are not seen */
    seen.tasks = 0;
    lacks(&seen, false,
          "no task was seen"); /* whether it would be the worker's own, nobody knows */
}
END_TEST

/* A key that few tasks look at. */
START_TEST(test_evidence_of_what_each_thread_sets_for_itself)
{
    struct seen seen = whole;
    const char *own = "set by each thread for itself";

    seen.got_first = 19;
    lacks(&seen, true, NULL); /* they found nothing: it was lost */
    seen.found_own = 9;
    lacks(&seen, true, NULL);
    seen.found_own = 10;
    lacks(&seen, true, own);
    lacks(&seen, false, NULL); /* a variable's reads are not seen */
    seen.got_first = seen.found_own = 20;
    lacks(&seen, true, NULL); /* what most look at may be left from a request before */
    seen.varied = 0;
    seen.values_count = seen.threads_count = 4;
    lacks(&seen, true, NULL); /* a thread a request */
    seen.got_first = 19;
    lacks(&seen, true, "one value a thread: an identity");
    lacks(&seen, false, NULL);
}
END_TEST

START_TEST(test_evidence_of_counters_and_caches)
{
    struct seen seen = whole;

    seen.set_blindly = 0;
    lacks(&seen, true, NULL); /* who woke has not set it there */
    seen.set_looking = 1;
    lacks(&seen, true, NULL); /* and tasks leave it alone */
    seen.changed = 20;
    lacks(&seen, true, "read, changed and stored by whoever uses it, as a counter or a cache is");
    seen.set_blindly = 1;
    lacks(&seen, true, NULL);
    seen.set_blindly = seen.set_looking = 0;
    lacks(&seen, true, NULL);
    seen.is_in_place = true; /* changed without being set */
    lacks(&seen, true, "read, changed and stored by whoever uses it, as a counter or a cache is");
    seen.changed = 10;
    lacks(&seen, false, NULL);
    seen.changed = 11;
    lacks(&seen, false, "workers write it themselves");
}
END_TEST

START_TEST(test_evidence_of_ways_goes_further_with_each_step)
{
    struct seen seen = whole;
    unsigned last, rank;

    evidence_lacks(&seen, true, true, &last);
    seen.got_first = 0;
    evidence_lacks(&seen, true, true, &rank);
    ck_assert_int_lt(rank, last);
    last = rank;
    seen.differs = 0;
    evidence_lacks(&seen, true, true, &rank);
    ck_assert_int_lt(rank, last);
    last = rank;
    seen.values_count = 1;
    evidence_lacks(&seen, true, true, &rank);
    ck_assert_int_lt(rank, last);
}
END_TEST

START_TEST(test_evidence_in_code)
{
    struct uses uses = {.is_known = false};

    ck_assert_pstr_eq(evidence_lacks_in_code(&uses, true), "no code that uses it was found");
    ck_assert_ptr_null(evidence_lacks_in_code(&uses, false));
    uses.is_known = true;
    ck_assert_pstr_eq(evidence_lacks_in_code(&uses, true),
                      "read only where it is also written, as a counter or a cache is");
    uses.is_address_only = true;
    ck_assert_ptr_null(evidence_lacks_in_code(&uses, true));
    uses.has_reader = true;
    ck_assert_pstr_eq(evidence_lacks_in_code(&uses, true), "no task reads it");
    uses.is_reachable = true;
    ck_assert_ptr_null(evidence_lacks_in_code(&uses, true));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("evidence");

    tcase_add_test(tests, test_evidence_all_of_it);
    tcase_add_test(tests, test_evidence_only_where_a_pool_was_given_work_twice);
    tcase_add_test(tests, test_evidence_of_one_value);
    tcase_add_test(tests, test_evidence_of_identities);
    tcase_add_test(tests, test_evidence_of_what_workers_have);
    tcase_add_test(tests, test_evidence_of_what_tasks_do_with_a_key);
    tcase_add_test(tests, test_evidence_of_what_each_thread_sets_for_itself);
    tcase_add_test(tests, test_evidence_of_counters_and_caches);
    tcase_add_test(tests, test_evidence_of_ways_goes_further_with_each_step);
    tcase_add_test(tests, test_evidence_in_code);
    return suite_run("evidence", tests);
}
