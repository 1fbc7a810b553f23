// promise: items of BATON_HOOKS mean what the manual says, and a wrong one is told where it is wrong
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userhooks/spec.h"
#include "suite.h"

static char text[512];

static struct named_spec parse(const char *item)
{
    struct named_spec spec = {.item = item};
    struct spec_error error = {NULL, NULL};

    strcpy(text, item);
    ck_assert_msg(spec_parse(text, &spec, &error), "%s: expected %s", item, error.expected);
    return spec;
}

static void expect_wrong(const char *item, size_t at, const char *expected)
{
    struct named_spec spec = {.item = item};
    struct spec_error error = {NULL, NULL};

    strcpy(text, item);
    ck_assert_msg(!spec_parse(text, &spec, &error), "%s passed", item);
    ck_assert_msg(strstr(error.expected, expected) != NULL, "%s: %s", item, error.expected);
    ck_assert_uint_eq((size_t)(error.at - text), at);
}

START_TEST(test_spec_call)
{
    struct named_spec spec = parse(
        "submit@libpool#pool.c(kind=call,fn=2,arg=3,cbarg=4,repeat,stack=5,how=patch,unsafe)");

    ck_assert_str_eq(spec.function, "submit");
    ck_assert_str_eq(spec.module, "libpool");
    ck_assert_str_eq(spec.file, "pool.c");
    ck_assert(spec.kind == NAMED_CALL && spec.fn == 2 && spec.arg == 3 && spec.cbarg == 4 &&
              spec.stack == 5);
    ck_assert(spec.is_repeating && spec.is_unsafe && spec.how == HOW_PATCH);
    ck_assert(spec_relies_on_arguments(&spec) && !spec_wraps(&spec));
    spec = parse("submit#pool.c@libpool(kind=call,fn=2,arg=3)");
    ck_assert_str_eq(spec.module, "libpool");
    ck_assert_str_eq(spec.file, "pool.c");
    ck_assert(spec.cbarg == 1 && spec.how == HOW_AUTO);
}
END_TEST

START_TEST(test_spec_items)
{
    struct named_spec spec = parse("get(kind=get,item=ret)");

    ck_assert(spec.item_at == ITEM_RESULT && spec_wraps(&spec) && !spec_relies_on_arguments(&spec));
    ck_assert(parse("get(kind=get,item=ret2)").item_at == ITEM_RESULT2);
    spec = parse("get(kind=get,item=*3)");
    ck_assert(spec.item_at == ITEM_POINTED && spec.obj == 3 && spec_relies_on_arguments(&spec));
    spec = parse("get(kind=get,item=6)");
    ck_assert(spec.item_at == ITEM_ARGUMENT && spec.obj == 6);
    spec = parse("post(kind=field,obj=2,off=24,data=16)");
    ck_assert(spec.off == 24 && spec.has_data && spec.data == 16);
    spec = parse("go(kind=field,obj=2,off=0,data=24,next=64,unless=160&32768,fifo)");
    ck_assert(spec.has_next && spec.next == 64 && spec.is_fifo && spec.unless_at == 160 &&
              spec.unless == 32768);
    ck_assert_uint_eq(parse("go(kind=field,obj=2,off=0,unless=4&2147483648)").unless, 1U << 31);
}
END_TEST

START_TEST(test_spec_queues)
{
    struct named_spec spec = parse("put(kind=put,queue=1,item=2,fifo,front,ok=0,outside)");

    ck_assert(spec.queue == 1 && spec.obj == 2 && spec.is_fifo && spec.is_front && spec.is_outside);
    ck_assert(spec.ok_bits == UINT32_MAX && !spec.ok_value && !spec.ok_differs &&
              spec_wraps(&spec) && !spec_relies_on_arguments(&spec));
    ck_assert(!spec_wraps(&(struct named_spec){.kind = NAMED_PUT}));
    spec = parse("remove(kind=drop,queue=1,item=2,ok=1)");
    ck_assert(spec.obj == 2 && spec.ok_bits == UINT32_MAX && !spec.ok_value && spec.ok_differs &&
              spec_wraps(&spec));
    spec = parse("next(kind=get,item=ret2,ok=2)");
    ck_assert(spec.ok_bits == UINT32_MAX && spec.ok_value == 2 && !spec.ok_differs);
    spec = parse("push(kind=put,item=1,ok=true)");
    ck_assert(spec.ok_bits == UINT8_MAX && !spec.ok_value && spec.ok_differs);
    spec = parse("unref(kind=drop,queue=1)");
    ck_assert(!spec.obj && spec.queue == 1 && !spec_wraps(&spec));
    spec = parse("create(kind=drop,queue=*1)");
    ck_assert(spec.queue_at == ITEM_POINTED && spec_wraps(&spec) &&
              spec_relies_on_arguments(&spec));
    spec = parse("new(kind=drop,queue=ret)");
    ck_assert(spec.queue_at == ITEM_RESULT && spec_wraps(&spec));
    ck_assert(parse("ref(kind=ref,queue=2)").queue == 2);
    expect_wrong("f(kind=drop)", 2, "what is dropped");
    expect_wrong("f(kind=drop,item=ret)", 2, "what is dropped");
    expect_wrong("f(kind=drop,item=1,queue=ret)", 2, "the queue is an argument");
    expect_wrong("f(kind=put,item=1,queue=*2)", 2, "the queue is an argument");
    expect_wrong("f(kind=put,item=1,queue=7)", 24, "from 1 to 6");
    expect_wrong("f(kind=put,item=1,ok=-2)", 21, "0, 1 or true");
    expect_wrong("f(kind=put,item=1,ok=4294967296)", 21, "the number from 2 on");
    expect_wrong("f(kind=put,item=1,ok=2x)", 21, "0, 1 or true");
    expect_wrong("f(kind=run,obj=1,front)", 2, "options of this kind");
    expect_wrong("f(kind=ref)", 10, "queue=N");
}
END_TEST

