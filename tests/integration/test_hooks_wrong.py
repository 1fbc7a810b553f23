"""BATON_HOOKS whose positions name something else: noticed, counted, said; nothing of the program's is changed, or jumped to."""
from compile import compiled
from harness import ROOT, expect, plain, run, test
from test_hooks_shapes import shapes

KEY, TLS = "key:request_key", "tls:request_id"
EMPTY = "what it names was empty in every call: nothing was handed over"
NO_FUNCTION = "what fn= names is no function: nothing was handed over"
NO_FIELD = "what off= names in the object is no function: nothing was handed over"
NO_OBJECT = "what obj= names is no object: nothing was handed over"
NO_CALLABLE = "what obj= names is no std::function: nothing was handed over"
NO_VIRTUAL = "what obj= names is no object with a function at slot= in its vtable: nothing was handed over"
NEVER_MET = "met nothing of what was handed over"
NO_POINTER = "what it names is nothing that data=, next= or *N can be read from: nothing was handed over"
NO_DATA = "the callback of fn= does not get what arg= names, or not as argument cbarg=: nothing more is handed over"
ELSEWHERE = "as another argument than cbarg= says"


def whole():
    return compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c")


def more():
    return compiled("more", "-O1", "hooks_more.c")


def results():
    return compiled("results", "-O2", "-std=c++14", "hooks_results.cc", compiler="g++")


PARTS = "Pool::submit(Task*)(kind=virtual,obj=%d,slot=%s)"
LIST, RUN_IT = "list_submit(kind=submit,obj=2)", "task_execute(kind=run,obj=1)"

# The program, its words, what is carried; then the hooks, with what is told of each.
WRONG = {
    "one": (whole, "call list field", KEY, [("call_submit(kind=call,fn=3,arg=2)", NO_FUNCTION),
                                            ("list_submit(kind=submit,obj=2,data=8)", ""), (RUN_IT, NEVER_MET),
                                            ("field_submit(kind=field,obj=1,off=16)", NO_FIELD)]),
    "two": (whole, "call list field", KEY, [("call_submit(kind=call,fn=1,arg=3)", EMPTY),
                                            ("list_submit(kind=submit,obj=1)", EMPTY), (RUN_IT, ""),
                                            ("field_submit(kind=field,obj=1,off=8,cbarg=4)", NEVER_MET)]),
    "three": (whole, "call list field", KEY, [("call_submit(kind=stdfunction,obj=3)", NO_CALLABLE),
                                              (LIST, ""), ("task_execute(kind=run,obj=1,data=8)", NEVER_MET),
                                              ("field_submit(kind=field,obj=1,off=8,data=16)", NEVER_MET)]),
    "four": (whole, "call list", KEY, [("call_submit(kind=field,obj=3,off=8)", NO_OBJECT),
                                       (LIST, ""), ("task_execute(kind=run,obj=6)", NEVER_MET)]),
    "repeat": (more, "", KEY, [("watch_add(kind=call,fn=2,arg=3,cbarg=1,repeat)", NO_DATA)]),
    "code": (more, "", KEY, [("watch_add(kind=stdfunction,obj=2)", NO_CALLABLE)]),
    "stdfunction": (results, "", KEY, [("results_long(kind=stdfunction,obj=1,cbarg=2)", ELSEWHERE),
                                       ("results_big(kind=stdfunction,obj=1)", ELSEWHERE)]),
    "virtual": (shapes, "parts", TLS, [(PARTS % (1, "2+3"), NO_VIRTUAL)]),
    "slot": (shapes, "parts", TLS, [(PARTS % (2, "200"), NO_VIRTUAL)]),
    "cbarg": (shapes, "parts", TLS, [(PARTS % (2, "2+3,end=0+1,cbarg=2"), ELSEWHERE)]),
    "relay": (shapes, "number", TLS, [("Timers::start(kind=submit,obj=2,int)", ""),
                                      ("Timers::expire(kind=relay,from=1,to=1,int,keep)", NEVER_MET),
                                      ("Timers::deliver(kind=run,obj=1)", NEVER_MET)]),
}


