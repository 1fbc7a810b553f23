"""BATON_STRICT: what programs do wrong with handed over work is said once, with its place; what is right is not.
Values that dangle are in test_policies.py."""
import os
import subprocess
import tempfile

from harness import carry, plain, test

ITEMS = {"key": "key:request_key", "tls": "tls:request_id"}
SAYS = {
    "leak": ("3 contexts are held at exit, handed over in keep_request+0x",),
    "old": ("1 context is held, handed over in keep_request+0x", "neither run to its end nor let go"),
    "dirty": ('BATON_CARRY="{item}": a worker thread has a value of its own that was set since its last task',),
    "again": ("work handed over in work_again+0x", "1000 times in a row", "BATON_MAX_HOPS"),
    "enter": ("baton_context_run in enter_again+0x", "entered already"),
    "detach": ("baton_detach in detach+0x", "out of order"),
}
ALWAYS = ("running", "child")


def strict(mode, how, kind, **more):
    age = {"BATON_LEAK_AGE": "0.05"} if mode == "old" else {}
    return carry(ITEMS[kind], "strict", mode, how, kind, env={"BATON_STRICT": "on", **age, **more})


@test("a struct that is filled in anew while handoffs hold it is told once, with the way out", each=("heap", "static", "freed"))
def changed_in_place(mode):
    plain("changed_in_place", mode).wrong()
    after = carry("key:request_key", "changed_in_place", mode, env={"BATON_STRICT": "on"}).says("wrong 2\n")
    after.complains("what it points to was changed in place, or freed and given out anew", "in main+0x", "copy=N")
    if after.err.count("in place") != 1 or after.slot("key:request_key").get("changed") != 2:
        after.fail("expected it once, and to be counted twice")
    carry("key:request_key,copy=32", "changed_in_place", mode, env={"BATON_STRICT": "on"}).ok().quiet().clean()


@test("what is not changed, is another one, was changed when all was done, or is not there any more is not told",
      each=("fresh", "same", "done", "gone"))
def not_changed_in_place(mode):
    after = carry("key:request_key", "changed_in_place", mode, env={"BATON_STRICT": "on"}).ok().clean()
    if "in place" in after.err or "changed" in after.slot("key:request_key"):
        after.fail("nothing was changed in place")


@test("what no block begins with is not looked at", each=("stack", "inside"))
def not_known_in_place(mode):
    carry("key:request_key", "changed_in_place", mode, env={"BATON_STRICT": "on"}).says("wrong 2\n").quiet()


def library(folder, name, size, room):
    text = f".data\n.globl object\n.type object, @object\n.size object, {size}\nobject: .zero {room}\n" \
           ".section .note.GNU-stack,\"\",@progbits\n"  # without it, it asks for a stack to run code on, and newer loaders refuse that
    made = os.path.join(folder, name)
    subprocess.run(["gcc", "-shared", "-nostdlib", "-x", "assembler", "-", "-o", made], input=text, text=True, check=True)
    return made


@test("how large a static object is is asked anew of a library that is loaded where another was")
def reloaded_in_place():
    with tempfile.TemporaryDirectory() as folder:
        libraries = library(folder, "first.so", 64, 600), library(folder, "second.so", 8, 800)
        carry("key:request_key", "changed_in_place", *libraries, env={"BATON_STRICT": "on"}).says("wrong 2\n").quiet()


@test("strict: a context that is kept, a dirty worker, work without end, the interface out of order: said once",
      each=[(mode, kind) for mode in SAYS for kind in ITEMS])
def said(mode, kind):
    after = strict(mode, "wrong", kind).ok()
    after.complains(*(text.format(item=ITEMS[kind]) for text in SAYS[mode]))
    if after.err.count("\n") != 1:
        after.fail("said once")


@test("strict: nothing is said where the same is done right, of what runs at exit, or of what a parent has handed over",
      each=[(mode, kind) for mode in (*SAYS, *ALWAYS) for kind in ITEMS])
def not_said(mode, kind):
    strict(mode, "right", kind).ok().quiet()
    if mode in ALWAYS:
        strict(mode, "wrong", kind).ok().quiet()


@test("strict: with BATON_STACKS what is kept is told with the stack that handed it over", each=ITEMS)
def stacks(kind):
    after = strict("leak", "wrong", kind, BATON_STACKS="8").ok()
    after.complains("3 contexts are held at exit").matches(r"#0 keep_request\+0x.*\n.*#1 main\+0x", "err")


@test("without strict nothing is said but that its settings do nothing", each=SAYS)
def off(mode):
    carry(ITEMS["key"], "strict", mode, "wrong", "key").ok().quiet()
    alone = carry(ITEMS["key"], "strict", mode, "wrong", "key", env={"BATON_LEAK_AGE": "0.05"}).ok()
    assert alone.err == "baton: BATON_LEAK_AGE: does nothing without BATON_STRICT=on\n", alone.err
