"""fn:fill=F,size=N,set=F and fn:at=F,size=N: state that a function writes to an address, or answers the address of."""
import subprocess

from harness import PROGRAMS, carry, idle, plain, run, test
from needs import needs
from test_launcher import BATON, baton
from test_policies import VALGRIND

FORMS = {"device": "fn:fill=device_get,size=4,set=device_set", "small": "fn:fill=small_get,size=1,set=small_set",
         "wide": "fn:fill=wide_get,size=24,put=wide_put", "place": "fn:at=place_at,size=12", "large": "fn:at=large_at,size=800",
         "heap": "fn:at=heap_at,size=8"}
# The state that the test programs keep behind request_get and request_set, asked for otherwise.
SAME = {"fill": "fn:fill=request_fill,size=8,set=request_set", "at": "fn:at=request_at,size=8"}


@test("fill= and at= of any size: task, nested task, thread, coroutine have their request's; put back; errno stays", each=FORMS)
def forms(kind):
    for how in (plain, idle):
        how("fn_forms", kind).wrong()
    carry(FORMS[kind], "fn_forms", kind).ok().quiet().clean().slot_is(FORMS[kind], "bound")


@test("fill= and at=: coroutines, universes, every way out, fork", each=[(form, program) for form in SAME for program in (
    ("five_universes", "fn"), ("five_universes_ucontext", "fn"), ("ucontext", "nested", "fn"), ("ucontext", "move", "fn"),
    ("task_ends", "throw", "fn"), ("task_ends", "longjmp", "fn"), ("errno_kept", "fn"))])
def same_state(form, program):
    plain(*program)
    after = carry(SAME[form], *program).quiet().slot_is(SAME[form], "bound")
    if program[0] != "task_ends":  # which ends as its task did
        after.ok().clean()


@test("fill= of the C library itself, and its put=: fegetmode and fesetmode on every way out", each=(
    "return", "throw", "longjmp", "pthread_exit", "cancel", "task_exits"))
def real_library(way):
    if way not in ("pthread_exit", "cancel"):
        plain("thread_state", "fenv", way).wrong()
    item = "fn:fill=fegetmode@libm,size=8,put=fesetmode@libm"
    carry(item, "thread_state", "fenv", way).ok().quiet().clean().slot_is(item, "bound")


@test("at= of the C library itself, h_errno; and one that answers all threads with one object, which is seen and let alone")
def real_place(tmp_path):
    source, program, item = tmp_path / "place.c", tmp_path / "place", "fn:at=__h_errno_location@libc,size=4"
    source.write_text(PLACE)
    compiled(source, program)
    for how in (plain, idle):
        how(program).ok().says("own 0 then 3, everybody's 3 then 1\n")
    carry(item, program).ok().quiet().clean().says("own 3 then 3, everybody's 3 then 1\n").slot_is(item, "bound")
    item = "fn:at=everybody_at,size=4"
    after = carry(item, program, env={"BATON_LOG": "warn"}).ok().complains("answers two threads with one static object")
    after.says("own 0 then 3, everybody's 3 then 1\n")


PLACE = r"""
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
static int everybodys, saw, saw_all;
int *everybody_at(void) { return &everybodys; }
static void *task(void *unused) { saw = h_errno; saw_all = everybodys; h_errno = everybodys = 1; return unused; }
int main(void)
{
    pthread_t thread;
    h_errno = everybodys = 3;
    pthread_create(&thread, 0, task, 0);
    pthread_join(thread, 0);
    printf("own %d then %d, everybody's %d then %d\n", saw, h_errno, saw_all, everybodys);
    return 0;
}
"""


def compiled(source, program, *flags):
    subprocess.run(["gcc", "-w", "-g", "-O1", "-pthread", source, "-o", program, *flags], check=True)


WRONG = {"fn:at=everybody_at,size=8": ("everybody", "answers two threads with one static object"),
         "fn:at=nowhere_at,size=8": ("device", "answers no address"),
         "fn:fill=wide_get,size=4,set=device_set": ("overflow", "writes more bytes than size= says"),
         "fn:get=device_get,set=device_set": ("device", "the function of get= writes to an address: fill=F,size=N fits it"),
         "fn:get=wide_value,set=device_set": ("device", "the function of get= writes to an address"),
         "fn:at=wide_get,size=24": ("wide", "the function of at= writes to an address: fill=F,size=N fits it")}