START_TEST(test_spec_wrong)
{
    expect_wrong("f", 1, "(kind=...)");
    expect_wrong("f(kind=call", 11, "a closing )");
    expect_wrong("f(kind=calling)", 7, "call, submit");
    expect_wrong("f(kind=call,fn=0,arg=1)", 15, "from 1 to 6");
    expect_wrong("f(kind=call,fn=1,arg=7)", 21, "from 1 to 6");
    expect_wrong("f(kind=run,obj=1,what)", 17, "kind, fn, arg");
    expect_wrong("f(kind=run)", 10, "obj=N");
    expect_wrong("f@(kind=run,obj=1)", 2, "module");
    expect_wrong("f(kind=run,obj=1)x", 17, "nothing after");
    expect_wrong("f(kind=put,item=ret)", 2, "what is put");
    expect_wrong("f(kind=run,obj=1,fifo)", 2, "options of this kind");
    expect_wrong("f(kind=field,obj=1,off=2)", 23, "multiple of 8");
    for (const char *const *bits =
             (const char *const[]){"", "4", "&4", "4&", "4&0", "2&1", "4&x", "4&4294967296", NULL};
         *bits; bits++) {
        char item[64];

        snprintf(item, sizeof item, "f(kind=field,obj=1,off=8,unless=%s)", *bits);
        expect_wrong(item, 32, "BYTES&MASK");
    }
    expect_wrong("f(kind=submit,obj=1,unless=4&1)", 2, "options of this kind");
    expect_wrong("(kind=run,obj=1)", 0, "name of a function");
}
END_TEST

START_TEST(test_spec_pairs)
{
    struct named_spec specs[6];

    specs[0] = parse("a(kind=submit,obj=1)");
    specs[1] = parse("b(kind=run,obj=1)");
    specs[2] = parse("c(kind=put,item=1)");
    specs[3] = parse("d(kind=get,item=ret)");
    specs[4] = parse("e(kind=call,fn=1,arg=2)");
    for (int i = 0; i < 5; i++)
        specs[i].pair = "";
    ck_assert_uint_eq(spec_pair(specs, 5), 5);
    ck_assert(specs[0].pair_id == specs[1].pair_id && specs[2].pair_id == specs[3].pair_id);
    ck_assert(specs[0].pair_id != specs[2].pair_id && specs[4].pair_id != specs[0].pair_id);
    specs[1].pair = "other";
    ck_assert_uint_eq(spec_pair(specs, 5), 0);
    specs[0].pair = "other";
    ck_assert_uint_eq(spec_pair(specs, 5), 5);
    ck_assert_uint_eq(spec_pair(specs, 3), 2);
    specs[0] = parse("a(kind=put,item=1)");
    specs[1] = parse("b(kind=drop,item=1)");
    specs[2] = parse("c(kind=ref,queue=1)");
    specs[3] = parse("d(kind=get,item=ret)");
    ck_assert_uint_eq(spec_pair(specs, 4), 4);
    ck_assert(specs[1].pair_id == specs[0].pair_id && specs[2].pair_id == specs[0].pair_id);
    ck_assert_uint_eq(spec_pair(specs, 3), 0);     /* nobody gets it */
    ck_assert_uint_eq(spec_pair(specs + 1, 3), 0); /* nobody puts it in */
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("spec");

    tcase_add_test(tests, test_spec_call);
    tcase_add_test(tests, test_spec_items);
    tcase_add_test(tests, test_spec_queues);
    tcase_add_test(tests, test_spec_wrong);
    tcase_add_test(tests, test_spec_pairs);
    return suite_run("spec", tests);
}
