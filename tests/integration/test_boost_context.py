"""Boost's fibers and coroutines, and GNU Pth: contexts stay with the stack they belong to."""
import re

from harness import CARRIERS, PROGRAMS, call, carry, idle, plain, test
from needs import require, unable

MODES = {
    "fiber": "context::fiber that take turns keep what they set",
    "on_top": "resume_with runs in the values of the fiber that it runs on",
    "unwound": "a suspended fiber that is destroyed is unwound in its own values, and lets them go",
    "exception": "exceptions pass through and out of a coroutine",
    "coroutine": "coroutine2 as a generator",
    "fibers": "Boost.Fiber on one thread",
    "migrate": "Boost.Fiber on two threads that take fibers from one another",
    "threads": "fibers of a thread, threads of a fiber",
}

PTH = {
    "turns": "Pth's threads keep what they set",
    "sleep": "its own scheduler wakes them, pth_exit ends them",
    "cancel": "a cancelled one leaves nothing to the others",
    "rounds": "stacks that are freed and serve again",
}
# What is left: a context for each stack that was freed and served no other yet, so for as many as there were at once.
STACKS = {"turns": 21, "sleep": 4, "cancel": 2, "rounds": 5}


def switches_are_hooked():
    """Those of Boost 1.92 are C++ functions of boost::context::detail; an old one's have a name of C."""
    require("binutils", programs=["boost_context"])
    names = call(["nm", "-D", PROGRAMS / "boost_context"]).stdout
    if not re.search(r"\bjump_fcontext\b", names):
        unable("this Boost switches by functions with C++ names, which are not hooked")


@test("C15: contexts follow Boost's fibers and coroutines", each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def boost(mode, kind):
    for run in (plain, idle):
        run("boost_context", mode, kind).wrong()
    switches_are_hooked()
    carry(CARRIERS[kind], "boost_context", mode, kind).ok().quiet().clean().carried("boost.context")


@test("C15: a fiber's own floating-point control, which the switch takes along, is as without us", each=["fenv", "fenv;locale"])
def own_control(items):
    for run in (plain("boost_context", "control"), idle("boost_context", "control"), carry(items, "boost_context", "control")):
        run.ok()


@test("C15: a stack that is used again without having been left gives its context back", each=CARRIERS)
def abandoned(kind):
    plain("boost_context", "abandoned", kind).wrong()
    switches_are_hooked()
    result = carry(CARRIERS[kind], "boost_context", "abandoned", kind).ok().quiet()
    assert result.reported()["contexts_alive"] == 1, "one suspended stack is left, of a hundred"


@test("C15: contexts follow Pth's threads", each=[(mode, kind) for mode in PTH for kind in ("key", "tls")])
def pth(mode, kind):
    for run in (plain, idle):
        run("pth", mode, kind).wrong()
    after = carry(CARRIERS[kind], "pth", mode, kind).ok().quiet().carried("ucontext")
    assert after.reported()["contexts_alive"] <= STACKS[mode] and not after.reported()["values_alive"], after.reported()
