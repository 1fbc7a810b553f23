"""Whether a program's memory grows: what a run of it has at its start, at most and at its end, and from half of its time on.

    watch = Watch()
    carry("key:request_key", "storm", "key", "200000", watch=watch)
    watch.memory.grown
"""
import os
import statistics
import threading
import time
from dataclasses import dataclass

PAGE = os.sysconf("SC_PAGE_SIZE")
LOOK = 0.005           # seconds between two looks
LOOKS = 24             # so many make a run long enough to be judged
LEEWAY = 1 << 20       # bytes, and a part of what there is: queues are longer at times
PART = 0.03


@dataclass
class Memory:
    """Bytes in RAM of a process; `grown`: by so much more than the leeway from its third quarter to its last, None: too short."""
    start: int = 0
    peak: int = 0
    end: int = 0
    grown: int = None

    def __str__(self):
        said = "too short to say" if self.grown is None else f"{self.grown / 1048576:.1f} MiB too much" if self.grown else "flat"
        return " ".join(f"{what} {size / 1048576:.1f}" for what, size in (("start", self.start), ("peak", self.peak), ("end", self.end))) + f" MiB, {said}"


def memory_of(sizes):
    """What sizes at equal distances of time say. Quarters are compared by their medians: what comes and goes is no growth."""
    if not sizes:
        return Memory()
    half, quarter = len(sizes) // 2, len(sizes) * 3 // 4
    grown = None
    if len(sizes) >= LOOKS:
        before, after = statistics.median(sizes[half:quarter]), statistics.median(sizes[quarter:])
        grown = max(0, int(after - before - LEEWAY - PART * before))
    return Memory(sizes[0], max(sizes), sizes[-1], grown)


class Watch:
    """Looks at a process while it runs; `memory` is there once it has ended. harness.run starts it and ends it."""

    def __init__(self):
        self.memory, self.sizes, self.ends, self.thread = None, [], threading.Event(), None

    def begin(self, pid):
        self.thread = threading.Thread(target=self.look, args=(pid,), daemon=True)
        self.thread.start()

    def look(self, pid):
        while not self.ends.is_set():
            try:
                with open(f"/proc/{pid}/statm", "rb") as file:
                    size = int(file.read().split()[1]) * PAGE
            except (OSError, IndexError, ValueError):
                return
            if not size:  # it has ended, and waits for its parent
                return
            self.sizes.append(size)
            time.sleep(LOOK)

    def end(self):
        self.ends.set()
        self.thread.join()
        self.memory = memory_of(self.sizes)


def unexplained(carried, again, plain, runs=3):
    """How many bytes a run has grown that no chance explains and not the program itself: `again` and `plain` run it once more,
    carrying and without us, and are asked only when there is something to explain."""
    grown = carried.grown or 0
    for _ in range(runs - 1):
        if not grown:
            return 0
        grown = min(grown, again().grown or 0)
    # Of the same number of handoffs; how fast they were may differ, and a busy machine may have kept us from looking.
    for _ in range(runs):
        if not grown or grown <= 2 * (plain().grown or 0):
            return 0
    return grown