@test("a position that names something else is noticed, counted and said; the program goes on", each=WRONG)
def wrong(what):
    program, words, items, hooks = WRONG[what]
    env = {"BATON_CARRY": items, "BATON_HOOKS": ";".join(item for item, _ in hooks), "BATON_STRICT": "on"}
    after = run(program(), *words.split(), env=env, launched=True).says("ran" if words else "wrong")
    if after.code not in (0, 1):  # as the program answers that it was right, or wrong
        after.fail("it did not end as it should")
    expect(len(after.reported()["hooks"]) == len(hooks), "each hook is to be reported")
    for hook, (item, why) in zip(after.reported()["hooks"], hooks):
        if why not in hook["reason"] or bool(why) != bool(hook["reason"]):
            after.fail(f"expected of {item} the reason {why!r}")
        if why.endswith("handed over") and why != NEVER_MET and not hook.get("unmet"):
            after.fail(f"calls of {item} are to be counted")
        if why:
            after.complains(f'{item}": a callback got its data as argument' if why == ELSEWHERE else why)


@test("what is right is not told: the same hooks as they should be")
def right():
    hooks = "call_submit(kind=call,fn=2,arg=3);list_submit(kind=submit,obj=2);task_execute(kind=run,obj=1)"
    after = run(whole(), "call", "list", env={"BATON_CARRY": KEY, "BATON_HOOKS": hooks, "BATON_STRICT": "on"}, launched=True)
    if any(hook["reason"] for hook in after.ok().reported()["hooks"]):
        after.fail("nothing is wrong with these")


# What none of them may be read behind: numbers, errors, an address where nothing is.
VALUES = {"5": EMPTY, "-1": EMPTY, "-8": EMPTY, "0x100000": NO_POINTER}
READ = ["value_submit(kind=submit,obj=1,data=8,pair=s)", "value_list(kind=submit,obj=1,next=8,pair=s)",
        "value_run(kind=run,obj=1,data=8,pair=s)", "value_away(kind=drop,obj=1,data=8,pair=s)",
        "value_get(kind=get,item=ret,data=0,pair=q)", "value_into(kind=get,item=*1,pair=q)",
        "value_queue(kind=drop,queue=*1,pair=q)"]
HAND = ["value_hand(kind=submit,obj=1,pair=s)", "value_put(kind=put,item=1,pair=q)"]


def values(*words, hooks):
    env = {"BATON_CARRY": KEY, "BATON_HOOKS": ";".join(hooks), "BATON_STRICT": "on"}
    program = compiled("values", "-O1", "hooks_values.c")
    return run(program, *words, env=env, launched=True).says("done")


# Hooks of which one meets nothing, whether all that was handed over had its turn or not.
MEETS_NOTHING = {"all run": "40", "one is left": "41 left", "most are left": "2000 left"}


@test("the verdict tells of an obj= that never meets what was handed over, also where some of it was never run", each=MEETS_NOTHING)
def meets_nothing(what):
    words = MEETS_NOTHING[what].split()
    runs = ["run"] * 40
    hooks = ["--hook", "value_hand(kind=submit,obj=1,pair=s)", "--hook", "value_run(kind=run,obj=1,pair=s)"]
    after = plain(ROOT / "scripts/baton", "run", "--carry", KEY, "--verdict", *hooks, "--", compiled("values", "-O1", "hooks_values.c"),
                  *["hand"] * int(words[0]), *runs)
    after.complains(NEVER_MET).never_says("baton: ok")


@test("nothing is read behind a value that is no object's: counted, and said", each=VALUES)
def no_object(value):
    after = values("put", "hand", value, hooks=READ + HAND)
    for hook in after.reported()["hooks"][:len(READ)]:
        if hook["reason"] != VALUES[value] or hook.get("unmet") != 1:
            after.fail(f"{hook['item']} has the reason {hook['reason']!r}, {hook.get('unmet')} unmet")
    after.complains(VALUES[value])


