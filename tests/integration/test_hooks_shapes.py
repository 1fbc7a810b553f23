"""What C++ pools take: names of the source and patterns, pointers one further, lists, tasks in parts, numbers."""
from compile import compiled, not_o2
from harness import carry, plain, run, test, uncounted, ROOT
from needs import gcc_version, unable

TLS = "tls:request_id"
RUN = "Pool::execute(kind=run,obj=1)"
DROP = "_ZN4TaskD*Ev(kind=drop,obj=1)"
HOOKS = {
    "unique": f"Pool::submit(std::unique_ptr<Task>)(kind=submit,obj=2,data=0);{RUN}",
    "list": f"Pool::submit_all(kind=submit,obj=2,next=24);{RUN}",
    "pieces": "Piece::hand(kind=field,obj=2,off=0,data=16,next=24,unless=32&4,fifo)",
    "refuse": f"Pool::try_submit(kind=submit,obj=2,ok=true);{RUN}",
    "parts": "Pool::submit(Task*)(kind=virtual,obj=2,slot=2+3,end=0+1)",
    "parts, each said alone": "Pool::submit(Task*)(kind=virtual,obj=2,slot=2,slot=3,end=0,end=1)",
    "twice": "_ZN4Pool6submitEP4Task(kind=virtual,obj=2,slot=2,end=0+1)",
    "number": "Timers::start(kind=submit,obj=2,int);Timers::expire(kind=relay,from=2,to=1,int,keep);"
              "Timers::deliver(kind=run,obj=1)",
    "events": "Events::post(kind=put,item=3);Events::next(kind=get,item=ret2,ok=2)",
    "events, by patterns": "_ZN6Events4post*(kind=put,item=3);_ZN6Events4next*(kind=get,item=ret2,ok=2)",
    "packaged": "_ZNSt13__future_base12_Result_baseC*Ev(kind=submit,obj=1);"
                "_ZNSt13__future_base11_Task_state*6_M_runEv(kind=run,obj=1,data=32);"
                "_ZNSt13__future_base12_Result_baseD*Ev(kind=drop,obj=1)",
}
LEFT = {"number": 200}  # a timer that nobody stops keeps its context
BUILDS = [("g++", "-O0"), ("g++", "-O2"), ("clang++", "-O0"), ("clang++", "-O2")]


def shapes(compiler="g++", level="-O2"):
    return compiled("shapes", level, "-std=c++14", "hooks_shapes.cc", compiler=compiler)


@test("each shape: plain wrong, carried right", each=[(mode, *build) for mode in HOOKS for build in BUILDS],
      release=not_o2)
def shape(mode, compiler, level):
    program = shapes(compiler, level)
    hooks = HOOKS[mode]
    mode = mode.split(",")[0]
    plain(program, mode).wrong()
    if mode == "unique":  # the whole name has the deleter
        hooks = hooks.replace("unique_ptr<Task>", "unique_ptr<Task, std::default_delete<Task> >")
    after = carry(TLS, program, mode, env={"BATON_HOOKS": hooks}, launched=True)
    if (mode, compiler, level) == ("packaged", "g++", "-O2") and gcc_version() >= 16 and "its calls were inlined" in after.err:
        unable("GCC 16 and newer inline tasks of std::packaged_task where they are run, which is said")
    after.ok().quiet()
    after.clean(contexts=LEFT.get(mode, 0))
    for hook in after.reported()["hooks"]:
        if hook["state"] != "hooked" or (not hook["fired"] and "drop" not in hook["kind"]):
            after.fail(f"{hook['item']} is {hook['state']}, fired {hook['fired']}: {hook['reason']}")


@test("an AnyInvocable is taken for no std::function, whose words it has")
def any_invocable():
    env = {"BATON_HOOKS": "Executor::run(kind=stdfunction,obj=1)"}
    hook = carry(TLS, shapes(), "any", env=env, launched=True).ok().says("ran 1 wrong 0").reported()["hooks"][0]
    assert hook["fired"] == 1 and not hook["carried"] and "is no std::function" in hook["reason"], hook


@test("a name of the source that may mean several is refused, with those that it may mean")
def ambiguous():
    program = shapes()
    after = run(str(ROOT / "scripts/baton"), "check", "--hook", "Pool::submit(kind=call,fn=2,arg=3)", program, preload=False)
    after.exits(1).says("not hooked: it may be", "_ZN4Pool6submitEP4Task", "_ZN4Pool6submitESt10unique_ptr")
    after = run(str(ROOT / "scripts/baton"), "check", "--hook", "Pool::submit*(kind=submit,obj=2);x(kind=run,obj=1)", program,
                preload=False)
    after.exits(1).says("stands for 3 functions, 3 hooked")


@test("a pattern that matches too much is refused, and 1,025 items are told")
def limits():
    many = ";".join(f"f{i}(kind=put,item=1,pair=p{i});g{i}(kind=get,item=ret,pair=p{i})" for i in range(513))
    run("true", env={"BATON_CARRY": TLS, "BATON_HOOKS": many}).complains("expected at most 1024 items")


@test("a wrong cbarg= is told, and where it should point; the task runs all the same", each=("got", "symbol"))
def wrong_cbarg(by):
    program = compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c")
    env = {"BATON_HOOKS": "call_submit(kind=call,fn=2,arg=3,cbarg=3)"}
    after = run(program, "call", env={"BATON_CARRY": "key:request_key", **env}, launched=by == "symbol")
    after.ok().complains("as argument 1, expected cbarg=1")


@test("what a callback gets in no argument is told, and no record is jumped to")
def wrong_arg():
    program = compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c")
    env = {"BATON_CARRY": "key:request_key", "BATON_HOOKS": "field_submit(kind=field,obj=1,off=8,cbarg=4)"}
    run(program, "field", env=env).says("ran 1000").never_says("Segmentation")


@test("a callback that repeats: run inside of itself, in two threads at once while one changes what it has, left in odd ways",
      each=[(item, level) for item in ("key:request_key", "tls:request_word") for level in ("-O1", "-O2")])
def again(item, level):
    program = compiled("watch", level, "hooks_watch.c", "-DREQUEST_WORD" if "tls" in item else "-DREQUEST_KEY")
    plain(program).wrong()
    hooks = "watch_add(kind=call,fn=2,arg=3,repeat)"
    carry(item, program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().says("wrong 0")
    uncounted(item, program, env={"BATON_HOOKS": hooks}, launched=True).quiet().says("wrong 0")
