"""Code of the library as compiled: what is known again by its stack pointer has read it where it stays."""
import bisect
import platform
import re
import subprocess

from harness import LIBRARY, expect, test
from needs import unable

# On the stack itself: compares it, stores it, or copies it. What lies above it is somebody's buffer.
READS = re.compile(r"(?:mov|cmp)\s+%rsp,(?!%rbp)")
GUARD = "P"  # in the letters of a function's unwind table: it has a personality


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def tables():
    """(start, end, [(address, where the frame begins)]) of each guarded function, in order."""
    letters, found, lines = {}, [], None
    for line in said("readelf", "-wF", LIBRARY).splitlines():
        if head := re.match(r'(\w+) \w+ \w+ CIE "(\w*)"', line):
            letters[head[1]], lines = head[2], None
        elif head := re.match(r"\w+ \w+ \w+ FDE cie=(\w+) pc=(\w+)\.\.(\w+)", line):
            lines = []
            if GUARD in letters[head[1]]:
                found.append((int(head[2], 16), int(head[3], 16), lines))
        elif lines is not None and (row := re.match(r"([0-9a-f]{16}) (\S+)", line)):
            lines.append((int(row[1], 16), row[2]))
    return sorted(found)


@test("A2: a guarded function reads its stack pointer where its calls have it, whatever order the compiler gives to its prologue")
def read_behind_the_prologue():
    if platform.machine() != "x86_64":
        unable("instructions are read as x86-64 has them")
    guarded = tables()
    starts = [start for start, _, _ in guarded]
    reads, calls = {}, {}
    for line in said("objdump", "-d", "--no-show-raw-insn", LIBRARY).splitlines():
        code = re.match(r"\s*([0-9a-f]+):\t(.*)", line)
        at = int(code[1], 16) if code else 0
        index = bisect.bisect_right(starts, at) - 1
        if not code or index < 0 or at >= guarded[index][1]:
            continue
        begins = next(where for address, where in reversed(guarded[index][2]) if address <= at)
        if READS.match(code[2]):
            reads.setdefault(index, []).append((begins, code[0].strip()))
        elif "call" in code[2]:
            calls.setdefault(index, set()).add(begins)
    expect(len(reads) > 100, f"only {len(reads)} guarded functions read it")
    wrong = [text for index, found in reads.items() for begins, text in found if begins not in calls.get(index, {begins})]
    expect(not wrong, "read before the frame was made: " + "; ".join(wrong))