@test("a list of objects with functions is looked through before anything of it is changed")
def no_list():
    mine = values("post", hooks=["value_post(kind=field,obj=1,off=16,data=8,next=16)"]).ok().reported()["hooks"][0]
    if mine["reason"] != NO_OBJECT or mine["carried"]:
        raise AssertionError(f"the reason is {mine['reason']!r}, carried {mine['carried']}")


@test("what an item leaves alone is no fault of it, whatever its field holds", each=(0, 16))
def left_alone(off):
    hook = values("post", hooks=[f"value_post(kind=field,obj=1,off={off},unless=8&4294967295)"]).ok().reported()["hooks"][0]
    if hook["reason"] or hook.get("unmet") or hook["carried"] or hook["fired"] != 1:
        raise AssertionError(hook)


@test("nor once the hook was right, which then is not accused", each=[value for value in VALUES if VALUES[value] == EMPTY])
def error_later(value):
    after = values("good", value, hooks=READ + HAND)
    for hook in after.ok().reported()["hooks"][:len(READ)]:
        if hook["reason"] or hook.get("unmet") != 1:
            after.fail(f"{hook['item']} has the reason {hook['reason']!r}, {hook.get('unmet')} unmet")


# The words, and the hook: calls with nothing, and what had not run when the program ended.
RIGHT = {
    "post": ("none post", "value_post(kind=field,obj=1,off=16,data=8)"),
    "list": ("none post", "value_post(kind=field,obj=1,off=16,data=8,next=8)"),
    "run": ("hand hand2 run", "value_run(kind=run,obj=1,pair=s)"),
}


@test("a hook is not accused of what merely had not run at the end", each=RIGHT)
def not_yet(what):
    words, hook = RIGHT[what]
    after = values(*words.split(), hooks=[hook] + (HAND[:1] if what == "run" else []))
    mine = after.ok().reported()["hooks"][0]
    if mine["reason"] or not mine["fired"]:
        after.fail(f"a reason is given: {mine['reason']!r}, or it never fired")


def overloads():
    return compiled("overloads", "-O1", "-std=c++14", "hooks_overloads.cc", compiler="g++")


# The words, the hook, how many tasks are wrong although hooked, and what is told of which function.
SUBMIT = "Pool::submit*(kind=call,fn=1,arg=2)"
NUMBER, POINTER = "_ZN4Pool6submitEiPFvPvES0_", "_ZN4Pool6submitEPvPFvS0_E"
OVERLOADS = {
    "number": ("first number first", SUBMIT, 3, NUMBER, NO_FUNCTION),
    "stack": ("first stack", SUBMIT, 3, POINTER, NO_FUNCTION),
    "map": ("map first", SUBMIT, 3, POINTER, NO_FUNCTION),
    "function": ("function other", "Other::submit*(kind=stdfunction,obj=1)", 0, "_ZN5Other6submitEP5Looks", NO_CALLABLE),
}


@test("of functions that one pattern names each is believed by itself: what is elsewhere in one is said of it, and left alone",
      each=OVERLOADS)
def other_places(what):
    words, hook, wrong, name, why = OVERLOADS[what]
    env = {"BATON_CARRY": KEY, "BATON_HOOKS": hook, "BATON_STRICT": "on"}
    after = run(overloads(), *words.split(), env=env, launched=True).ok().says(f"{wrong} wrong of")
    after.complains(f'BATON_HOOKS="{hook}": {name}: {why}')
    mine = after.reported()["hooks"][0]
    if mine["reason"] != why or mine["carried"] < 3:
        after.fail(f"the reason is {mine['reason']!r}, carried {mine['carried']}")


@test("what only looks like a std::function is not taken for one", each=("looks", "data"))
def looks_like(what):
    env = {"BATON_CARRY": KEY, "BATON_HOOKS": f"{what}_submit(Looks*)(kind=stdfunction,obj=1)".replace("Looks", what.title())}
    after = run(overloads(), what, env=env, launched=True).ok().says("of 3, 3 called").complains(NO_CALLABLE)
    mine = after.reported()["hooks"][0]
    expect(mine["carried"] == 0 and mine["unmet"] == 3, f"{mine}")


def arguments():
    return compiled("arguments", "-O1", "hooks_arguments.c")


