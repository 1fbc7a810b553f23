"""Named hooks: a function that has other arguments than its item says is refused where debug information tells."""
import subprocess

from compile import by_clang, compiled
from harness import carry, expect, plain, test
from needs import needs
from test_launcher import baton

COMPILERS = {"hooks_fits.c": ("cc", "clang"), "hooks_fits_cxx.cc": ("g++", "clang++")}
C, CXX = COMPILERS

# An item, what goes with it, and why it is refused. None: it fits.
ITEMS = [
    (C, "call_submit(kind=call,fn=2,arg=3)", None),
    (C, "call_submit(kind=call,fn=3,arg=2)", "its argument 2 is function *, expected something as large as an address"),
    (C, "call_submit(kind=call,fn=2,arg=4)", "it has no argument 4 in a register: it is int (void *, function *, void *)"),
    (C, "call_submit(kind=call,fn=2,arg=3,cbarg=2)", "its callback has no argument 2 in a register: it is void (void *)"),
    (C, "call_double(kind=call,fn=2,arg=3,cbarg=2)", None),
    (C, "call_double(kind=call,fn=2,arg=4,cbarg=2)", "it has no argument 4"),
    (C, "call_double(kind=call,fn=2,arg=3)", "argument 1 of its callback is int, expected an address"),
    (C, "call_large(kind=call,fn=1,arg=2)", None),
    (C, "call_large(kind=call,fn=2,arg=3)", "it has no argument 3"),
    (C, "call_two(kind=call,fn=3,arg=4)", None),
    (C, "call_any(kind=call,fn=1,arg=2)", None),
    (C, "call_any(kind=call,fn=1,arg=3)", "its argument 3 is int"),
    (C, "task_submit(kind=call,fn=2,arg=1)", "its argument 2 is struct task *, expected a function"),
    (C, "task_submit(kind=field,obj=2,off=16)", None),
    (C, "task_submit(kind=field,obj=2,off=8)", "expected an object that has a function pointer there"),
    (C, "task_submit(kind=field,obj=3,off=16)", "it has no argument 3"),
    (C, "task_submit(kind=stdfunction,obj=2)", "expected a std::function"),
    (C, "task_large(kind=field,obj=3,off=16)", None),
    (C, "task_large(kind=field,obj=4,off=16)", "it has no argument 4"),
    (C, "task_submit(kind=submit,obj=2);task_run(kind=run,obj=1)", None),
    (C, "task_submit(kind=submit,obj=2,ok=0);task_run(kind=run,obj=1)", "it answers nothing in a register"),
    (C, "task_run(kind=run,obj=2);task_submit(kind=submit,obj=2)", "it has no argument 2"),
    (C, "queue_get(kind=get,item=ret,queue=1);task_submit(kind=put,item=2,queue=1)", None),
    (C, "queue_get(kind=get,item=1);task_submit(kind=put,item=2)", "its argument 1 is int, expected an object's address"),
    (C, "queue_get(kind=get,item=ret2);task_submit(kind=put,item=2)", "it answers one word"),
    (C, "queue_get_two(kind=get,item=ret2);task_submit(kind=put,item=2)", None),
    (CXX, "Pool::submit(kind=stdfunction,obj=2)", None),
    (CXX, "Pool::submit(kind=stdfunction,obj=1)", "its argument 1 is struct Pool *, expected a std::function"),
    (CXX, "Pool::later(kind=stdfunction,obj=3)", None),
    (CXX, "Pool::task(kind=virtual,obj=2,slot=2)", None),
    (CXX, "Pool::task(kind=virtual,obj=3,slot=2)", "its argument 3 is int, expected an object's address"),
    (CXX, "Pool::task(kind=virtual,obj=4,slot=2)", "it has no argument 4"),
]


@needs("libdw")
@test("a hook that does not fit its function is refused, by check and run alike; unsafe, and no debug information, take it",
      each=[(source, compiler) for source in COMPILERS for compiler in COMPILERS[source]], release=by_clang)
def fits(source, compiler, tmp_path):
    standard = ("-std=gnu17",) if source == C else ()  # in C23 a function () takes nothing
    program = compiled("fits", "-O2", "-g2", "-Wno-strict-prototypes", *standard, source, compiler=compiler)
    stripped = tmp_path / "stripped"
    subprocess.run(["objcopy", "--strip-debug", program, stripped], check=True)
    before = plain(program).ok()
    for of, hooks, why in ITEMS:
        if of != source:
            continue
        items = hooks.split(";")
        told = baton("check", *items, program)
        if why is None:
            told.exits(0)
            continue
        told.exits(1).says(f"{items[0]}\n    not hooked: it does not fit: ", why)
        baton("check", *items, stripped).exits(0)
        baton("check", items[0][:-1] + ",unsafe)", *items[1:], program).exits(0)
        after = carry("fenv", program, env={"BATON_HOOKS": hooks}, launched=True)
        after.same_output_as(before).complains(f'BATON_HOOKS="{items[0]}": not hooked: it does not fit: ')
        hook = after.reported()["hooks"][0]
        expect(hook["state"] != "hooked" and why[:20] in hook["reason"], hook)
        if items[0] != ITEMS[1 if source == C else -1][1]:
            continue
        bare = carry("fenv", program, env={"BATON_HOOKS": hooks})
        expect("does not fit" in bare.same_output_as(before).reported()["hooks"][0]["reason"], "without the launcher it is taken")
