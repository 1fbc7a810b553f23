#!/usr/bin/env python3
"""Measures everything that is promised about cost, one table a question.

    bench.py [--only SECTION,..] [--save] [--quick]

Sections: instructions bytes gated flight crowd startup variables peers tracing. Results go to
build/bench/results.json and are compared with baseline.json; --save makes them the baseline
and draws the plots again.

Time is never compared between runs, only inside a round: with and without, in random order, with
the plain program measured twice as a control (A/A). "best/best" compares the quickest of all
rounds, "paired" is the median of the rounds' ratios, with the smallest and the largest.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time

import instr
import measure
import peers
import plot
import tracing

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.json")
PLOTS = os.path.join(HERE, "plots")
KEY_SIZES = [1, 4, 16, 64]


def heading(text):
    print("\n== %s" % text)


# ---- interleaved pairs ----

def interleave(variants, rounds, seed=1):
    """variants: {name: function -> (best, median)}. {name: [(best, median) a round]}."""
    shuffle = random.Random(seed)
    samples = {name: [] for name in variants}
    for _ in range(rounds):
        names = list(variants)
        shuffle.shuffle(names)
        for name in names:
            samples[name].append(variants[name]())
    return samples


def compare(samples, name, control):
    """How `name` stands to `control`, in the same rounds."""
    ratios = [mine[1] / other[1] for mine, other in zip(samples[name], samples[control])]
    best = min(best for best, _ in samples[name])
    base = min(best for best, _ in samples[control])
    return {"best": round(best, 2), "base": round(base, 2), "best_ratio": round(best / base, 4),
            "paired": round(statistics.median(ratios), 4), "low": round(min(ratios), 3),
            "high": round(max(ratios), 3),
            "median": round(statistics.median(median for _, median in samples[name]), 2)}


not_carried = set()


def one(way, is_shimmed, carried, **options):
    """A driver's (best, median) for its only measurement. A handoff that is not carried is cheap
    and worth nothing: it is remembered, and listed among the problems."""
    def run():
        row = measure.run(way, is_shimmed, carried, **options)[0]
        if carried and row["bad"] and measure.is_hooked(way):
            not_carried.add("%s, k=%s" % (way, row["set"]))
        return row["best"], row["median"]
    return run


# ---- the questions ----

def instructions(quick):
    heading("How many instructions, mallocs, atomics and system calls is a handoff?")
    budgets = instr.load_budgets()
    measured = instr.measure_rows(budgets["rows"])
    instr.print_table(measured, budgets["counts"])
    problems = [line for row in measured for line in instr.problems_of(row, budgets["counts"])]
    return {"rows": measured, "problems": problems}


def bytes_in_flight(quick, rows=None):
    heading("How many bytes is a handoff while it waits (1e6 queued)?")
    rows = rows if rows is not None else instr.load_budgets()["bytes"]
    print("%-34s %8s  %s" % ("RSS a handoff", "plain", "k: beyond plain (allowed); "
                                                       "left after the drain"))
    out = []
    for row in rows:
        options = {"what": "bytes", "batch": row.get("count", 1000000)}
        plain = measure.run(row["way"], False, set=1, **options)[0]
        figures, words = {}, []
        for k in row["k"]:
            mine = measure.run(row["way"], True, measure.carry("key", k), set=k, **options)[0]
            figures[str(k)] = {"bytes": round(mine["bytes"] - plain["bytes"], 2),
                               "left": round(mine["left"] - plain["left"], 2)}
            words.append("%d: %+.2f (%g), left %+.2f" % (k, figures[str(k)]["bytes"],
                                                       row["limit"], figures[str(k)]["left"]))
        over = measure.is_hooked(row["way"]) and bytes_problems(dict(row, figures=figures))
        print("%-34s %8.2f  %s%s" % (row["name"], plain["bytes"], "   ".join(words),
                                    "  <-- over" if over else ""))
        out.append(dict(row, plain=plain["bytes"], figures=figures))
    return {"rows": out, "problems": [line for row in out if measure.is_hooked(row["way"])
                                      for line in bytes_problems(row)]}


def bytes_problems(row):
    problems = []
    for k, fig in row["figures"].items():
        if fig["bytes"] > row["limit"] + 0.3:
            problems.append("%s, k=%s: %.2f bytes, at most %g" % (row["name"], k, fig["bytes"],
                                                                  row["limit"]))
        if fig["left"] > row["left"] + 0.3:
            problems.append("%s, k=%s: %.2f bytes left after the drain" % (row["name"], k,
                                                                          fig["left"]))
    return problems


def gated(quick):
    heading("How much longer does a handoff take (gated: park, queue, open, drain)?")
    limits = {"uv.work": 1.06, "glib.pool": 1.15}
    ways = [("uv.work", 256, 200), ("glib.pool", 256, 200), ("gomp.parallel", 256, 40),
            ("pthread", 64, 10), ("glib.idle", 64, 60), ("event.timer", 256, 60),
            ("event.active", 256, 200), ("ucontext", 256, 60)]
    out = {}
    print("%-15s %8s  %-21s %-32s %-32s" % ("CPU ns", "plain", "A/A best, paired",
                                          "k=1 best, paired [low..high]", "k=64"))
    for way, batch, batches in ways:
        options = {"what": "cpu", "batch": batch, "batches": batches}
        rounds = (5 if quick else 15) if way in limits else (3 if quick else 7)
        samples = interleave({
            "plain": one(way, False, "", set=1, **options),
            "again": one(way, False, "", set=1, **options),
            "idle": one(way, True, "", set=1, **options),
            "k1": one(way, True, measure.carry("key", 1), set=1, **options),
            "k64": one(way, True, measure.carry("key", 64), set=64, **options)}, rounds)
        row = {name: compare(samples, name, "plain") for name in ("again", "idle", "k1", "k64")}
        out[way] = row

        def show(item):
            return "%.3f, %.3f [%.2f..%.2f]" % (item["best_ratio"], item["paired"], item["low"],
                                                item["high"])
        limit = limits.get(way)
        over = limit and max(row["k1"]["best_ratio"], row["k64"]["best_ratio"]) > limit
        print("%-15s %8.1f  %-21s %-32s %-32s%s%s" % (
            way, row["k1"]["base"], "%.3f, %.3f" % (row["again"]["best_ratio"],
                                                    row["again"]["paired"]),
            show(row["k1"]), show(row["k64"]), " (%.2f)" % limit if limit else "",
            "  <-- over" if over else ""))
    return {"ways": out, "limits": limits}


def flight(quick):
    heading("Does a handoff cost more when many are in flight (k=1, CPU ns)?")
    sizes = [1000, 10000, 100000] + ([] if quick else [1000000])
    out = {}
    print("%-11s %10s %9s %9s %9s %9s %-22s %9s" % ("", "in flight", "plain", "A/A", "with", "extra",
                                                    "paired [low..high]", "best/best"))
    for way in ("uv.work", "glib.pool"):
        out[way] = {}
        for size in sizes:
            options = {"what": "cpu", "batch": size, "batches": max(3, 200000 // size), "set": 1}
            samples = interleave({"plain": one(way, False, "", **options),
                                  "again": one(way, False, "", **options),
                                  "k1": one(way, True, measure.carry("key", 1), **options)},
                                 5 if size < 1000000 else 4)
            item = compare(samples, "k1", "plain")
            item["extra"] = round(item["best"] - item["base"], 2)
            item["again"] = compare(samples, "again", "plain")["best_ratio"]
            out[way][str(size)] = item
            print("%-11s %10d %9.1f %9.3f %9.1f %9.1f %-22s %9.3f" % (
                way, size, item["base"], item["again"], item["best"], item["extra"],
                "%.3f [%.2f..%.2f]" % (item["paired"], item["low"], item["high"]),
                item["best_ratio"]))
        first, last = out[way][str(sizes[0])], out[way][str(sizes[-1])]
        plain = last["base"] / first["base"]
        mine = last["best"] / first["best"]
        out[way]["growth"] = {"plain": round(plain, 3), "with": round(mine, 3),
                              "ratio": round(mine / plain, 3)}
        print("%-11s growth from %d to %d: plain x%.2f, with baton x%.2f; baton's part x%.2f "
              "(allowed 1.3)" % (way, sizes[0], sizes[-1], plain, mine, mine / plain))
    return out


def crowd(quick):
    heading("Does it depend on the number of threads or of loaded libraries (k=4, CPU ns)?")
    out = {"threads": {}, "libraries": {}}
    libraries = os.path.join(measure.BENCH, "libs")
    print("%-11s %13s %9s %9s %9s %9s %-22s" % ("", "", "plain", "A/A", "with", "best/best",
                                              "paired [low..high]"))
    for way in ("uv.work", "glib.pool"):
        for what, counts in (("threads", [1, 16, 256]), ("libraries", [1, 20, 110])):
            for number in counts:
                if what == "threads":
                    options = {"what": "threads", "threads": number,
                               "batches": max(2, 256 // number)}
                else:
                    options = {"what": "cpu", "libraries": number, "dir": libraries,
                               "batches": 100}
                options.update(set=4, batch=256)
                samples = interleave({
                    "plain": one(way, False, "", **options),
                    "again": one(way, False, "", **options),
                    "k4": one(way, True, measure.carry("key", 4), **options)}, 3 if quick else 5)
                item = compare(samples, "k4", "plain")
                item["again"] = compare(samples, "again", "plain")["best_ratio"]
                out[what].setdefault(way, {})[str(number)] = item
                print("%-11s %3d %-9s %9.1f %9.3f %9.1f %9.3f %-22s" % (
                    way, number, what, item["base"], item["again"], item["best"],
                    item["best_ratio"], "%.3f [%.2f..%.2f]" % (item["paired"], item["low"],
                                                              item["high"])))
    out["submitters"] = submitters(quick)
    return out


def submitters(quick):
    """256 threads that submit with 64 keys: the same ones all the time, and one changed before each submit."""
    out = {}
    for mode, limit in (("same", 1.1), ("changed", 1.3)):
        options = {"what": "threads", "threads": 256, "batches": 2, "batch": 256, "set": 64, "mode": mode}
        samples = interleave({
            "plain": one("uv.work", False, "", **options),
            "again": one("uv.work", False, "", **options),
            "k64": one("uv.work", True, measure.carry("key", 64), **options)}, 3 if quick else 5)
        item = out[mode] = compare(samples, "k64", "plain")
        item["again"] = compare(samples, "again", "plain")["best_ratio"]
        print("%-11s 256 threads, 64 keys, %-7s %9.1f %9.3f %9.1f %9.3f (aim %.1f)" % (
            "uv.work", mode, item["base"], item["again"], item["best"], item["best_ratio"], limit))
    return out


def startup(quick):
    heading("How much longer does a program take to start?")
    print("CPU is the kernel's account of the whole child: exec, loader, program, exit; ratios are the "
          "median of the rounds' [quarters]")
    program = os.path.join(measure.BENCH, "startup")
    least, empty, trivial = (os.path.join(measure.BENCH, name)
                             for name in ("least.so", "empty.so", "trivial.so"))
    shim = "LD_PRELOAD=" + measure.SHIM
    slots = "BATON_CARRY=key:bench_key_0;tls:bench_tls_0;locale"
    absent = "BATON_CARRY=key:no_such_key;tls:no_such_word;fn:get=no_such_get,set=no_such_set"
    out = {"limits": {"idle": 1.02, "3-slots": 1.08}}
    plan = [("/bin/true", 60 if quick else 1000,
             ["plain", "again", "least-so LD_PRELOAD=" + least, "empty-so LD_PRELOAD=" + empty,
              "trivial LD_PRELOAD=" + trivial,
              "idle " + shim, "3-slots %s %s" % (shim, slots)]),
            (os.path.join(measure.BENCH, "crowd"), 10 if quick else 40,
             ["plain", "again", "empty-so LD_PRELOAD=" + empty, "idle " + shim,
              "3-slots %s %s" % (shim, slots), "3-absent %s %s" % (shim, absent)])]
    print("%-10s %-9s %9s %9s %22s %9s %22s %7s" % ("program", "", "best us", "median", "wall ratio",
                                                    "CPU us", "CPU ratio", "faults"))
    for target, rounds, variants in plan:
        done = measure.call([program, str(rounds), target] + variants, dict(os.environ))
        rows = measure.parse_lines(done.stdout)
        if done.returncode:
            print(done.stderr.strip())
        name = os.path.basename(target)
        out[name] = {}
        for row in rows:
            item = {key: row[key] for key in row if key not in ("way", "variant")}
            item["best_ratio"] = round(row["best_us"] / rows[0]["best_us"], 4)
            out[name][row["variant"]] = item
            print("%-10s %-9s %9.1f %9.1f %22s %9.1f %22s %7d" % (
                name, row["variant"], row["best_us"], row["median_us"],
                "%.3f [%.2f..%.2f]" % (row["ratio"], row["ratio_low"], row["ratio_high"]),
                row["cpu_best_us"],
                "%.3f [%.2f..%.2f]" % (row["cpu_ratio"], row["cpu_ratio_low"], row["cpu_ratio_high"]),
                row["faults"]))
    counted = [("least-so", {"LD_PRELOAD": least}), ("empty-so", {"LD_PRELOAD": empty}), ("trivial", {"LD_PRELOAD": trivial}),
               ("idle", {"LD_PRELOAD": measure.SHIM}),
               ("3-slots", {"LD_PRELOAD": measure.SHIM, "BATON_CARRY": slots.split("=", 1)[1]})]
    plain = measure.count_program(["/bin/true"], {})
    out["instructions"] = {"plain": plain}
    for name, variables in counted:
        out["instructions"][name] = measure.count_program(["/bin/true"], variables) - plain
    print("/bin/true, user instructions: %d plain; " % plain
          + ", ".join("%s %+d" % (name, out["instructions"][name]) for name, _ in counted))
    true, many = out["true"], out["crowd"]
    if "3-slots" in true and "3-slots" in many:
        for name, limit in out["limits"].items():
            item = true[name]
            print("/bin/true, %s: wall %.3f, CPU %.3f of none (allowed %.2f); %.3f of the least that can be "
                  "preloaded, %.3f of an empty library, %.3f of a trivial one" % (
                      name, item["ratio"], item["cpu_ratio"], limit,
                      item["cpu_ratio"] / true["least-so"]["cpu_ratio"],
                      item["cpu_ratio"] / true["empty-so"]["cpu_ratio"],
                      item["cpu_ratio"] / true["trivial"]["cpu_ratio"]))
        for name in ("3-slots", "3-absent"):
            print("crowd (110 libraries, 165,000 symbols), %s: CPU %+.2f ms, wall %+.2f ms (allowed 5)" % (
                (name,) + tuple((many[name][key] - many["plain"][key]) / 1000
                                for key in ("cpu_best_us", "best_us"))))
    return out


def peer_table(quick):
    heading("Is it faster than what others use (ns: capture, adopt, restore; k values)?")
    print("best of the rounds [their median..worst]; baton's figures are all that it adds to a "
          "handoff through the real library, the others' one thread's calls")
    found, missing = peers.commands()
    results = {}
    rounds = 2 if quick else 5
    sets = ",".join(str(k) for k in KEY_SIZES)
    options = {"what": "cpu", "batch": 256, "batches": 100}
    plain, mine = {}, {}
    shuffle = random.Random(2)
    for _ in range(rounds):
        steps = [lambda: peers.run_round(found, results)]
        for way in ("uv.work", "glib.pool"):
            def plain_step(way=way):
                for row in measure.run(way, False, "", set=sets, **options):
                    plain.setdefault((way, row["set"]), []).append(row["best"])

            def mine_step(way=way):
                for row in measure.run(way, True, measure.carry("key", 64), set=sets, **options):
                    if row["bad"]:
                        not_carried.add("%s, k=%s" % (way, row["set"]))
                    mine.setdefault((way, row["set"]), []).append(row["best"])
            steps += [plain_step, mine_step]
        shuffle.shuffle(steps)
        for step in steps:
            step()
        # A difference of two runs is noisier than a peer's loop: more pairs.
        for step in steps[1:] * 2:
            if step.__name__ != "<lambda>":
                step()
    table = peers.summary(results)
    for way in ("uv.work", "glib.pool"):
        table["baton-" + way] = {}
        for k in KEY_SIZES:
            nets = [with_it - min(plain[way, k]) for with_it in mine[way, k]]
            table["baton-" + way][k] = {
                "median": round(statistics.median(nets), 2), "best": round(min(nets), 2),
                "worst": round(max(nets), 2)}
    names = dict(peers.NAMES, **{"baton-uv.work": "baton in libuv",
                                 "baton-glib.pool": "baton in GThreadPool"})
    order = sorted(table, key=lambda name: (not name.startswith("baton"), name not in peers.FLOOR,
                                            table[name][64]["best"]))
    print("%-38s" % "" + "".join("%22s" % ("k=%d" % k) for k in KEY_SIZES))
    for name in order:
        print("%-38s" % names[name] + "".join(
            "%22s" % ("%.1f [%.1f..%.1f]" % (table[name][k]["best"], table[name][k]["median"],
                                            table[name][k]["worst"])) for k in KEY_SIZES))
    for name, sizes in peers.QUOTED.items():
        print("%-38s" % name + "".join("%22s" % sizes[k] for k in KEY_SIZES))
    print("* an equivalent of its design, built here. quoted: measured elsewhere, not in this run.")
    if missing:
        print("not measured: " + "; ".join(missing))
    losses = []
    for k in KEY_SIZES:
        for name in table:
            if name.startswith("baton") or name in peers.FLOOR:
                continue
            if table[name][k]["best"] < table["baton-uv.work"][k]["best"]:
                losses.append("%s at k=%d" % (names[name], k))
    print("slower than: " + ("; ".join(losses) if losses else "no peer, at any k"))
    return {"table": table, "missing": missing, "slower_than": losses, "quoted": peers.QUOTED}


PYTHON_COPY = """
import contextvars, time
for i in range(%d):
    contextvars.ContextVar("var").set(i)