# The way of its data, and which argument is taken for it.
NOT_ITS_DATA = [(way, arg) for way in ("pointer", "number", "same") for arg in (1, 4, 5, 6)]


@test("a wrong arg= beside a right fn=: all runs, with all its arguments; it is counted and said", each=NOT_ITS_DATA)
def not_its_data(way, arg):
    for words in ((60,), (1000, "each"), (1000, "now")):
        function = "pool_now" if "now" in words else "pool_submit"
        env = {"BATON_CARRY": KEY, "BATON_HOOKS": f"{function}(kind=call,fn=2,arg={arg})", "BATON_STRICT": "on"}
        after = run(arguments(), way, *map(str, words), env=env, launched=True).says(f"ran {words[0]} ", "broken 0")
        mine = after.complains(NO_DATA).reported()["hooks"][0]
        expect(mine["reason"] == NO_DATA and mine["unmet"] >= 1 and mine["fired"] == words[0], f"{mine}")


@test("a right arg= is carried from the first call on, however many wait at once", each=("pointer", "number", "same"))
def its_data(way):
    for words in (("1",), ("60",), ("5000",), ("5000", "each")):
        env = {"BATON_CARRY": KEY, "BATON_HOOKS": "pool_submit(kind=call,fn=2,arg=3)", "BATON_STRICT": "on"}
        after = run(arguments(), way, *words, env=env, launched=True).ok().quiet().clean()
        mine = after.reported()["hooks"][0]
        expect(mine["carried"] == mine["fired"] == int(words[0]), f"{mine}")


@test("a wrong cbarg= is told once; where another thread's callback had its data it is looked for from then on",
      each=("pointer", "number", "same"))
def not_there(way):
    env = {"BATON_CARRY": KEY, "BATON_HOOKS": "pool_submit(kind=call,fn=2,arg=3,cbarg=3)", "BATON_STRICT": "on"}
    after = run(arguments(), way, "5000", "thread", env=env, launched=True).ok().clean()
    told = "as argument 1, expected cbarg=1"
    mine = after.complains(told).reported()["hooks"][0]
    expect(after.err.count(told) == 1 and mine["carried"] == mine["fired"] == 5000, f"{mine}")


@test("a wrong cbarg= where the submitter's thread runs the callback: all runs, with all its arguments; it is said",
      each=[(way, when) for way in ("pointer", "number", "same") for when in ("each", "now")])
def not_there_itself(way, when):
    hook = f"pool_{'now' if when == 'now' else 'submit'}(kind=call,fn=2,arg=3,cbarg=2)"
    after = run(arguments(), way, "1000", when, env={"BATON_CARRY": KEY, "BATON_HOOKS": hook}, launched=True)
    mine = after.says("ran 1000 ", "broken 0").complains(NO_DATA).reported()["hooks"][0]
    expect(mine["reason"] == NO_DATA and mine["fired"] == 1000, f"{mine}")


NEVER = "never_called(kind=call,fn=1,arg=2)"


@test("a hook that never fired is said where the program ends without destructors, once; its children say nothing",
      each=[(how, child) for how in ("_exit", "_Exit", "quick_exit", "exit") for child in ("", "fork", "vfork")])
def leaves(how, child):
    program = compiled("leaves", "-O1", "leaves.c")
    after = run(program, how, *([child] if child else []), env={"BATON_CARRY": f"{KEY};tls:not_there", "BATON_HOOKS": NEVER,
                                                               "BATON_WARN": "on"}, launched=True).ok().says("ended")
    for what in (f'"{NEVER}": never fired', 'BATON_CARRY="tls:not_there": matched nothing'):
        if after.err.count(what) != 1:
            after.fail(f"expected {what} once")


@test("what was killed by another after its child has ended says nothing", each=("fork", "vfork"))
def child_leaves(child):
    after = run(compiled("leaves", "-O1", "leaves.c"), "_exit", child, "killed",
                env={"BATON_CARRY": KEY, "BATON_HOOKS": NEVER, "BATON_WARN": "on"}, launched=True)
    expect(after.code == -9 and "never fired" not in after.err, f"{after.code}: {after.err}")
