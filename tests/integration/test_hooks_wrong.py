"""BATON_HOOKS whose positions name something else: noticed, counted, said; nothing of the program's is changed, or jumped to."""
from compile import compiled
from harness import run, test
from test_hooks_shapes import shapes

KEY, TLS = "key:request_key", "tls:request_id"
EMPTY = "what it names was empty in every call: nothing was handed over"
NO_FUNCTION = "what fn= names is no function: nothing was handed over"
NO_FIELD = "what off= names in the object is no function: nothing was handed over"
NO_OBJECT = "what obj= names is no object: nothing was handed over"
NO_CALLABLE = "what obj= names is no std::function: nothing was handed over"
NO_VIRTUAL = "what obj= names is no object with a function at slot= in its vtable: nothing was handed over"
NEVER_MET = "met nothing of what was handed over"
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
                                              ("field_submit(kind=field,obj=1,off=8,data=8)", NEVER_MET)]),
    "four": (whole, "call list", KEY, [("call_submit(kind=field,obj=3,off=8)", NO_OBJECT),
                                       (LIST, ""), ("task_execute(kind=run,obj=6)", NEVER_MET)]),
    "repeat": (more, "", KEY, [("watch_add(kind=call,fn=2,arg=3,cbarg=1,repeat)", ELSEWHERE)]),
    "code": (more, "", KEY, [("watch_add(kind=stdfunction,obj=2)", NO_CALLABLE)]),
    "stdfunction": (results, "", KEY, [("results_long(kind=stdfunction,obj=1,cbarg=4)", ELSEWHERE),
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
    for hook, (item, why) in zip(after.reported()["hooks"], hooks, strict=True):
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
