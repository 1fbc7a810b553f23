"""That make soak finds memory that grows, and nothing else."""
import sys
from concurrent.futures import ALL_COMPLETED, wait

import memory
import soak
from harness import expect, plain, test

MIB = 1 << 20
ITEM = "fn:get=losing_get,set=losing_set"
SHAPES = {  # what a run had at equal distances of time, and whether that is growth
    "flat": ([MIB, 8 * MIB] + [20 * MIB] * 98, False),
    "to the half": ([i * MIB for i in range(50)] + [50 * MIB] * 50, False),
    "up and down": ([20 * MIB + i % 10 * MIB for i in range(100)], False),
    "on and on": ([20 * MIB + i * MIB // 10 for i in range(100)], True),
    "at the end": ([20 * MIB] * 75 + [25 * MIB] * 25, True),
    "too short": ([i * MIB for i in range(memory.LOOKS - 1)], False),
}


@test("memory that grows from half of the time on is found; what comes, goes, or was there by then is none", each=SHAPES)
def growth(what):
    sizes, is_growth = SHAPES[what]
    used = memory.memory_of(sizes)
    expect(bool(used.grown) == is_growth, str(used))
    expect(used.start == sizes[0] and used.peak == max(sizes) and used.end == sizes[-1], str(used))


# Whether the run fails: what each handoff loses is ours, what the program loses as it is is not.
LOSES = {"flat": False, "grows": True, "both": False}


@test("a program whose memory grows with the handoffs fails, one that grows by itself does not", each=LOSES)
def judged(how):
    words = ["thread_after_thread", how, "24000"]
    plain(*words[:-1], "50").wrong()
    handoffs, used, why = soak.tried(ITEM, words)
    expect(handoffs > 100 and used.start and used.grown is not None, f"{handoffs} handoffs, {used}, {why}")
    expect(bool(why) == LOSES[how] and ("memory grows" in (why or "memory grows")), f"{used}: {why}")


@test("it goes on until there are as many handoffs as are wanted, also where two runs end at the same moment")
def goes_on(monkeypatch, capfd):
    monkeypatch.setattr(soak, "one", lambda choice: ("a program", 10, memory.Memory(), None))
    monkeypatch.setattr(soak, "wait", lambda waiting, return_when: wait(waiting, return_when=ALL_COMPLETED))
    monkeypatch.setattr(sys, "argv", ["soak", "--handoffs", "100"])
    status, said = soak.main(), capfd.readouterr().out
    expect(status == 0 and "10 runs, 100 handoffs" in said and "10 passed, 0 failed" in said, f"{status}: {said}")
