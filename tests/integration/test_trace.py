"""Traces: BATON_TRACE, baton trace, and what it is converted to."""
import collections
import csv
import io
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import patience
from browser import browser
from compile import compiled
from harness import LIBRARY, PROGRAMS, ROOT, expect, find_program, plain, test
from needs import unable

BATON = ROOT / "scripts" / "baton"
ITEMS = "key:request_key;tls:request_number"


def traced(program, *args, items=ITEMS, env=None, timeout=20):
    """Runs it and gives the trace's path, in a folder that stays as long as the answer does."""
    folder = tempfile.TemporaryDirectory(prefix="baton-test-")
    path = Path(folder.name) / "a.trace"
    plain(str(BATON), "trace", "-o", str(path), "--carry", items, "--", find_program(program), *args, env=env,
          timeout=timeout).ok()
    return folder, path


def convert(path, form, *more):
    return plain(str(BATON), "trace", "--convert", form, *more, str(path)).ok()


def table(path):
    return list(csv.DictReader(io.StringIO(convert(path, "csv").out)))


@test("a trace has the values of a library that came later", each=("", "=number"))
def late_values(shown):
    item = "tls:late_word@liblate"
    libraries = [compiled(f"lib{name}.so", "-shared", "-fPIC", f"-DSTART={start}", "late_word.c")
                 for name, start in (("late", 0), ("other", 55))]
    folder, path = traced("late_library", *libraries, items=item, env={"BATON_SHOW": item + shown} if shown else None)
    with folder:
        values = [row.get(item, "") for row in table(path)]
    seen = [int(value, 10) if shown else int.from_bytes(bytes.fromhex(value.removeprefix("0x")), "little")
            for value in values if value]
    each = [1, 1, 2, 3, 7, 7, 4, 5] * 2 + [2, 3, 7, 7]
    expect(seen == [number for number in each for _ in ("work", "after")], values)


@test("a trace has every handoff: who, where, when, in what thread, with what values", each=("", "all"))
def every_handoff(shown):
    folder, path = traced("trace_pool", 100, env={"BATON_SHOW": shown} if shown else None)
    with folder:
        rows = table(path)
    expect(len(rows) == 125, f"{len(rows)} rows, not 125")
    parents = {row["id"]: row for row in rows}
    nested = 0
    for row in rows:
        expect(row["family"] == "glib.pool" and row["call"] == "g_thread_pool_push", row)
        expect(int(row["submit_ns"]) <= int(row["start_ns"]) <= int(row["end_ns"]), f"times: {row}")
        expect(row["ended"] == "returned", row)
        number = int(row["key:request_key"], 16) - 0x10000
        expect(1 <= number <= 100, row)
        if row["parent"] == "0":
            expect(int(row["tls:request_number"]) == 5000 + number, row)
            expect(row["site"].startswith("main+0x"), row)
        else:
            nested += 1
            parent = parents[row["parent"]]
            expect(row["key:request_key"] == parent["key:request_key"], f"another request's: {row}")
            expect(row["site"].startswith("task+0x"), row)
            expect(parent["run_thread"] == row["submit_thread"], f"not from its parent's thread: {row}")
            expect(int(parent["start_ns"]) <= int(row["submit_ns"]) <= int(parent["end_ns"]), row)
    expect(nested == 25, f"{nested} nested")


@test("a trace where keys alone are carried, which has a quick way of its own: the same rows, and the tasks see their own")
def keys_alone():
    folder, path = traced("trace_pool", 3000, "eight", items="key:request_key")
    with folder:
        rows = table(path)
    expect(len(rows) == 3750 and len({row["id"] for row in rows}) == 3750, f"{len(rows)} rows, not 3750")
    keys = collections.Counter(int(row["key:request_key"], 16) - 0x10000 for row in rows)
    expect(keys == {i: 10 for i in range(1, 3001, 8)}, f"not each request's own: {keys.most_common(3)}")
    for row in rows:
        expect(int(row["submit_ns"]) <= int(row["start_ns"]) <= int(row["end_ns"]), f"times: {row}")
        expect(row["ended"] == "returned" and row["call"] == "g_thread_pool_push", row)
        expect(row["site"].startswith("main+0x" if row["parent"] == "0" else "task+0x"), row)


