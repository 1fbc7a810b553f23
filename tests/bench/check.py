#!/usr/bin/env python3
"""Asserts the budgets: instructions, mallocs, atomics, system calls, bytes. Exit 1 when one broke.

    check.py             every row of budgets.json that has a limit
    check.py --prove     only that a slower shim is caught: a second preload in front of baton that
                         does a malloc, a locked instruction and a system call per submit
"""

import contextlib
import io
import os
import sys
import time

import bench
import instr
import measure


def check_rows(budgets):
    rows = [row for row in budgets["rows"] if not row.get("report")]
    measured = instr.measure_rows(rows)
    return len(rows), [line for row in measured
                       for line in instr.problems_of(row, budgets["counts"])]


def check_bytes(budgets):
    with contextlib.redirect_stdout(io.StringIO()):
        result = bench.bytes_in_flight(False, budgets["bytes"])
    return len(budgets["bytes"]), result["problems"]


def prove(budgets):
    """The budgets that a deliberately slowed GThreadPool breaks: all that it should break."""
    slow = os.path.join(measure.BENCH, "slow.so")
    row = [dict(row, k=[1]) for row in budgets["rows"] if row["name"] == "GThreadPool, keys"]
    problems = instr.problems_of(instr.measure_rows(row, preload_first=slow)[0],
                                 budgets["counts"])
    missed = [word for word in ("instructions", "mallocs", "atomics", "syscalls")
              if not any(word in line for line in problems)]
    return problems, missed


def main():
    began = time.monotonic()
    budgets = instr.load_budgets()
    problems, missed = prove(budgets)
    if missed:
        print("bench-check: a slowed handoff is not caught by: " + ", ".join(missed))
        return 1
    if "--prove" in sys.argv[1:]:
        print("caught, as it must be:")
        print("\n".join("  " + line for line in problems))
        return 0
    rows, problems = check_rows(budgets)
    more_rows, more_problems = check_bytes(budgets)
    problems += more_problems
    print("\n".join("over budget: " + line for line in problems) if problems
          else "every handoff is within its budget")
    print("bench-check: %d budgets, %d broken (%.0f s)" % (rows + more_rows, len(problems),
                                                          time.monotonic() - began))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