best = 1e9
for repeat in range(7):
    began = time.perf_counter()
    for i in range(20000):
        contextvars.copy_context()
    best = min(best, time.perf_counter() - began)
print("copy_ns %%.1f" %% (best / 20000 * 1e9))
"""


def variables(quick):
    heading("Do the variables of baton.h cost more when there are many (ns)?")
    program = os.path.join(measure.BENCH, "variables")
    environment = dict(os.environ, LD_PRELOAD=measure.SHIM)
    out, problems = {}, []
    print("%-10s %12s %22s %8s %16s" % ("variables", "copy+free", "capture+run+release", "set", "CPython's copy"))
    for count in [1, 10, 100, 1000] + ([] if quick else [10000]):
        best = {}
        for _ in range(2 if quick else 4):
            done = measure.call([program, str(count)], environment)
            done.check_returncode()
            words = done.stdout.split()
            for name, value in zip(words[2::2], words[3::2]):
                best[name] = min(best.get(name, 1e9), float(value))
        done = measure.call([sys.executable, "-c", PYTHON_COPY % count], dict(os.environ))
        done.check_returncode()
        best["cpython_copy_ns"] = float(done.stdout.split()[1])
        out[str(count)] = best
        print("%-10d %12.1f %22.1f %8.1f %16.1f" % (count, best["copy_ns"], best["handoff_ns"],
                                                    best["set_ns"], best["cpython_copy_ns"]))
        for name in ("copy_ns", "handoff_ns"):
            if best[name] > 1.5 * out["1"][name] + 5:
                problems.append("%s: %.1f ns with %d variables, %.1f with one" % (name, best[name], count,
                                                                                 out["1"][name]))
    return {"counts": out, "problems": problems}


def traced(quick):
    heading("What does a trace add to a handoff, beside tracepoints that are compiled in (ns of CPU)?")
    added, missing = tracing.rows(2 if quick else 5)
    for name, value in added.items():
        print("%-46s %6.0f" % (name, value))
    for why in missing:
        print("left out: " + why)
    return {name: round(value) for name, value in added.items()}


SECTIONS = {"instructions": instructions, "bytes": bytes_in_flight, "gated": gated,
            "flight": flight, "crowd": crowd, "startup": startup, "variables": variables,
            "peers": peer_table, "tracing": traced}


# ---- results, earlier results, pictures ----

def flatten(value, path=""):
    """Every number by its path."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = ((item.get("name", str(index)) if isinstance(item, dict) else str(index), item)
                 for index, item in enumerate(value))
    else:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield path, float(value)
        return
    for name, item in items:
        yield from flatten(item, path + "/" + str(name))