@test("what a function is seen to do wrong is said, counted, and let alone, also without debug information: the program is "
      "as plain", each=WRONG)
def let_alone(item):
    kind, why = WRONG[item]
    before = plain("fn_forms", kind).wrong()
    after = carry(item, "fn_forms", kind, env={"BATON_LOG": "warn"}).complains(why)
    if after.out != before.out and kind != "everybody":  # what threads leave to each other there is chance
        after.fail("expected what the plain run printed")
    slot = after.slot(item)
    if not slot.get("failures") or why not in slot["reason"]:
        after.fail("expected failures and their reason")


REFUSED = {"fn:at=__errno_location,size=4": "errno is of the call before", "fn:at=__ctype_b_loc,size=8": "take locale",
           "fn:at=__res_state,size=568": "the resolver's own state", "fn:fill=device_get,size=4,set=seteuid": "swap:setfsuid"}


@test("addresses of state that no other thread may have are refused, by check as well", each=REFUSED)
def refused(item):
    carry(item, "fn_forms", "device").wrong().slot_is(item, "refused").complains(REFUSED[item])
    baton("check", item, PROGRAMS / "fn_forms").exits(1).says(REFUSED[item])


@test("check and the run agree about forms of fn:", each=(*FORMS.values(), "fn:fill=nope,size=4,set=device_set",
                                                       "fn:fill=device_get,size=4,set=nope", "fn:at=nope,size=4",
                                                       "fn:fill=wide_get,size=24,put=nope"))
def agree(item):
    found = run(str(BATON), "check", item, PROGRAMS / "fn_forms", preload=False)
    after = carry(item, "fn_forms", "device")
    after.slot_is(item, "unmatched" if found.code else "bound")
    if found.code:
        after.slot(item)["reason"].index(next(word for word in ("fill=", "set=", "at=", "put=") if word + "nope" in item))


POLICY = {"string": "string", "clone": "clone=item_clone,free=item_free", "ref": "ref=item_ref,unref=item_unref"}


@test("D16: policies of pointers behind fill= and at=", each=[(form, policy) for form in ("fill", "at") for policy in POLICY])
def policies(form, policy):
    item = {"fill": "fn:fill=item_fill,size=8,set=item_set", "at": "fn:at=item_at,size=8"}[form] + "," + POLICY[policy]
    for event in ("owner-frees", "task-replaces", "task-exits"):
        plain("policies", "fn", policy, event).says("task saw 0")
        carry(item, "policies", "fn", policy, event).ok().quiet().clean().says("task saw 7")
    if (form, policy) == ("fill", "clone"):
        carry(item, *VALGRIND, PROGRAMS / "policies", "fn", policy, "owner-frees").ok().says("task saw 7")


@test("weak behind fill=: the calls of set= are watched")
def weak():
    item = "fn:fill=item_fill,size=8,set=item_set,weak"
    carry(item, "policies", "fn", "weak", "owner-frees", launched=True).ok().clean().says("task saw 0").slot_is(item, "bound")
    carry(item, "policies", "fn", "weak", "unchanged", launched=True).ok().clean().says("task saw 7")


@test("a filler that makes copies: every copy is freed once, by its own function", each=(
    "fn:fill=tag_fill,size=8,set=tag_set,free=tag_free", "fn:fill=tag_fill,size=8,set=tag_take,free=tag_free,move"))
def copies(item):
    plain("tag_functions",).wrong()
    carry(item, "tag_functions",).ok().quiet().clean()


@test("E23: a filler or locator that throws, jumps away or ends its thread leaves no mark", each=[
    (item, how) for item in ("fn:fill=leaves_fill,size=8,set=leaves_set", "fn:at=leaves_at,size=8")
    for how in ("throw", "longjmp", "exit")])
