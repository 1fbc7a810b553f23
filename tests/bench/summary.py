#!/usr/bin/env python3
"""Prints the saved run (baseline.json) as the README's table of costs: scripts/gen-docs calls it."""

import json
import os

BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baseline.json")

# Row of the instructions, way of the gated times, row of the bytes.
WAYS = [("uv_queue_work", "uv_queue_work, keys", "uv.work", "uv_queue_work in flight"),
        ("GThreadPool, push to run", "GThreadPool, keys", "glib.pool", "GThreadPool in flight"),
        ("GOMP_parallel, a region", "GOMP_parallel, keys", "gomp.parallel", None),
        ("pthread_create and join", "pthread_create + join, keys", "pthread", None),
        ("g_idle_add to dispatch", "g_idle_add to dispatch, keys", "glib.idle",
         "g_idle_add in flight"),
        ("libevent timer", "libevent timer, keys", "event.timer", "libevent timer in flight"),
        ("event_active", "event_active, keys", "event.active", None),
        ("swapcontext, a switch", "swapcontext, a switch, keys", "ucontext", None)]


def main():
    with open(BASELINE) as file:
        saved = json.load(file)
    sections = saved["sections"]
    rows = {row["name"]: row["figures"] for row in sections["instructions"]["rows"]}
    waiting = {row["name"]: row["figures"] for row in sections["bytes"]["rows"]}
    print("| one handoff | instructions added, 1 key / 64 keys | CPU time with / without, 1 / 64 "
          "(the same twice): best of the rounds | median of pairs | bytes while it waits |")
    print("|---|---|---|---|---|")
    for label, counted, way, waits in WAYS:
        times = sections["gated"]["ways"][way]
        print("| %s | %+.0f / %+.0f | %.2f / %.2f (%.2f) | %.2f / %.2f (%.2f) | %s |" % (
            label, rows[counted]["1"]["extra"], rows[counted]["64"]["extra"],
            *(times[which][ratio] for ratio in ("best_ratio", "paired")
              for which in ("k1", "k64", "again")),
            "%.0f" % max(0, waiting[waits]["1"]["bytes"]) if waits else ""))
    true, counts = sections["startup"]["true"], sections["startup"]["instructions"]
    print()
    print("| start of `/bin/true` | CPU time to none | instructions added | page faults |")
    print("|---|---|---|---|")
    for name, label in (("again", "the same twice"), ("least-so", "the least that can be preloaded"),
                        ("empty-so", "an empty preloaded library"),
                        ("trivial", "one that hooks one function"), ("idle", "baton, nothing configured"),
                        ("3-slots", "baton, three slots")):
        if name not in true:
            continue
        print("| %s | %.3f | %s | %s |" % (
            label, true[name].get("cpu_ratio", true[name].get("paired", 0)),
            "%+d" % counts[name] if name in counts else "",
            "%+d" % (true[name]["faults"] - true["plain"]["faults"]) if "faults" in true[name] else ""))
    print()
    print("%s; %s." % (saved["date"], saved["machine"]))


if __name__ == "__main__":
    main()
