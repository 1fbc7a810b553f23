#!/usr/bin/env python3
"""What a handoff costs in user instructions, mallocs, atomics and system calls, and where.

    instr.py table [PATTERN]       the rows of budgets.json, measured
    instr.py profile WAY [OPTION=VALUE]...   each function's share; with lines=N the hottest lines
"""

import json
import os
import sys

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
SHIM_NAME = "libbaton.so"


def load_budgets():
    with open(os.path.join(HERE, "budgets.json")) as file:
        return json.load(file)


def cells_of(row):
    """(slots carried, slots set) of each figure of a row. Nothing set still carries one slot."""
    if row.get("idle"):
        return [(0, 1)]
    if "carry" in row:
        return [(row["carry"], count) for count in row["set"]]
    return [(max(k, 1), k) for k in row["k"]]


def _plain_options(options):
    """Without us nothing looks at values between the submit and the task: one plain run serves all rows
    that submit the same, whatever is set. Who sets values in between sets one, of its kind."""
    return options if options["mode"] != "same" else dict(options, kind="key", destructor=0)


def _jobs_of(row, preload_first, batches):
    mode = row.get("mode", "same")
    options = {"kind": row["kind"], "mode": mode, "batches": batches,
               "destructor": 1 if row.get("destructor") else 0,
               "inside": 1 if row.get("inside") else 0}
    if row.get("all"):
        options["all"] = 1
    for word in ("differs", "late"):
        if row.get(word):
            options[word] = 1
    if "batch" in row:
        options.update(batch=row["batch"], batches=row.get("batches", 1))
    if "libraries" in row:
        options.update(libraries=row["libraries"], dir=os.path.join(measure.BENCH, "many.libs"))
    jobs = []
    for carried, count in cells_of(row):
        items = measure.carry(row["kind"], carried, row.get("policy", "")) if carried else ""
        items = ";".join([items, *row["also"]] if "also" in row else [items])
        plain = (row["way"], False, "", count if row.get("all") else 1, tuple(sorted(_plain_options(options).items())), None, ())
        shimmed = (row["way"], True, items, count, tuple(sorted(options.items())), preload_first,
                   tuple(sorted(row.get("env", {}).items())))
        jobs.append((plain, shimmed))
    return jobs


def _run_job(job, repeat):
    way, is_shimmed, items, count, options, first, env = job
    extra = {name: value.replace("{bench}", measure.BENCH) for name, value in env}
    return [measure.count(way, is_shimmed, items, extra, preload_first=first, set=count, **dict(options))[count]
            for _ in range(repeat)]


def best(runs):
    """The run with the fewest instructions: timers and wake-ups only ever add some."""
    return min(runs, key=lambda counts: counts.steady)


def system_calls(plain, shimmed):
    """{name: more of them a handoff than without us}, the least of all runs: what is always there is
    ours. Of those that wait or wake, as many more than the program by itself may need."""
    def each(runs, name, pick):
        return pick(run.each(run.syscalls()[name]) for run in runs)

    more = {}
    for name in set().union(*(run.syscalls() for run in shimmed)):
        without = each(plain, name, max if name in measure.CHANCE else min)
        more[name] = round(each(shimmed, name, min) - without, 4)
    return {name: count for name, count in more.items() if count > 0}


def figure(plain_runs, shimmed_runs, names=(SHIM_NAME,), alongside=False):
    """alongside: threads run along, whose system calls differ from run to run; then only our own count."""
    plain, shimmed = best(plain_runs), best(shimmed_runs)

    def more(calls, own):
        """Beyond the program's own, and never less than what the library itself has called."""
        difference = shimmed.each(shimmed.calls_of(calls)) - plain.each(plain.calls_of(calls))
        mine = shimmed.each(shimmed.calls_by(names, own))
        return round(max(difference, mine) if mine else difference, 4)

    kernel = {"%s by %s" % (name, os.path.basename(obj)): round(shimmed.each(times), 4)
              for (obj, name), times in shimmed.calls_from.items()
              if name in measure.KERNEL and os.path.basename(obj) in names}
    beyond = {} if alongside else system_calls(plain_runs, shimmed_runs)
    by_name = max(kernel, beyond, key=lambda calls: sum(calls.values()))
    return {
        "base": round(plain.each(plain.steady), 2),
        "extra": round(shimmed.each(shimmed.steady) - plain.each(plain.steady), 2),
        "mallocs": more(measure.MALLOCS, measure.MALLOCS),
        "locks": more(measure.LOCKS, measure.LOCKS),
        "lookups": more(measure.LOOKUPS, measure.LOOKUPS),
        "hashing": round(shimmed.each(shimmed.instructions_of(names, measure.HASHES)), 4),
        "atomics": round(shimmed.each(shimmed.atomics(names)), 4),
        "syscalls": round(sum(by_name.values()), 4),
        "syscalls_by_name": by_name,
        "bad": shimmed.bad,
        "bad_plain": plain.bad,
    }