def leaves(item, how):
    plain("getter_leaves", how).wrong()
    for later in ((), ("later",)):
        carry(item + ";key:leaves_key", "getter_leaves", how, *later).ok().quiet().clean().says("wrong 0 of 12")


@needs("valgrind")
@test("valgrind finds nothing", each=("wide", "heap"))
def under_valgrind(kind):
    carry(FORMS[kind], *VALGRIND, PROGRAMS / "fn_forms", kind).ok().says("RIGHT")


@test("auto: CUDA's device (of a library that is shaped so): nobody sets one where no request does")
def no_device():
    for how in (plain, idle):
        how("known_cuda", "never").ok()
    carry("auto", "known_cuda", "never").ok().quiet().clean().carried("pthread", exactly=3)


# What the debug information of the function says against the item, and what would fit.
UNFIT = {
    "fn:fill=device_get,size=8,set=device_set": "device_set: refused: it does not fit: it is int (int), whose value has 4 bytes: size=4",
    "fn:fill=device_get,size=2,set=device_set": "device_get: refused: it does not fit: it is int (int *), whose value has 4 bytes",
    "fn:get=device_get,set=device_set": "fill=F,size=4 fits a function that writes the value to an address",
    "fn:at=wide_get,size=24": "it is void (struct wide *), expected a function that takes nothing and returns an address; fill=F,size=24",
    "fn:at=place_at,size=8": "it is struct place * (void), whose value has 12 bytes: size=12",
    "fn:fill=wide_get,size=8,set=wide_put": "whose value has 24 bytes: size=24",
    "fn:fill=wide_get,size=24,put=device_set": "set=F takes the value",
    "fn:fill=device_get,size=4,set=wide_put": "put=F takes its address",
    "fn:fill=place_at,size=12,put=wide_put": "at=F,size=12 if that is where the thread has it",
    "fn:get=main,set=device_set": "it is int (int, ...), expected a function that takes nothing",
    "fn:get=number_get,set=device_set": "device_set: refused: it does not fit: it is int (int), and the function of get= is "
                                        "long int (void)",
    "fn:get=place_at,set=device_set": "and the function of get= is struct place * (void)",
    "fn:get=place_at,set=wide_put": "it is void (struct wide *), and the function of get= is struct place * (void)",
    "fn:fill=grid_get,size=24,put=wide_put": "it is void (struct wide *), and the function of fill= is void (struct grid *)",
    "swap:small_set": "it is void (unsigned char), expected a function that returns the value before",
}


FIT = ("fn:get=number_get,set=number_set", "fn:get=number_get,set=place_take", "fn:get=place_at,set=place_take",
       "fn:get=place_at,set=any_take", "fn:get=place_at,set=number_set", "fn:fill=wide_get,size=24,put=wide_put")


@needs("libdw")
@test("check: a function that takes what the other one answers fits, also as an address of anything", each=FIT)
def fit(item):
    baton("check", item, PROGRAMS / "fn_forms").exits(0)


@needs("libdw")
@test("check: at -g1 debug information has neither arguments nor types, and nothing is refused for what it leaves out")
def lines_alone(tmp_path):
    source, program = tmp_path / "lines.c", tmp_path / "lines"
    source.write_text("int f(int a) { return a + 1; }\nvoid h(void) {}\nint main(void) { h(); return f(-1); }\n")
    for level, code in ("-g1", 0), ("-g", 1):
        compiled(source, program, level, "-O0", "-rdynamic")
        baton("check", "swap:f", program).exits(0)
        baton("check", "swap:h", program).exits(code)


@needs("libdw")
@test("check compares functions with their debug information, and says what fits; without it, nothing is refused", each=UNFIT)
def unfit(item, tmp_path):
    baton("check", item, PROGRAMS / "fn_forms").exits(1).says(UNFIT[item])
    baton("check", item, PROGRAMS / "fn_forms", env={"BATON_FORCE": "on"}).exits(0)
    stripped = tmp_path / "stripped"
    subprocess.run(["objcopy", "--strip-debug", PROGRAMS / "fn_forms", stripped], check=True)
    baton("check", item, stripped).exits(0)
