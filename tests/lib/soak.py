"""Handoffs by the hundred million, of all families, with cancelling, forking, exiting and throwing in between.

    make soak SECONDS=600 T='storm uv_work'
    tests/lib/soak.py [--seconds N] [--handoffs N] [--seed N] [PROGRAM]...

Test programs are run carrying, two at a time, in an order of chance, until the time is up or so many handoffs are
counted. Each looks at every value itself, after each the report must have nothing alive, and from half of its time on its
memory must not grow (memory.py): more than its plain run's does, in three runs. Says which seed it had, each failure with the
command that repeats it, the memory of each program where it was most, and at the end a line `N passed, N failed`.
"""
import argparse
import random
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402
import memory  # noqa: E402

KINDS = tuple(harness.CARRIERS)
# Programs and their arguments, KIND for the carrier.
MANY = [  # what hands over hundreds of thousands of times
    ("leak_note_glib", "KIND", "1000000"), ("leak_note_uv", "KIND", "1000000"), ("storm", "KIND", "200000"),
    ("glib_source", "storm", "KIND"),
]
WAYS = [  # what leaves, cancels, forks, closes, throws
    ("fork_storm", "KIND", "20"), ("fork_in_task", "KIND"), ("fork_owns", "KIND"), ("five_universes", "KIND"),
    ("glib_pool", "drop", "KIND"), ("glib_pool", "wait", "KIND"), ("glib_source", "ways", "KIND"),
    ("uv_work", "cancel", "KIND"), ("uv_handle", "ways", "KIND"), ("libevent", "ways", "KIND"),
    ("gomp", "split", "KIND"), ("ucontext", "switch", "KIND"), ("sigevent", "aio", "KIND"),
    ("sigevent", "timer", "KIND"), ("gio_task", "cancel", "KIND"), ("gio_task", "thread", "KIND"),
    ("tbb", "cancel", "KIND"), ("tbb", "exception", "KIND"), ("tbb", "nested", "KIND"), ("qt5", "take", "KIND"),
    ("qt6", "exception", "KIND"), ("boost_context", "exception", "KIND"), ("boost_context", "migrate", "KIND"),
]
for ways_out in ("blocked", "often", "closed-in-alloc", "closed-in-receive"):
    WAYS.append(("uv_ways_out", ways_out, "KIND"))
LEFT = [("repeating_left", "libuv", mode) for mode in ("throw", "jump", "none")]
OWNED = [("thread_ends", mode) for mode in ("return", "own", "emptied", "exit", "cancel", "cancel_async", "caught",
                                            "longjmp", "detached")]


def watched(item, words):
    """A run that carries, or a plain one without an item -> its result, its memory. harness.Failure where it goes wrong."""
    watch = memory.Watch()
    if item:
        done = harness.carry(item, *words, timeout=600, watch=watch).ok().quiet().clean()
    else:
        done = harness.plain(*words, timeout=600, watch=watch)
    return done, watch.memory


def tried(item, words):
    """-> (handoffs, its memory, failure or None)."""
    try:
        done, used = watched(item, words)
        grown = memory.unexplained(used, lambda: watched(item, words)[1], lambda: watched(None, words)[1])
    except harness.Failure as failure:
        return 0, memory.Memory(), str(failure)
    counts = done.reported().get("families", {}).values()
    why = f"memory grows: {used}, {grown:,} bytes in each of three runs, and less than half of it without us\n$ {done.literal()}" if grown else None
    return sum(family["carried"] + family["empty"] for family in counts), used, why


def one(choice):
    """A run of chance -> (what it is, handoffs, its memory, failure or None)."""
    row, kind = choice
    item = "key:owned_key" if row in OWNED else "key:request_key" if row in LEFT else harness.CARRIERS[kind]
    words = [kind if word == "KIND" else word for word in row]
    return (" ".join(words), *tried(item, words))


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--handoffs", type=int, default=10 ** 8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("programs", nargs="*")
    options = parser.parse_args()
    there = [row for row in MANY * 8 + WAYS + LEFT + OWNED if (harness.PROGRAMS / row[0]).exists()
             and (not options.programs or row[0] in options.programs)]
    if not there:
        sys.exit("soak: no such program is built: make tests")
    chance = random.Random(options.seed)
    print(f"soak: {options.seconds} s, or {options.handoffs:,} handoffs; --seed {options.seed}", flush=True)
    began = said = time.monotonic()
    handoffs = runs = failed = 0
    most = {}  # of each program, its memory where the peak was highest
    with ThreadPoolExecutor(2) as pool:
        waiting = set()
        while True:
            while len(waiting) < 2 and time.monotonic() - began < options.seconds and handoffs < options.handoffs:
                waiting.add(pool.submit(one, (chance.choice(there), chance.choice(KINDS))))
            if not waiting:  # not before: two may be done at the same moment
                break
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                name, count, used, failure = future.result()
                most[name] = max(most.get(name, used), used, key=lambda memory_of_run: memory_of_run.peak)
                runs += 1
                handoffs += count
                failed += failure is not None
                if failure:
                    print(f"FAILED {name}\n{failure}", flush=True)
            if time.monotonic() - said > 15:
                said = time.monotonic()
                print(f"soak: {said - began:.0f} s, {runs} runs, {handoffs:,} handoffs, {failed} failed", flush=True)
    for name, used in sorted(most.items()):
        print(f"soak: {name}: {used}")
    print(f"soak: {runs} runs, {handoffs:,} handoffs in {time.monotonic() - began:.0f} s")
    print(f"{runs - failed} passed, {failed} failed", flush=True)
    return failed != 0 or not runs


if __name__ == "__main__":
    sys.exit(main())