def measure_rows(rows, preload_first=None, batches=16, earlier=None):
    """[{row's fields, "figures": {"k": figure}}]; a figure is {"error": text} where a run failed.
    `earlier`: a dictionary of all runs so far, which are counted in and which these are added to; while it is empty a
    row is run with us once, whatever its "repeat" says: who gives it runs again what is over its budget."""
    is_first = earlier == {}
    earlier = {} if earlier is None else earlier
    pending = {}
    plan = []
    for row in rows:
        pairs = _jobs_of(row, preload_first, batches)
        plan.append((row, pairs))
        for pair in pairs:
            for job in pair:
                pending[job] = max(pending.get(job, 1), 1 if is_first and job[1] else row.get("repeat", 1))
    jobs = list(pending)
    done = measure.in_parallel([(_run_job, (job, pending[job]), {}) for job in jobs])
    for job, runs in zip(jobs, done):
        before = earlier.get(job)
        earlier[job] = (before if isinstance(runs, measure.Failed) and isinstance(before, list) else
                        before + runs if isinstance(before, list) else runs)
    results = earlier
    names = [SHIM_NAME] + ([os.path.basename(preload_first)] if preload_first else [])
    measured = []
    for row, pairs in plan:
        figures = {}
        for (carried, count), (plain, shimmed) in zip(cells_of(row), pairs):
            label = "idle" if row.get("idle") else str(count)
            pair = results[plain], results[shimmed]
            failed = [str(item) for item in pair if isinstance(item, measure.Failed)]
            figures[label] = ({"error": failed[0]} if failed else
                              figure(*pair, names, row.get("alongside", False)))
        measured.append(dict(row, figures=figures))
    return measured


def limit_of(row, label):
    """Extra instructions allowed, or None."""
    if row.get("report") or "limit" not in row:
        return None
    slots = 0 if label == "idle" else int(label)
    return row["limit"] + row.get("each", 0) * slots


def held_of(row, label):
    """What fails the check: the limit, or, where that is not reached yet, the figure that the row is
    held at so that it cannot get worse ("held" in budgets.json; limit stays the aim)."""
    limit = limit_of(row, label)
    if limit is None or "held" not in row:
        return limit
    return max(limit, limit_of(dict(row, limit=row["held"]), label))


def noise_of(row, limit):
    """What the same program differs from itself. Where a row names nothing of its own: half an
    instruction, and 2 % of its limit, because machines differ too: the C library has versions of
    memcpy and its like for each processor, and what a handoff waits for is the kernel's choice."""
    return row.get("noise", 0.5 + 0.02 * (limit or 0))


def open_aims(row):
    """Rows that are held above their limit: what is still to do, one line each."""
    return ["%s, k=%s: %+.1f instructions, the aim is %+d" % (row["name"], label, fig["extra"], limit_of(row, label))
            for label, fig in row.get("figures", {}).items()
            if "held" in row and "error" not in fig
            and fig["extra"] > limit_of(row, label) + noise_of(row, limit_of(row, label))]


def problems_of(row, counts_limits):
    """Every broken promise of a measured row, one line each."""
    problems = []
    if row.get("report") or not (row.get("idle") or measure.is_hooked(row["way"])):
        return problems
    extras = []
    for label, fig in row["figures"].items():
        where = "%s, k=%s" % (row["name"], label)
        if "error" in fig:
            problems.append("%s: %s" % (where, fig["error"].splitlines()[0]))
            continue
        extras.append(fig["extra"])
        limit = held_of(row, label)
        if limit is not None and fig["extra"] > limit + noise_of(row, limit):
            problems.append("%s: %+.1f instructions, at most %+d" % (where, fig["extra"], limit))
        for name, limit in counts_limits.items():
            limit = row.get(name, limit)
            # Some calls in a thousand handoffs are a pool's growing, not a cost of each.
            if fig[name] > limit + 0.005:
                which = ", ".join("%s %.4f" % call for call in fig["syscalls_by_name"].items()) if name == "syscalls" else ""
                problems.append("%s: %.4f %s, at most %.4f%s" % (where, fig[name], name, limit, which and " (%s)" % which))
        if fig["bad"] and label not in ("idle", "0"):
            problems.append("%s: %d wrong values: not carried" % (where, fig["bad"]))
    if "spread" in row and extras and max(extras) - min(extras) > row["spread"] + noise_of(row, row.get("limit")):
        problems.append("%s: %.1f instructions between the cheapest and the dearest k, at most %d"
                        % (row["name"], max(extras) - min(extras), row["spread"]))
    return problems


