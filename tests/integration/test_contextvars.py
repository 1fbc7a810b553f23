"""Rule F26: contextvars in C (include/baton.h), by PEP 567's behaviour."""
import re

from compile import compiled
from harness import PROGRAMS, ROOT, carry, plain, run, test
from needs import needs, require, runtime
from test_valgrind import IN_TURN, in_turn

ASAN = runtime("libasan.so")
REPORT = {"BATON_REPORT": "stderr"}
EVERYWHERE = ("get_and_set", "reset", "reset_out_of_order", "used_token", "other_variable", "many", "ends", "thread_ends")
ONLY_LOADED = ("other_context", "other_thread", "isolated_run", "empty_context", "nested_runs", "entered_elsewhere",
               "iterate", "longjmp", "run_in_coroutine", "pthread_exit", "pool", "submit_in_run", "by_hand")


def loaded(program, *args):
    """Nothing is configured: the first use of the header switches carrying on."""
    after = run(program, *args, env=REPORT)
    for what in ("contexts_alive", "records_alive", "values_alive"):
        after.matches(rf'"{what}":0,', "err")
    return after


@test("F26: tokens, defaults and ends of values, with and without the library", each=EVERYWHERE)
def everywhere(mode):
    plain("contextvars", mode).ok().quiet() if mode != "many" else plain("contextvars", mode)
    loaded("contextvars", mode).ok()


@test("F26: a thread that begins with nothing ends its values, however many keys the program has taken before",
      each=("few", "many"))
def many_keys(mode):
    plain("many_keys", mode).ok().quiet()
    after = run("many_keys", mode, env={**REPORT, "BATON_INHERIT": "none"}).ok()
    after.matches(r'"contexts_alive":0,"records_alive":0,"values_alive":0', "err")


@test("F26: contexts, runs, handoffs: with the library; without it the program still runs", each=ONLY_LOADED)
def contexts(mode):
    plain("contextvars", mode).wrong().quiet()
    loaded("contextvars", mode).ok()


@test("BATON_DISABLE=all: variables of include/baton.h are handed on no more, the program still runs",
      each=("pool", "submit_in_run", "by_hand"))
def disabled(mode):
    loaded("contextvars", mode).ok()
    run("contextvars", mode, env={"BATON_DISABLE": "all", "BATON_STRICT": "1", "BATON_CARY": "x"}).wrong().quiet()


@test("F26: variables are carried beside slots, of every way of carrying", each=("key:one_key", "tls:nothing_tls",
                                                                              "locale"))
def beside_slots(item):
    for mode in EVERYWHERE + ONLY_LOADED:
        carry(item, "contextvars", mode).ok().clean()


@needs("valgrind")
@test("F26: valgrind finds nothing lost and nothing used after its end", timeout=200)
def under_valgrind():
    modes = ("ends", "thread_ends", "many", "pool", "nested_runs", "by_hand")
    after = run("valgrind", "-q", "--error-exitcode=9", "--leak-check=no", PROGRAMS / "contextvars", *in_turn(modes),
                env=REPORT, timeout=180, before=[IN_TURN])
    after.ok().says(*(f"{mode}: exit 0\n" for mode in modes))


@test("F26: five universes: the lines are those of the asyncio program")
def universes():
    original = plain("python3", ROOT / "tests" / "programs" / "universes.py").ok().quiet()
    copy = run("universes").ok().quiet()
    if copy.out != original.out:
        copy.fail(f"the original says:\n{original.out}")
    without = plain("universes").ok()
    if without.out == original.out:
        without.fail("without the library the variables are plain thread-locals")


@needs("libasan.so")
@test("F26: many threads, tasks and contexts at once: every value ends once", each=("contextvars", "contextvars_address"))
def storm(program):
    asan = [ASAN] if program.endswith("address") else []
    if asan:
        require("libasan.so")
    run(program, "storm", before=asan).ok().quiet()


# The sanitizer warns of swapcontext.
@test("F26: the same under AddressSanitizer",
      each=[mode for mode in EVERYWHERE + ONLY_LOADED if mode != "run_in_coroutine"])
def under_asan(mode):
    run("contextvars_address", mode, before=[ASAN], env={"ASAN_OPTIONS": "detect_leaks=0"}).ok().quiet()


@test("F26: the header is C89, and C++", each=("contextvars_c89", "contextvars_cxx"))
def languages(program):
    loaded(program).ok()
    if program == "contextvars_c89":
        plain(program).ok().quiet()


@test("F26: what is set in a run that an exception leaves stays inside")
def exception():
    loaded("contextvars_cxx").ok().says("outside 1 inside 2\n", "entered again 0\n")


@test("F26: copying, and handing over, cost the same for 1 and for 3000 variables", timeout=120)
def constant_cost():
    for attempt in range(4):
        few, many = (re.search(r"copy_ns (\S+) handoff_ns (\S+)", run("contextvars_cost", count).ok().out).groups()
                     for count in (1, 3000))
        if all(float(b) < 1.5 * float(a) for a, b in zip(few, many)):
            return
    raise AssertionError(f"1 variable: {few} ns, 3000 variables: {many} ns")


@test("F26: a plugin that uses the header is opened by a program that carries nothing and has done without our tables")
def late_plugin():
    plugin = compiled("liblatevariables.so", "-shared", "-fPIC", "late_variables.c")
    program = compiled("late_variables", "late_variables_main.c", "-ldl")
    run(program, plugin).ok().quiet().says("before 1, inside 7, after 1")
