"""Coroutines of the C library: contexts stay with the stack they belong to."""
import subprocess

from harness import CARRIERS, PROGRAMS, ROOT, carry, idle, plain, test

MODES = {
    "switch": "coroutines that take turns keep what they set",
    "arguments": "entry functions get their arguments",
    "link": "uc_link leads from coroutine to coroutine and out",
    "nested": "coroutines that make and drive coroutines",
    "stack_in_stack": "a coroutine whose stack is an array of its maker",
    "move": "coroutines move from thread to thread",
    "reuse": "an unfinished coroutine is dropped when its stack is used again",
    "setcontext": "coroutines that leave by setcontext",
    "jump": "stacks that are switched by _longjmp once entered",
    "longjmp": "the same by longjmp",
    "siglongjmp": "the same by siglongjmp, with the signal mask",
    "fortified": "coroutines that leave by the checked longjmp",
    "jump_inside": "jumps that stay on their stack change nothing",
    "threads": "coroutines start threads, threads drive coroutines",
    "many": "300 coroutines",
}


@test("C15: contexts follow coroutines", each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def coroutine(mode, kind):
    for run in (plain, idle):
        run("ucontext", mode, kind).wrong()
    carry(CARRIERS[kind], "ucontext", mode, kind).ok().quiet().clean().carried("ucontext")


PREEMPTED = [("turns", "key"), ("turns", "tls"), ("turns", "fn"), ("scheduler", "key"), ("scheduler", "swap"), ("step", "key", "3"), ("step", "tls", "61"),
             ("fresh", "key", "67")]


@test("C15: user threads that a handler preempts, at any instruction of a switch", each=PREEMPTED)
def preempted(*case):
    for run in (plain, idle):
        run("preempt", *case).wrong()
    result = carry(CARRIERS[case[1]], "preempt", *case).ok().quiet().carried("ucontext")
    if case[0] == "scheduler":  # the others leave coroutines that never end
        result.clean()


@test("C15: a stack's own floating-point control, which the switch takes along, is as without us",
      each=["fenv", "fenv;locale", "key:none"])
def own_control(items):
    for run in (plain("ucontext_control"), idle("ucontext_control"), carry(items, "ucontext_control")):
        run.ok()


@test("C15: five universes as coroutines on one thread", each=CARRIERS)
def five_universes(kind):
    for run in (plain, idle):
        run("five_universes_ucontext", kind).wrong()
    carry(CARRIERS[kind], "five_universes_ucontext", kind).ok().quiet().clean()


@test("C15: stacks that the program switches by itself are noticed and said; ordinary nested tasks are none")
def unseen():
    result = carry("tls:request_id", "unseen_stack", env={"BATON_LOG": "warn"}).complains("switches stacks by code of its own")
    assert result.reported()["stacks_unseen"] == 1, result.reported()
    run = subprocess.run([ROOT / "scripts/baton", "run", "--verdict", "--carry", "tls:request_id", "--", PROGRAMS / "unseen_stack"],
                         capture_output=True, text=True)
    assert "1 task was on stacks that the program switches by code of its own" in run.stderr, run.stderr
    assert "stacks_unseen" not in carry("tls:request_id", "unseen_stack", "here").ok().quiet().reported()