def print_table(measured, counts_limits):
    print("Extra user instructions a handoff (callgrind, with baton minus without); "
          "allowed in brackets.")
    print("%-56s %7s  %s" % ("", "plain", "k: extra"))
    for row in measured:
        words = []
        base = None
        for label, fig in row["figures"].items():
            if "error" in fig:
                words.append("%s: FAILED" % label)
                continue
            base = fig["base"] if base is None else base
            limit = limit_of(row, label)
            allowed = "" if limit is None else " (%d)" % limit
            wrong = " not hooked" if not measure.is_hooked(row["way"]) else " BARE" if fig["bad"] and label not in ("idle", "0") else ""
            words.append("%s: %+.1f%s%s" % (label, fig["extra"], allowed, wrong))
        mark = "  <-- over" if problems_of(row, counts_limits) else "  (aim open)" if open_aims(row) else ""
        print("%-56s %7s  %s%s" % (row["name"], "-" if base is None else "%.0f" % base,
                                  "   ".join(words), mark))
    print()
    print("Calls a handoff beyond the program's own "
          "(atomics: executed inside libbaton.so), largest of the row's k.")
    columns = ("mallocs", "atomics", "syscalls", "locks", "lookups", "hashing")
    print("%-56s" % "" + "".join("%10s" % name for name in columns))
    for row in measured:
        figures = [fig for fig in row["figures"].values() if "error" not in fig]
        if figures:
            print("%-56s" % row["name"] + "".join(
                "%10.4f" % max(fig[name] for fig in figures) for name in columns))


def profile(way, words):
    """Instructions a handoff of each function, with and without, largest difference first."""
    options = dict(word.split("=", 1) for word in words)
    kind = options.get("kind", "key")
    number = int(options.pop("carry", options.get("set", "1")))
    lines = int(options.pop("lines", "0"))
    options.setdefault("set", str(number))
    plain = list(measure.count(way, False, **options).values())[0]
    shimmed = list(measure.count(way, True, measure.carry(kind, number), **options).values())[0]
    names = set(plain.functions) | set(shimmed.functions)

    def share(name):
        return shimmed.each(shimmed.functions[name]) - plain.each(plain.functions[name])

    print("%s: %.2f plain, %.2f with (%+.2f), bad=%d" % (
        way, plain.each(plain.instructions), shimmed.each(shimmed.instructions),
        shimmed.each(shimmed.instructions) - plain.each(plain.instructions), shimmed.bad))
    for name in sorted(names, key=lambda item: -abs(share(item)))[:40]:
        if abs(share(name)) >= 0.05:
            print("%+9.2f  %-44s %s" % (share(name), name[1], os.path.basename(name[0])))
    if lines:
        hot = sorted((item for item in shimmed.addresses.items()
                      if os.path.basename(item[0][0]) == SHIM_NAME), key=lambda item: item[0])
        atomics = measure.special_instructions(measure.SHIM)[0]
        for (obj, address), times in hot:
            if shimmed.each(times) >= 0.01:
                print("%8.3f  %8x  %s%s" % (shimmed.each(times), address,
                                            shimmed.lines[obj, address],
                                            "  ATOMIC" if address in atomics else ""))


def main():
    if len(sys.argv) >= 3 and sys.argv[1] == "profile":
        profile(sys.argv[2], sys.argv[3:])
        return
    budgets = load_budgets()
    pattern = sys.argv[2].lower() if len(sys.argv) > 2 else ""
    rows = [row for row in budgets["rows"]
            if pattern in row["name"].lower() or pattern in row["way"]]
    print_table(measure_rows(rows), budgets["counts"])


if __name__ == "__main__":
    main()
