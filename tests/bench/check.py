#!/usr/bin/env python3
"""Asserts the budgets: instructions, mallocs, atomics, system calls, bytes, start-up. Exit 1 when one
broke.

    check.py             every row of budgets.json that has a limit
    check.py --only NAME those with NAME in their name, start-up and bytes included
    check.py --prove     only that a slower shim is caught: a second preload in front of baton that
                         does a malloc, a locked instruction, a system call, a lock and a look-up
                         per submit
"""

import concurrent.futures
import contextlib
import io
import os
import sys
import time

import bench
import instr
import measure


RUNS = 5  # of what is over its budget


def ends(sizes):
    """The first two and the last: a cost that grows with k shows between them."""
    return sorted(set(sizes[:2] + sizes[-1:]))


def check_rows(budgets):
    rows = [dict(row, k=ends(row["k"]) if "limit" in row else row["k"][:1]) if "k" in row else row
            for row in budgets["rows"]
            if not row.get("report") and (row.get("idle") or measure.is_hooked(row["way"]))]
    problems, aims, runs = {}, {}, {}
    todo = rows
    # A busy machine can add wake-ups to a run, never take instructions away: what is over its budget is
    # run again, and the least of all runs counts.
    for _ in range(RUNS):
        measured = instr.measure_rows(todo, batches=8, earlier=runs)
        problems = {row["name"]: instr.problems_of(row, budgets["counts"]) for row in measured}
        aims.update({row["name"]: instr.open_aims(row) for row in measured})
        todo = [row for row in todo if problems[row["name"]]]
        if not todo:
            break
    return (len(rows), [line for lines in problems.values() for line in lines],
            [line for lines in aims.values() for line in lines])


def check_bytes(budgets):
    with contextlib.redirect_stdout(io.StringIO()):
        rows = [row for row in budgets["bytes"] if measure.is_hooked(row["way"])]
        result = bench.bytes_in_flight(False, rows)
    return len(rows), result["problems"]


def check_startup(budgets):
    """Of /bin/true, or of the program that a row names, beyond what an empty preloaded library costs.

    The instructions are exact. How many pages one fault brings is the kernel's choice and differs
    from one machine to the next, so the limits on faults leave a third: they find a part that
    starts to write all over its pages, not a page."""
    empty = {"LD_PRELOAD": os.path.join(measure.BENCH, "empty.so")}
    problems = []
    for row in budgets["startup"]:
        mine = {"LD_PRELOAD": measure.SHIM}
        program = row.get("program", "/bin/true").replace("{bench}", measure.BENCH)
        if row["carry"]:
            mine["BATON_CARRY"] = row["carry"]
        count = (measure.count_program([program], mine)
                 - measure.count_program([program], empty))
        if count > row["instructions"]:
            problems.append("%s: %d instructions, at most %d" % (row["name"], count,
                                                                 row["instructions"]))
        done = measure.call([os.path.join(measure.BENCH, "startup"), "40", program]
                            + [" ".join([name] + ["%s=%s" % item for item in env.items()])
                               for name, env in (("empty", empty), ("mine", mine))], dict(os.environ))
        done.check_returncode()
        rows = measure.parse_lines(done.stdout)
        faults = rows[1]["faults"] - rows[0]["faults"]
        if faults > row["faults"]:
            problems.append("%s: %d page faults, at most %d" % (row["name"], faults, row["faults"]))
    return len(budgets["startup"]), problems


def prove(budgets):
    """The budgets that a deliberately slowed GThreadPool breaks: all that it should break."""
    slow = os.path.join(measure.BENCH, "slow.so")
    row = [dict(row, k=[1]) for row in budgets["rows"] if row["name"] == "GThreadPool, keys"]
    problems = instr.problems_of(instr.measure_rows(row, preload_first=slow)[0],
                                 budgets["counts"])
    missed = [word for word in ("instructions", "mallocs", "atomics", "syscalls", "locks", "lookups")
              if not any(word in line for line in problems)]
    return problems, missed


def pick(budgets, name):
    """The rows with NAME in their names, of every kind; upper and lower case are the same."""
    return {key: [row for row in rows if name.lower() in row["name"].lower()]
            if key in ("rows", "startup", "bytes") else rows for key, rows in budgets.items()}


def check_picked(budgets, name):
    budgets = pick(budgets, name)
    rows, problems = 0, []
    for has_rows, check in ((budgets["rows"], check_rows), (budgets["bytes"], check_bytes),
                            (budgets["startup"], check_startup)):
        if has_rows:
            counted, broken = check(budgets)[:2]
            rows += counted
            problems += broken
    if not rows:
        print("bench-check: no budget has %r in its name: see tests/bench/budgets.json" % name)
        return 2
    print("\n".join("over budget: " + line for line in problems) if problems
          else "each is within its budget")
    print("bench-check: %d budgets, %d broken" % (rows, len(problems)))
    return 1 if problems else 0


def main():
    began = time.monotonic()
    budgets = instr.load_budgets()
    if "--only" in sys.argv[1:-1]:
        return check_picked(budgets, sys.argv[sys.argv.index("--only") + 1])
    problems, missed = prove(budgets)
    if missed:
        print("bench-check: a slowed handoff is not caught by: " + ", ".join(missed))
        return 1
    if "--prove" in sys.argv[1:]:
        print("caught, as it must be:")
        print("\n".join("  " + line for line in problems))
        return 0
    # Each of these is one process at a time, which leaves the other processors idle.
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        others = [beside.submit(check, budgets) for check in (check_bytes, check_startup)]
        rows, problems, aims = check_rows(budgets)
    for more_rows, more_problems in (other.result() for other in others):
        rows += more_rows
        problems += more_problems
    for line in aims:
        print("not there yet: " + line)
    print("\n".join("over budget: " + line for line in problems) if problems
          else "every handoff is within its budget")
    print("bench-check: %d budgets, %d broken (%.0f s)" % (rows, len(problems),
                                                          time.monotonic() - began))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