@test("a locale and rounding that no thread has set are no values; a locale of its own is one")
def nothing_set():
    folder, path = traced("trace_pool", 20, items="key:request_key;locale;fenv")
    with folder:
        rows = table(path)
    expect(len(rows) == 25 and all(row["key:request_key"] for row in rows), f"{len(rows)} rows")
    for row in rows:
        expect(not row.get("locale") and not row.get("fenv"), row)
    folder, path = traced("thread_state", "locale", "return", items="locale")
    with folder:
        expect(any(row.get("locale") for row in table(path)), "no locale at all")


@test("a trace of libuv: work and what comes after it are two runs of one handoff")
def libuv():
    folder, path = traced("uv_work", "after", items="key:request_key")
    with folder:
        rows = [row for row in table(path) if row["call"] == "uv_queue_work"]
    threads = collections.defaultdict(list)
    for row in rows:
        threads[row["id"]].append(row["run_thread"])
        submit = row["submit_thread"]
    expect(rows, "nothing of uv_queue_work")
    expect(any(len(runs) == 2 and runs[0] != submit and runs[1] == submit for runs in threads.values()),
           f"no handoff ran in a worker and then in the loop: {dict(threads)}")


@test("what is dropped, left by an exception, cancelled, or jumped out of says so")
def ends():
    folder, path = traced("trace_pool", 50, "cancel")
    with folder:
        ended = collections.Counter(row["ended"] for row in table(path))
    expect(ended["dropped"] >= 40 and ended["returned"] >= 2, ended)
    for way, word in (("exception", "exception"), ("cancel", "cancelled"), ("longjmp", "jumped")):
        folder, path = traced("trace_ends", way)
        with folder:
            ended = collections.Counter(row["ended"] for row in table(path))
        expect(ended[word] >= 1, f"{way}: {ended}")


@test("what ends by returning says so, also after a setter or free function has left where an attach was dropped that had been "
      "jumped out of", each=("setter", "setter-longjmp", "free"))
def ends_after_one_that_left(way):
    item = "key:request_key,clone=ends_clone,free=ends_free" if way == "free" else "fn:get=ends_get,set=ends_set"
    folder, path = traced("trace_ends", way, items=item)
    with folder:
        ended = collections.Counter(row["ended"] for row in table(path))
    expect(ended == {"jumped": 1, "returned": 1}, ended)