def compare_with_baseline(results):
    heading("What changed since the saved run?")
    try:
        with open(BASELINE) as file:
            saved = json.load(file)
    except OSError:
        print("there is no saved run (bench.py --save makes one)")
        return
    print("saved: %s, %s" % (saved.get("date"), saved.get("machine")))
    before, now = dict(flatten(saved["sections"])), dict(flatten(results["sections"]))
    # Counts are exact; of the times only ratios taken inside a round can be compared.
    rules = [("/extra", 1.0, "instructions"), ("/mallocs", 0.001, "mallocs"),
             ("/atomics", 0.002, "atomics"), ("/bytes", 0.3, "bytes"),
             ("/best_ratio", 0.05, "ratio")]
    lines = []
    for path in sorted(now):
        for ending, tolerance, unit in rules:
            if not path.endswith(ending) or path not in before or "/flight/" in path:
                continue
            if "figures" not in path and ending not in ("/best_ratio",):
                continue
            if abs(now[path] - before[path]) > tolerance:
                lines.append("%-78s %10.2f -> %10.2f %s" % (path[1:-len(ending)], before[path],
                                                           now[path], unit))
    print("\n".join(lines) if lines else "nothing beyond noise")


def draw(sections, folder):
    os.makedirs(folder, exist_ok=True)
    if "peers" in sections:
        table = sections["peers"]["table"]
        names = dict(peers.NAMES, **{"baton-uv.work": "baton, libuv",
                                     "baton-glib.pool": "baton, GThreadPool"})
        series = [(names[name], [(int(k), item["best"]) for k, item in sizes.items()],
                   name.startswith("baton")) for name, sizes in table.items()]
        plot.lines(os.path.join(folder, "ns-against-k.svg"),
                   "What carrying k values adds to a handoff", "k values carried", "ns a handoff",
                   series, KEY_SIZES, note="capture + adopt + restore, one run, best of 5 rounds; lower is "
                                           "better; * equivalent of the design")
    if "instructions" in sections:
        series = []
        wanted = [("uv_queue_work, keys", "libuv, keys", True),
                  ("GThreadPool, keys", "GThreadPool, keys", True),
                  ("GOMP_parallel, keys", "OpenMP region, keys", True),
                  ("uv_queue_work, words", "libuv, __thread words", False),
                  ("uv_queue_work, words in a row", "libuv, words in a row", False),
                  ("uv_queue_work, keys, changed before every submit", "libuv, keys, changed",
                   False)]
        for row in sections["instructions"]["rows"]:
            for name, label, ours in wanted:
                if row["name"] == name:
                    points = [(int(k), fig["extra"]) for k, fig in row["figures"].items()
                              if k != "0" and "extra" in fig]
                    series.append((label, points, ours))
        by_hand = [(1, 138), (4, 513), (16, 2013), (64, 9005)]
        series.append(("by hand: glibc keys", by_hand, False))
        plot.lines(os.path.join(folder, "instructions-against-k.svg"),
                   "User instructions that baton adds to a handoff", "k values carried",
                   "instructions a handoff", series, KEY_SIZES, y_low=10,
                   note="callgrind, unmodified libraries, with baton minus without")
    if "flight" in sections:
        series = []
        for way, label in (("uv.work", "libuv"), ("glib.pool", "GThreadPool")):
            sizes = [(int(size), item) for size, item in sections["flight"][way].items()
                     if size != "growth"]
            series.append((label + " with baton", [(size, item["best"]) for size, item in sizes],
                           True))
            series.append((label + " alone", [(size, item["base"]) for size, item in sizes],
                           False))
        plot.lines(os.path.join(folder, "cpu-against-in-flight.svg"),
                   "CPU time of a handoff while many are in flight", "handoffs in flight",
                   "ns a handoff", series, [1000, 10000, 100000, 1000000], y_log=False,
                   note="submit + run, one key carried, best of interleaved runs")


def machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    model = line.split(":", 1)[1].strip()
                    break
    except OSError:
        pass
    return "%s, %d CPUs, kernel %s" % (model, os.cpu_count(), platform.release())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    results = {"date": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(), "sections": {}}
    print("baton benchmarks: %s" % results["machine"])
    for name in arguments.only.split(","):
        step = time.monotonic()
        results["sections"][name] = SECTIONS[name](arguments.quick)
        print("(%s: %.0f s)" % (name, time.monotonic() - step))
        sys.stdout.flush()
    # Through JSON, so that saved and fresh results have the same keys.
    results = json.loads(json.dumps(results))
    with open(os.path.join(measure.BENCH, "results.json"), "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    compare_with_baseline(results)
    heading("What is not within its budget?")
    problems = [line for section in results["sections"].values() if isinstance(section, dict)
                for line in section.get("problems", [])]
    problems += ["not carried: " + name for name in sorted(not_carried)]
    print("\n".join(problems) if problems else "nothing")
    draw(results["sections"], PLOTS if arguments.save else os.path.join(measure.BENCH, "plots"))
    if arguments.save:
        try: # sections that were not run stay as they were saved
            with open(BASELINE) as file:
                results["sections"] = dict(json.load(file)["sections"], **results["sections"])
        except (OSError, KeyError, ValueError):
            pass
        with open(BASELINE, "w") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    print("\n%.0f s; figures in %s" % (time.monotonic() - began,
                                      os.path.relpath(os.path.join(measure.BENCH,
                                                                   "results.json"))))


if __name__ == "__main__":
    main()
