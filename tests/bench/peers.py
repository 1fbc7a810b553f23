"""The peers: other ways to carry context from a submitter to a worker, timed in one model.

What is not installed is skipped and listed. What cannot be had in Debian is quoted, with its
source, and never mixed up with what was measured in this run.
"""

import os
import shutil
import statistics
import subprocess

import measure

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
OUT = os.path.join(measure.BENCH, "peers")
SCALA = "/usr/share/java/scala-library.jar"
SIZES = [1, 4, 16, 64]

NAMES = {
    "hand-pointer": "C by hand: one pointer",
    "hand-refcount": "C by hand: counted pointer",
    "hand-words": "C by hand: __thread words",
    "hand-keys": "C by hand: pthread keys",
    "otel-cpp-design": "OpenTelemetry C++ design*",
    "python-contextvars": "Python contextvars",
    "node-als": "Node AsyncLocalStorage",
    "scala-dynamic": "Scala DynamicVariable",
    "go-labels": "Go labels",
}
# Peers do what baton does without being told; the floor is code written for one program.
FLOOR = {"hand-pointer", "hand-refcount", "hand-words", "hand-keys"}

# Measured on another machine (Xeon, same model), not in this run.
QUOTED = {
    "folly RequestContext (quoted)": {1: 28.6, 4: 28.5, 16: 28.5, 64: 28.6},
    "OTel Java wrap (quoted)": {1: 9.8, 4: 9.7, 16: 9.7, 64: 9.6},
    "Java TTL wrap (quoted)": {1: 339, 4: 676, 16: 2332, 64: 10054},
}


def _stale(target, source):
    return not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source)


def _build(target, source, command):
    if _stale(target, source):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def commands():
    """({name: argv}, [what is missing and why])"""
    os.makedirs(OUT, exist_ok=True)
    found, missing = {}, []

    def offer(name, tools, target, source, build, argv):
        absent = [tool for tool in tools if not (shutil.which(tool) or os.path.exists(tool))]
        if absent:
            missing.append("%s: no %s" % (name, ", ".join(absent)))
            return
        try:
            if build:
                _build(target, source, build)
            found[name] = argv
        except (subprocess.CalledProcessError, OSError) as error:
            missing.append("%s: does not build (%s)" % (name, error))

    source = {name: os.path.join(HERE, name) for name in os.listdir(HERE)}
    target = {name: os.path.join(OUT, name) for name in ("hand", "otel", "labels",
                                                        "Dynamic.class")}
    offer("C by hand", ["cc"], target["hand"], source["hand.c"],
          ["cc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", target["hand"], source["hand.c"]],
          [target["hand"]])
    offer("OpenTelemetry C++ design", ["c++"], target["otel"], source["otel.cc"],
          ["c++", "-O2", "-pthread", "-o", target["otel"], source["otel.cc"]], [target["otel"]])
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"
    offer("Python contextvars", [python], "", "", None, [python, source["contextvars_peer.py"]])
    offer("Node AsyncLocalStorage", ["node"], "", "", None, ["node", source["als.js"]])
    offer("Scala DynamicVariable", ["javac", "java", SCALA], target["Dynamic.class"],
          source["Dynamic.java"],
          ["javac", "-cp", SCALA, "-d", OUT, source["Dynamic.java"]],
          ["java", "-cp", SCALA + ":" + OUT, "Dynamic"])
    offer("Go labels", ["go"], target["labels"], source["labels.go"],
          ["go", "build", "-o", target["labels"], source["labels.go"]], [target["labels"]])
    return found, missing


def run_round(found, results):
    """One run of every peer, into results[peer][k] -> [ns]."""
    sizes = [str(size) for size in SIZES]
    for argv in found.values():
        done = measure.call(argv + sizes, dict(os.environ))
        for line in done.stdout.splitlines():
            words = dict(word.split("=", 1) for word in line.split())
            if "peer" in words:
                results.setdefault(words["peer"], {}).setdefault(int(words["k"]), []).append(
                    float(words["ns"]))


def summary(results):
    return {peer: {k: {"median": round(statistics.median(values), 2),
                       "best": round(min(values), 2), "worst": round(max(values), 2)}
                   for k, values in sizes.items()}
            for peer, sizes in results.items()}
