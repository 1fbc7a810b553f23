"""baton flame: a profile's samples stand under who handed the work over."""
import csv
import io
import json
import re
import struct
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

from harness import ROOT, find_program, plain, test
from needs import needs, unable

BATON = ROOT / "scripts" / "baton"


def folded(samples, trace):
    """{stack: samples}"""
    lines = plain(str(BATON), "flame", "--folded", str(samples), str(trace)).ok().quiet().out.splitlines()
    return {stack: int(count) for stack, count in (line.rsplit(" ", 1) for line in lines)}


@test("every sample in a run is under the call that handed it over, and its parents; others stay as they are")
def joined():
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        trace, samples = Path(folder) / "a.trace", Path(folder) / "samples"
        plain(str(BATON), "trace", "--stacks", "8", "-o", str(trace), "--", find_program("trace_pool"), "40").ok()
        rows = list(csv.DictReader(io.StringIO(
            plain(str(BATON), "trace", "--convert", "csv", str(trace)).ok().out)))
        spans = json.loads(plain(str(BATON), "trace", "--convert", "otlp", str(trace)).ok().out)
        first = min(int(span["startTimeUnixNano"]) for span in spans["resourceSpans"][0]["scopeSpans"][0]["spans"])
        monotonic, real = struct.unpack_from("<QQ", trace.read_bytes(), 32)  # both clocks when it was opened
        begin = first - real + monotonic - min(int(row["start_ns"]) for row in rows)
        text = "# a comment\n"
        for row in rows:
            tid = re.search(r"\d+", row["run_thread"])[0]
            middle = begin + (int(row["start_ns"]) + int(row["end_ns"])) // 2
            text += (f"the pool 1/{tid} [001] {middle // 10**9}.{middle % 10**9:09d}:"
                     "     250000 cpu-clock:ppp: \n\t  55d0 inner(char)+0x10 (/usr/bin/x)\n\t  55e0 task+0x20 (/usr/bin/x)\n"
                     "\t  7f00 run_000+0x1 (/usr/lib/baton/libbaton.so)\n\t  7f10 g_thread_pool_thread_proxy+0x1 (/usr/lib/g)\n\n")
        text += "other name  7 1.000001: 1 cpu-clock: \n\t  1 alone+0x1 (x)\n"
        samples.write_text(text)
        stacks = folded(samples, trace)
        if sum(stacks.values()) != len(rows) + 1 or stacks.pop("other name;alone", 0) != 1:
            raise AssertionError(f"samples are missing: {stacks}")
        nested = [stack for stack in stacks if stack.count("g_thread_pool_push") == 2]
        for stack in stacks:
            if not stack.endswith("g_thread_pool_push;task;inner(char)") or ";main;" not in stack or "proxy" in stack:
                raise AssertionError(f"not under who handed it over: {stack}")
        if len(nested) != 1 or "task;g_thread_pool_push;task;" not in nested[0] or stacks[nested[0]] != 10:
            raise AssertionError(f"a task's own handoffs are not under it: {stacks}")
        picture = xml.fromstring(plain(str(BATON), "flame", str(samples), str(trace)).ok().out)
        titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
        if not any(title.startswith("inner(char) (40 samples") for title in titles):
            raise AssertionError(f"not drawn: {titles}")
        samples.write_text("no samples\n")
        plain(str(BATON), "flame", str(samples), str(trace)).exits(1).complains("no sample with a stack")


@needs("perf")
@test("perf's samples of a pool are charged to who asked for it", each=["flame", "flame_tbb"], timeout=60)
def by_perf(program):
    path = find_program(program)
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        data, trace, samples = (Path(folder) / name for name in ("data", "trace", "samples"))
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-g", "-k", "CLOCK_MONOTONIC", "-o", str(data)]
        if plain(*record, "--", "true").code != 0:
            unable("perf may not record")
        plain(*record, "--", str(BATON), "trace", "--stacks", "8", "-o", str(trace), "--", path, timeout=50).ok()
        samples.write_text(plain("perf", "script", "-i", str(data), timeout=50).ok().out)
        stacks = folded(samples, trace)
    seen = {who: sum(count for stack, count in stacks.items() if re.search(who, stack) and ";spin" in stack)
            for who in ("serve_short", "serve_long", "")}
    # A busy machine takes fewer samples, of both alike: those that there are stand under who asked, three to one.
    if not 0 < seen["serve_short"] < seen["serve_long"] or \
            (seen[""] >= 100 and not 1.5 < seen["serve_long"] / seen["serve_short"] < 6) or \
            seen[""] - seen["serve_short"] - seen["serve_long"] > seen[""] / 5:
        raise AssertionError(f"{seen}")
