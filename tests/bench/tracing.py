"""What a trace adds to a handoff, beside the three tracepoints that a program would be built with: submit, start
and end, with one value, recorded by LTTng-UST into buffers that are overwritten (a snapshot session)."""
import os
import shutil
import subprocess
import tempfile
import time

import measure

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
KEY = measure.carry("key", 1)


def lttng():
    """Nanoseconds of CPU for the three; or why not."""
    target = os.path.join(measure.BENCH, "peers", "lttng")
    if not shutil.which("lttng") or not shutil.which("lttng-sessiond"):
        return None, "lttng-tools are not installed"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    built = subprocess.run(["cc", "-O2", "-I", HERE, os.path.join(HERE, "lttng.c"), "-o", target, "-llttng-ust", "-ldl"],
                           capture_output=True, text=True)
    if built.returncode:
        return None, "liblttng-ust-dev is not installed"
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, LTTNG_HOME=home)
        daemon = subprocess.Popen(["lttng-sessiond", "--no-kernel"], env=env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            for words in (["create", "bench", "--snapshot"], ["enable-event", "-u", "handoffs:*"], ["start"]):
                done = told(words, env)
            if done.returncode:
                return None, "lttng: " + done.stderr.strip()
            return float(measure.call([target, "100000"], env).stdout), ""
        finally:
            told(["destroy", "--all"], env)
            daemon.terminate()
            daemon.wait()


def told(words, env):
    """One of lttng's commands; its daemon takes a moment to listen."""
    for _ in range(20):
        done = subprocess.run(["lttng", "--no-sessiond", *words], env=env, capture_output=True, text=True)
        if done.returncode == 0 or words[0] == "destroy":
            break
        time.sleep(0.5)
    return done


def rows(rounds):
    """{name: nanoseconds of CPU added to a handoff}, [what is missing]"""
    found, missing = {}, []
    with tempfile.TemporaryDirectory() as folder:
        trace = {"BATON_TRACE": os.path.join(folder, "trace")}
        # A file that is small enough to be written round and round, as LTTng's buffers are; and one that never is full.
        memory = (("", dict(trace, BATON_TRACE_MIB="1"), "400", "best"),
                  (", first 2,000 in new pages", trace, "8", "best"),
                  (", mean of 100,000 in new pages", trace, "400", "mean"))
        for way in ("uv.work", "glib.pool"):
            for where, traced, batches, which in memory:
                best = {}
                for _ in range(rounds):
                    for name, extra in (("carried", None), ("traced", traced)):
                        row = measure.run(way, True, KEY, extra, what="cpu", kind="key", set="1", batches=batches)[0]
                        best[name] = min(best.get(name, row[which]), row[which])
                found["a trace of " + way + where] = best["traced"] - best["carried"]
    took, why = lttng()
    if took is None:
        missing.append(why)
    else:
        found["three tracepoints of LTTng-UST"] = took
    return found, missing


if __name__ == "__main__":
    added, absent = rows(5)
    for name, value in added.items():
        print("%-46s %6.0f ns" % (name, value))
    for why in absent:
        print("left out:", why)