@test("a trace is complete when the program is killed")
def killed():
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        path = Path(folder) / "a.trace"
        env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": ITEMS, "BATON_TRACE": str(path)}
        process = subprocess.Popen([PROGRAMS / "trace_pool", "400", "wait"], env=env, stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            time.sleep(0.05)
            maps = Path(f"/proc/{process.pid}/smaps").read_text()
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        rows = table(path)
    expect(len(rows) == 500 and all(row["ended"] in ("returned", "running") for row in rows), f"{len(rows)} rows")
    expect(sum(row["ended"] == "returned" for row in rows) >= 498, "runs that had ended are missing")
    # Where the kernel has put it at a multiple of 2 MiB, large pages are wanted behind the first.
    first = re.search(rf"^(\w+)-\w+ rw-s 00000000 .*{path}\n", maps, re.M)
    expect(first, f"the trace is not mapped: {maps}")
    second = re.search(rf"^\w+-\w+ rw-s 00200000 .*{path}\n(?:\w+:.*\n)*?VmFlags: (.*)", maps, re.M)
    if int(first[1], 16) % (2 << 20) == 0 and Path("/sys/kernel/mm/transparent_hugepage").exists():
        expect(second and " hg " in f" {second[1]} ", f"no large pages are asked for: {maps}")


@test("a trace is bounded: the oldest records make room, and are counted")
def bounded():
    folder, path = traced("trace_pool", 30000, env={"BATON_TRACE_MIB": "1"}, timeout=60)
    with folder:
        expect(path.stat().st_size < 6 << 20, f"{path.stat().st_size} bytes")
        result = convert(path, "csv")
        rows = list(csv.DictReader(io.StringIO(result.out)))
    result.matches(r"\d{4,} records are missing", "err")
    expect(any(row["tls:request_number"] == "35000" for row in rows), "the last handoff is not there")
    expect(len(rows) < 30000, f"{len(rows)} rows in 1 MiB")


@test("threads that take over from those that have ended: each run is of the thread that ran it")
def turns():
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        path = Path(folder) / "a.trace"
        done = plain(str(BATON), "trace", "-o", str(path), "--carry", "key:request_key", "--",
                     find_program("trace_turns"), "turns").ok()
        ran = dict(line.split() for line in done.out.splitlines())
        rows = table(path)
    expect(len(rows) == len(ran) == 32, f"{len(rows)} rows, {len(ran)} runs")
    for row in rows:
        request = str(int(row["key:request_key"], 16) - 0x10000)
        expect(row["run_thread"] == ran[request], f"{request} ran in {ran[request]}: {row}")


@test("a task that outlives the record of its beginning, which has made room: its end is written to no other's")
def outlived():
    folder, path = traced("trace_turns", "within", 20000, items="key:request_key", env={"BATON_TRACE_MIB": "1"})
    with folder:
        result = convert(path, "csv")
        rows = list(csv.DictReader(io.StringIO(result.out)))
    result.matches(r"\d{4,} records are missing", "err")
    result.matches(r" 0 chunks are damaged", "err")
    for row in rows:
        expect(row["parent"] == "0" or row["key:request_key"] in ("", "0x10040"), f"not the task's value: {row}")
        if row["start_ns"] and row["end_ns"]:
            expect(0 <= int(row["end_ns"]) - int(row["start_ns"]) < 60e9, f"times: {row}")
    rows = [row for row in rows if row["parent"] != "0" and row["submit_ns"]]
    order = [int(row["submit_ns"]) for row in sorted(rows, key=lambda row: int(row["id"]))]
    expect(len(order) > 1000 and order == sorted(order), f"{len(order)} rows of the task's, not in their order")


@test("nothing handed over: a trace without rows; a file that is no trace, a damaged trace: said, no crash")
def odd_files():
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        path = Path(folder) / "a.trace"
        plain(str(BATON), "trace", "-o", str(path), "--", "true").ok().quiet()
        expect(path.stat().st_blocks * 512 < 2 << 20, f"{path.stat().st_blocks} blocks of nothing")
        # It is opened before the program can enter a sandbox, so it is there.
        rows = plain(str(BATON), "trace", "--convert", "csv", str(path)).ok().out.splitlines()
        expect(len(rows) <= 1, f"{len(rows)} rows of nothing")
        plain(str(BATON), "trace", "--convert", "csv", str(path) + "x").exits(1).complains("cannot be read")
        path.write_bytes(b"BATONTR1" + bytes(100))
        plain(str(BATON), "trace", "--convert", "csv", str(path)).exits(1).complains("not a trace")
        plain(str(BATON), "trace", "--convert", "svg", str(path)).exits(2).complains("did you mean csv?")
    folder, path = traced("trace_pool", 200, env={"BATON_TRACE_MIB": "1"})
    with folder:
        whole = path.read_bytes()
        for places in (2**64 - 65536).to_bytes(8, "little"), (1 << 40).to_bytes(8, "little"):
            for at in range(48, 88, 8):  # where its parts are
                path.write_bytes(whole[:at] + places + whole[at + 8:])
                plain(str(BATON), "trace", "--convert", "csv", str(path)).exits(1).complains("not a trace")
        start = int.from_bytes(whole[80:88], "little")  # of the first chunk
        for at in range(start + 80, start + 4000, 997):
            path.write_bytes(whole[:at] + b"\xff\x07\x00\xff" + whole[at + 4:])
            for form in ("csv", "otlp"):
                done = plain(str(BATON), "trace", "--convert", form, str(path))
                expect(done.code == 0, f"{form} ended with {done.code}, damaged at {at}")


@test("Chrome's JSON: every run is a slice, and an arrow joins it to where it was handed over")
def chrome():
    folder, path = traced("trace_pool", 100)
    with folder:
        events = json.loads(convert(path, "chrome").out)["traceEvents"]
    flows = collections.defaultdict(list)
    slices = [event for event in events if event["ph"] == "X"]
    for event in events:
        if event["ph"] in "stf" and "id" in event:
            flows[event["id"]].append(event)
    expect(len(flows) == 125, f"{len(flows)} arrows")
    for arrow in flows.values():
        begin, end = arrow[0], arrow[-1]
        expect((begin["ph"], end["ph"]) == ("s", "f"), arrow)
        expect(begin["ts"] <= end["ts"], arrow)
        expect(any(s["tid"] == end["tid"] and s["ts"] <= end["ts"] <= s["ts"] + s["dur"] and
                   s["args"]["id"] == str(end["id"]) for s in slices), f"the arrow ends in no run: {end}")


# What we write of Perfetto's published schema (protos/perfetto/trace, as it was in 2026): numbers and types.
PERFETTO = {
    "Trace": {1: ("packet", "TracePacket")},
    "TracePacket": {6: ("clock_snapshot", "ClockSnapshot"), 8: ("timestamp", "uint64"),
                    10: ("trusted_packet_sequence_id", "uint32"), 11: ("track_event", "TrackEvent"),
                    13: ("sequence_flags", "uint32"), 58: ("timestamp_clock_id", "uint32"),
                    60: ("track_descriptor", "TrackDescriptor")},
    "ClockSnapshot": {1: ("clocks", "Clock"), 2: ("primary_trace_clock", "BuiltinClock")},
    "Clock": {1: ("clock_id", "uint32"), 2: ("timestamp", "uint64")},
    "TrackDescriptor": {1: ("uuid", "uint64"), 3: ("process", "ProcessDescriptor"), 4: ("thread", "ThreadDescriptor"),
                        5: ("parent_uuid", "uint64")},
    "ProcessDescriptor": {1: ("pid", "int32"), 6: ("process_name", "string")},
    "ThreadDescriptor": {1: ("pid", "int32"), 2: ("tid", "int32"), 5: ("thread_name", "string")},
    "TrackEvent": {4: ("debug_annotations", "DebugAnnotation"), 9: ("type", "Type"), 11: ("track_uuid", "uint64"),
                   22: ("categories", "string"), 23: ("name", "string"), 47: ("flow_ids", "fixed64"),
                   48: ("terminating_flow_ids", "fixed64")},
    "DebugAnnotation": {3: ("uint_value", "uint64"), 6: ("string_value", "string"), 10: ("name", "string")},
}
REPEATED = {"packet", "clocks", "debug_annotations", "categories", "flow_ids", "terminating_flow_ids"}
VARINTS = {"uint64": 64, "uint32": 32, "int32": 31, "Type": 3, "BuiltinClock": 6}  # and how many bits they may have


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def perfetto_message(data, kind):
    """Its fields by name, each a list; nothing that is not in PERFETTO, or of another type."""
    fields, at = collections.defaultdict(list), 0
    while at < len(data):
        key, at = varint(data, at)
        expect(key >> 3 in PERFETTO[kind], f"{kind} has no field {key >> 3}")
        name, of = PERFETTO[kind][key >> 3]
        wire = 0 if of in VARINTS else 1 if of == "fixed64" else 2
        expect(key & 7 == wire, f"{kind}.{name} is a {of}, not of wire type {key & 7}")
        if wire == 0:
            value, at = varint(data, at)
            expect(value < 1 << VARINTS[of], f"{kind}.{name} is no {of}: {value}")
        elif wire == 1:
            value, at = int.from_bytes(data[at:at + 8], "little"), at + 8
        else:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
            value = value.decode() if of == "string" else perfetto_message(value, of)
        expect(name in REPEATED or name not in fields, f"{kind}.{name} stands twice")
        fields[name].append(value)
    expect(at == len(data), f"{kind} is cut off")
    return fields


@test("Perfetto's protobuf: nothing but fields of the published schema; clocks, tracks, slices, flows, values")
def perfetto():
    folder, path = traced("trace_pool", 100)
    with folder:
        out = Path(folder.name) / "a.pftrace"
        convert(path, "perfetto", "-o", str(out))
        packets = perfetto_message(out.read_bytes(), "Trace")["packet"]
    clocks, tracks, open_slices = {}, {}, collections.Counter()
    submitted, ended = {}, {}
    for packet in packets:
        expect(packet["trusted_packet_sequence_id"] == [1], packet)
        if packet["clock_snapshot"]:
            snapshot = packet["clock_snapshot"][0]
            clocks = {clock["clock_id"][0]: clock["timestamp"][0] for clock in snapshot["clocks"]}
            expect(clocks.keys() == {1, 3} and snapshot["primary_trace_clock"] == [3], snapshot)
            expect(abs(clocks[1] / 1e9 - time.time()) < 600, f"not the time of day: {clocks}")
            continue
        if packet["track_descriptor"]:
            track = packet["track_descriptor"][0]
            tracks[track["uuid"][0]] = track
            expect(("parent_uuid" in track) == ("thread" in track), track)
            expect(track["parent_uuid"] == [] or track["parent_uuid"][0] in tracks, track)
            continue
        event, flow = packet["track_event"][0], packet["track_event"][0]["flow_ids"]
        # Readers drop what is on a clock that no snapshot has.
        expect(packet["timestamp_clock_id"] == [3] and packet["timestamp"][0] >= clocks[3], packet)
        track, kind = event["track_uuid"][0], event["type"][0]
        expect(track in tracks, "an event of no track")
        open_slices[track] += {1: 1, 2: -1, 3: 0}[kind]
        expect(open_slices[track] >= 0, "a slice ends that has not begun")
        if kind == 3:
            submitted[flow[0]] = packet["timestamp"][0], event
        elif kind == 1:
            ended[event["terminating_flow_ids"][0]] = packet["timestamp"][0]
    expect(not any(open_slices.values()), f"slices that do not end: {open_slices}")
    expect(len(submitted) == 125 and submitted.keys() == ended.keys(), f"{len(submitted)} and {len(ended)} flows")
    expect(all(submitted[flow][0] <= ended[flow] for flow in ended), "an arrow that goes back in time")
    values = {note["name"][0]: note["uint_value"] for note in submitted[min(submitted)][1]["debug_annotations"]}
    expect(values["tls:request_number"] == [5001], values)


@test("times of a trace are nanoseconds of CLOCK_MONOTONIC, by the processor's counter and by the kernel's clock",
      each=("processor", "kernel"))
def clocks(clock):
    with tempfile.TemporaryDirectory(prefix="baton-test-") as folder:
        path = Path(folder) / "a.trace"
        made = plain(str(PROGRAMS.parent / "unit" / "test_trace_clock"), clock, str(path))
        if made.code == 77:
            unable("this processor's counter of time does not count evenly")
        made.ok()
        noted = [tuple(map(int, line.split())) for line in made.out.splitlines()]
        begin, clock_word = path.read_bytes()[:144], {"processor": 1, "kernel": 2}[clock]
        out = Path(folder) / "a.pftrace"
        convert(path, "perfetto", "-o", str(out))
        packets = perfetto_message(out.read_bytes(), "Trace")["packet"]
        times = [packet["timestamp"][0] for packet in packets if packet["track_event"]]
    word, = struct.unpack_from("=I", begin, 20)
    ticks, ns, last_ticks, last_ns = struct.unpack_from("=QQ88xQQ", begin, 24)
    expect(word == clock_word, f"the file's clock is {word}")
    expect(len(times) == len(noted) == 3 and ns <= noted[0][0] and noted[-1][2] <= last_ns, f"{times} {noted}")
    for got, (before, noted_ticks, after) in zip(times, noted):
        if clock == "kernel":
            expect(got == noted_ticks and before <= got <= after, f"{got}: noted {before} to {after}")
        else:
            expect(abs(got - ns - (noted_ticks - ticks) * (last_ns - ns) // (last_ticks - ticks)) <= 1,
                   f"{got}: {noted_ticks} ticks, from {ticks} at {ns} to {last_ticks} at {last_ns}")


@test("OTLP/JSON: a run is a span, linked to who handed over; a slot may be the trace id")
def otlp():
    folder, path = traced("trace_pool", 40)
    with folder:
        plain_spans = convert(path, "otlp").out
        by_slot = convert(path, "otlp", "--trace-id", "key:request_key").out
        plain(str(BATON), "trace", "--convert", "otlp", "--trace-id", "key:no", str(path)).exits(1)
    for text in (plain_spans, by_slot):
        spans = json.loads(text)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        ids = {span["spanId"]: span for span in spans}
        expect(len(spans) == 50 and len(ids) == 50, f"{len(spans)} spans")
        linked = [span for span in spans if span["links"]]
        expect(len(linked) == 10, f"{len(linked)} links")
        for span in linked:
            parent = ids[span["links"][0]["spanId"]]
            expect(parent["traceId"] == span["traceId"] == span["links"][0]["traceId"], span)
            expect(not parent["links"], f"its submitter was handed over by main: {span}")
        for span in spans:
            expect(len(span["traceId"]) == 32 and len(span["spanId"]) == 16, span)
            expect(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), span)
            expect(abs(int(span["startTimeUnixNano"]) / 1e9 - time.time()) < 600, span)
    expect(len({span["traceId"] for span in spans}) == 40, "a trace id for each request")


@test("forked children write traces of their own; their parent's stays whole")
def forks():
    folder, path = traced("fork_in_task", "key", items="key:request_key")
    with folder:
        files = sorted(Path(folder.name).iterdir())
        rows = table(path)
        expect(rows and len(files) > 1, f"{files}")
        for file in files:
            table(file)


LOOK = """
const view = window.batonView, canvas = document.querySelector('canvas'), g = canvas.getContext('2d');
const scale = canvas.width / canvas.clientWidth;
const pixel = (x, y) => Array.from(g.getImageData(Math.round(x * scale), Math.round(y * scale), 1, 1).data);
"""


@test("the page: one file without network; lanes, arrows, colours, search and hover are drawn, light and dark",
      timeout=120)
def page():
    folder, path = traced("trace_pool", 60)
    with folder, browser() as web:
        out = Path(folder.name) / "a.html"
        convert(path, "html", "-o", str(out))
        text = out.read_text()
        expect("http:" not in text and "https:" not in text and "default-src 'none'" in text, "the page may load something")
        grounds = {}
        for scheme in ("light", "dark"):
            web.prefer(scheme)
            web.open(out.as_uri())
            stats = web.run("return window.batonView.stats")
            expect(stats["handoffs"] == 75 and stats["lanes"] >= 2 and stats["runs"] > 1, stats)
            expect(stats["arrows"] == 75, f"an arrow for each handoff: {stats}")
            drawn = web.run(LOOK + """
                let first = -1;
                for (let i = 0; i < D.run.length && first < 0; i++) if (D.submit[D.run[i]] >= 0) first = i;
                view.range(D.start[first] - 1000, D.end[first] + 1000);
                const [x, y, w] = view.place(first);
                const run = pixel(x + w / 2, y - 3), ground = pixel(canvas.clientWidth - 3, canvas.clientHeight - 3);
                const other = pixel(x + w + 2, y + 400);
                view.colour('family'); const family = pixel(x + w / 2, y - 3);
                view.colour('0');
                view.search('0x10003', true); view.draw();
                const dim = pixel(x + w / 2, y - 3);
                view.search('', true); view.draw();
                const hit = view.at(x + w / 2, y);
                return {run, ground, family, dim, hit: hit === first, first: D.texts[D.values[D.run[first]][1]]};""")
            grounds[scheme] = drawn["ground"]
            expect(drawn["run"] != drawn["ground"], f"the run is not drawn: {drawn}")
            expect(drawn["family"] != drawn["run"], f"colour by a slot's value changes nothing: {drawn}")
            expect(drawn["dim"] != drawn["run"], f"a search does not dim the others: {drawn}")
            expect(drawn["hit"], "the mouse does not find the run")
            found = web.run("view = window.batonView; view.fit(); view.search('0x10004', true); view.draw();"
                            "return [document.body.dataset.found, view.stats.arrows,"
                            "document.getElementById('sum').textContent]")
            expect(found[0] == "2" and found[1] == 2 and "waited" in found[2], f"the way of a request: {found}")
            tip = web.run("""
                const view = window.batonView, canvas = document.querySelector('canvas');
                view.search('', true); const first = D.run.findIndex(h => D.submit[h] >= 0);
                view.range(D.start[first] - 1000, D.end[first] + 1000);
                const [x, y, w] = view.place(first), box = canvas.getBoundingClientRect();
                canvas.dispatchEvent(new PointerEvent('pointermove', {clientX: box.x + x + w / 2, clientY: box.y + y}));
                return document.getElementById('tip').innerText""")
            expect("waited" in tip and "key:request_key" in tip and "g_thread_pool_push" in tip, tip)
            picture = web.picture()
            expect(picture[:4] == b"\x89PNG" and len(picture) > 5000, "no picture")
        expect(sum(grounds["light"][:3]) > 600 > 200 > sum(grounds["dark"][:3]), f"light and dark: {grounds}")


@test("the page: 100,000 handoffs stay fluid", timeout=180)
def page_large():
    folder, path = traced("trace_pool", 80000, timeout=100)
    with folder, browser() as web:
        out = Path(folder.name) / "a.html"
        convert(path, "html", "-o", str(out))
        web.open(out.as_uri())
        times = web.run("""
            const view = window.batonView, times = [];
            for (let i = 0; i < 12; i++) { view.zoom(.6, 700); view.draw(); times.push(view.stats.ms); }
            view.fit(); view.draw(); times.push(view.stats.ms);
            return [view.stats.handoffs, view.stats.runs, times.sort((a, b) => a - b)[6]];""")
    expect(times[0] == 100000, f"{times[0]} handoffs")
    expect(times[1] < 10000, f"{times[1]} blocks drawn for a screen of 1,280 pixels")
    expect(times[2] * patience.share() < 200, f"a frame takes {times[2]} ms, of which {patience.share():.0%} are ours")
