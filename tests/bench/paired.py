#!/usr/bin/env python3
"""Real programs under load: how much processor time they take with baton, beside the same program twice.

    scripts/real-programs --time [--minutes N] [--save] [--markdown FILE] [NAME...]

Rounds of four runs in an order of chance: as it is, as it is once more (the control), with the library preloaded and
nothing configured, and carrying a key and a word that are not empty (tests/programs/probe.so.c). What counts is user and
system time of the program and of all its processes (wait4), never that of who asks a server. A figure is the ratio of two medians,
with the interval in which 95 of 100 resamplings of the rounds have it. A program is done when the control's interval is within
1 % of 1, or when the time is over. With --save the table becomes that of the guide (tests/bench/programs.json), or these rows of it.
"""
import argparse
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SAVED = HERE / "programs.json"
sys.path.insert(0, str(HERE))
import bench  # noqa: E402
import measure  # noqa: E402

loader = importlib.machinery.SourceFileLoader("real_programs", str(ROOT / "scripts" / "real-programs"))
real = importlib.util.module_from_spec(importlib.util.spec_from_loader("real_programs", loader))
loader.exec_module(real)

ARMS = ("plain", "again", "idle", "carrying")
ENOUGH = 0.01          # of the control's interval, to each side of 1
LEAST, MOST = 6, 200   # rounds
RESAMPLED = 1000
PROGRAMS = {}
FAULTS = (real.Wrong, real.patience.Late, OSError)  # of one run: told, and the others go on


def program(what, *commands):
    def register(function):
        PROGRAMS[function.__name__] = (what, commands, function)
        return function
    return register


class Run(real.Run):
    """One run, whose processor time is the program's and its processes': `seconds`."""

    def __init__(self, folder, arm, report=False):
        super().__init__(folder, "carrying" if arm == "carrying" else "plain")
        self.arm = arm
        if arm == "idle":
            self.env["LD_PRELOAD"] = str(real.LIBRARY)
        if not report:
            self.env.pop("BATON_REPORT", None)
        self.seconds = 0.0

    def name(self, items):
        """Carrying, these of the program's own functions are hooked, too."""
        if self.arm == "carrying":
            self.env["BATON_HOOKS"] = items

    def spend(self, *words, asked=None, port=None, stop=signal.SIGTERM, status=(0,), **more):
        """Runs the words to their end; a server is asked by `asked`, which may say how much work it was, and told to stop."""
        work = None
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen(words, env=dict(self.env, **more), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
            try:
                if asked:
                    real.wait_for(port, process)
                    work = asked()
                    process.send_signal(stop)
                _, code, usage = os.wait4(process.pid, 0)
                process.returncode = code = os.waitstatus_to_exitcode(code)
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if code not in status and not (asked and code == -stop):
            raise real.Wrong(f"{words[0]} ended with {code}: {self.log()}")
        if "baton:" in self.log():
            raise real.Wrong(f"{words[0]} said: {self.log()}")
        self.seconds += (usage.ru_utime + usage.ru_stime) / (work or 1)

    def ask(self, *words):
        """Who asks a server runs without baton, and its time does not count."""
        done = real.run_bytes(*words, cwd=self.folder)
        if done.returncode:
            raise real.Wrong(f"{words[0]} ended with {done.returncode}: {done.stderr[-300:]!r}")
        return done.stdout


def ask_nginx(run, port):
    """wrk goes by time: a run's processor time is that of so many files."""
    said = run.ask("wrk", "-t", "1", "-c", "8", "-d", "1", f"http://127.0.0.1:{port}/file0").decode()
    if "Non-2xx" in said or not (number := re.search(r"(\d+) requests in", said)):
        raise real.Wrong(f"wrk says: {said}")
    return int(number[1]) / 10000


@program("2 workers, aio threads; a second of wrk, time of 10,000 files", "nginx", "wrk")
def nginx(run):
    port, folder = real.free_port(), real.site(run)
    for number in range(4):
        (folder / f"file{number}").write_bytes(bytes(range(256)) * 64 * (number + 1))
    config = run.path("nginx.conf", f"""user root; daemon off; worker_processes 2; pid {run.folder}/pid;
        error_log {run.folder}/errors; thread_pool default threads=4; events {{ worker_connections 64; }}
        http {{ access_log off; aio threads; sendfile off; keepalive_requests 1000000; client_body_temp_path {run.folder}/a;
        proxy_temp_path {run.folder}/b; fastcgi_temp_path {run.folder}/c; uwsgi_temp_path {run.folder}/d;
        scgi_temp_path {run.folder}/e; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}""")
    run.name("preset:nginx")
    run.spend("nginx", "-c", config, "-e", run.path("errors"), port=port, stop=signal.SIGQUIT,
              asked=lambda: ask_nginx(run, port))


def ask_redis(run, port):
    run.ask("redis-benchmark", "-p", str(port), "-q", "-n", "10000", "-c", "20", "-P", "16", "-t", "set,get")


@program("2 I/O threads; redis-benchmark, 20,000 SET and GET", "redis-server", "redis-benchmark")
def redis(run):
    port = real.free_port()
    run.spend("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--io-threads", "2",
              "--io-threads-do-reads", "yes", "--dir", str(run.folder), port=port, asked=lambda: ask_redis(run, port))


def ask_memcached(port):
    asked = b"".join(b"set key%d 0 0 8\r\n12345678\r\nget key%d\r\n" % (n, n) for n in range(50))
    wanted = b"".join(b"STORED\r\nVALUE key%d 0 8\r\n12345678\r\nEND\r\n" % n for n in range(50))
    clients = [real.socket.create_connection(("127.0.0.1", port), real.CONNECTION_S) for _ in range(8)]
    streams = [client.makefile("rwb") for client in clients]
    for _ in range(100):
        for stream in streams:
            stream.write(asked)
            stream.flush()
        for stream in streams:
            if stream.read(len(wanted)) != wanted:
                raise real.Wrong("memcached answers something else")
    for stream, client in zip(streams, clients):
        stream.close()
        client.close()


@program("4 threads; 8 connections, 80,000 set and get", "memcached")
def memcached(run):
    port = real.free_port()
    run.spend("memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "root", "-t", "4", port=port, status=(0, 1),
              asked=lambda: ask_memcached(port))


def ask_named(port):
    """Questions by hand, eight under way: www.test, A."""
    question = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x04test\x00\x00\x01\x00\x01"
    with real.socket.socket(real.socket.AF_INET, real.socket.SOCK_DGRAM) as one:
        one.settimeout(60)
        one.connect(("127.0.0.1", port))
        loaded = False
        while not loaded:
            one.send(b"\x00\x00" + question)
            loaded = b"\xc0\x00\x02\x01" in one.recv(4096)
        for first in range(0, 12000, 8):
            for number in range(first, first + 8):
                one.send(number.to_bytes(2, "big") + question)
            for _ in range(8):
                if b"\xc0\x00\x02\x01" not in one.recv(4096):
                    raise real.Wrong("named answers something else")


@program("2 threads; 12,000 questions by UDP", "named")
def named(run):
    port = real.free_port()
    run.path("zone", real.ZONE)
    config = run.path("named.conf", f"""options {{ directory "{run.folder}"; listen-on port {port} {{ 127.0.0.1; }};
        listen-on-v6 {{ none; }}; pid-file none; recursion no; dnssec-validation no; session-keyfile none; }};
        controls {{ }}; zone "test" {{ type primary; file "{run.folder}/zone"; }};""")
    run.spend("named", "-g", "-c", config, "-n", "2", port=port, asked=lambda: ask_named(port))


@program("a blur of 4,000 by 3,000", "vips")
def vips(run):
    run.spend("vips", "sines", "in.v", "4000", "3000", "--uchar", "--hfreq", "3", "--vfreq", "5")
    run.seconds = 0
    run.spend("vips", "gaussblur", "in.v", "out.v", "10")


@program("OpenMP; a swirl, blur and resize of 700 by 500", real.CONVERT)
def imagemagick(run):
    run.spend(real.CONVERT, "-size", "700x500", "gradient:red-blue", "-swirl", "120", "-blur", "0x4", "-resize", "400x300",
              "-depth", "8", run.path("out.ppm"), OMP_NUM_THREADS="4")


@program("4 threads; 3 s of MPEG-4 with filters", "ffmpeg")
def ffmpeg(run):
    run.spend("ffmpeg", "-nostdin", "-v", "error", "-threads", "4", "-filter_threads", "4", "-f", "lavfi", "-i",
              "testsrc2=d=3:s=320x240:r=15", "-vf", "hqdn3d,gblur=2,scale=200:150", "-c:v", "mpeg4", "-threads", "4", "-f",
              "md5", run.path("sum"))


@program("3 queues; 400 frames converted and scaled", "gst-launch-1.0")
def gstreamer(run):
    run.spend("gst-launch-1.0", "-q", "videotestsrc", "num-buffers=400", "pattern=ball", "!",
              "video/x-raw,width=320,height=240,framerate=30/1", "!", "queue", "!", "videoconvert", "!", "queue", "!",
              "videoscale", "!", "video/x-raw,format=RGB,width=80,height=60", "!", "queue", "!", "fakesink",
              GST_REGISTRY=str(Path(tempfile.gettempdir()) / "baton-paired-registry"))


NODE = """
const fs = require('fs'), crypto = require('crypto');
let left = 4000;
const step = () => { if (left-- > 0) fs.stat('script.js', () => crypto.randomBytes(64, () => setImmediate(step))); };
for (let i = 0; i < 8; i++) step();
"""


@program("8,000 tasks of libuv's pool", "node")
def node(run):
    run.spend("node", run.path("script.js", NODE))


PYTHON = """
import concurrent.futures, hashlib
data = bytes(4096)
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(len(one) for one in pool.map(lambda number: hashlib.sha256(data).hexdigest(), range(8000))))
"""


@program("a pool of 4 threads, 8,000 tasks", "/usr/bin/python3")
def python3(run):
    run.spend("/usr/bin/python3", run.path("script.py", PYTHON))


@program("-j2, 100 files of C", "make", "cc")
def make(run):
    names = [f"file{number}" for number in range(100)]
    for number, name in enumerate(names):
        run.path(name + ".c", f"#include <stdio.h>\nint f{number}(int x) {{ return printf(\"%d\", x + {number}); }}\n")
    run.path("Makefile", f"all: {' '.join(name + '.o' for name in names)}\n%.o: %.c\n\tcc -c -o $@ $<\n")
    run.spend("make", "-s", "-j2")


@program("500 processes one after the other", "sh", "true")
def shell(run):
    run.spend("sh", run.path("script", "i=0\nwhile [ $i -lt 500 ]; do /bin/true; i=$((i + 1)); done\n"))


def once(name, arm, report=False):
    with tempfile.TemporaryDirectory(prefix="baton-paired-") as folder:
        run = Run(folder, arm, report)
        PROGRAMS[name][2](run)
        return (run.seconds, run.handoffs()) if report else run.seconds


def ratio(rounds, arm):
    return statistics.median(one[arm] for one in rounds) / statistics.median(one["plain"] for one in rounds)


def interval(rounds, arm, chance):
    """The ratio of the medians, and between what 95 of 100 resamplings of whole rounds have it."""
    many = sorted(ratio(chance.choices(rounds, k=len(rounds)), arm) for _ in range(RESAMPLED))
    return [round(x, 4) for x in (ratio(rounds, arm), many[RESAMPLED // 40], many[-RESAMPLED // 40 - 1])]


def is_enough(rounds, chance):
    if len(rounds) < LEAST:
        return False
    _, low, high = interval(rounds, "again", chance)
    return len(rounds) >= MOST or (low > 1 - ENOUGH and high < 1 + ENOUGH)


def measure_all(names, minutes, chance):
    """Round after round of all programs, as long as there is time; the ready ones leave theirs to the others."""
    until = time.monotonic() + 60 * minutes - 15 # what counting the starts takes
    handoffs, rounds, wrong = {}, {name: [] for name in names}, {}
    for name in names: # beside what it finds out: the files are in the kernel's memory afterwards
        try:
            handoffs[name] = sum(once(name, "carrying", report=True)[1].values())
        except FAULTS as why:
            wrong[name] = str(why)
    todo = [name for name in names if name not in wrong]
    spent = dict.fromkeys(todo, 0.0)
    while todo and (time.monotonic() < until or not all(rounds[name] for name in todo)):
        name = min(todo, key=spent.get) # each gets as much of the time
        began, this = time.monotonic(), {}
        try:
            for arm in chance.sample(ARMS, len(ARMS)):
                this[arm] = once(name, arm)
        except FAULTS as why:
            wrong[name] = str(why)
            todo.remove(name)
            continue
        rounds[name].append(this)
        spent[name] += time.monotonic() - began
        if is_enough(rounds[name], chance):
            todo.remove(name)
    for name, why in wrong.items():
        print(f"FAILED  {name}: {why}", flush=True)
    return [dict({arm: interval(rounds[name], arm, chance) for arm in ARMS[1:]}, name=name, what=PROGRAMS[name][0],
                 rounds=len(rounds[name]), handoffs=handoffs[name],
                 seconds=round(statistics.median(one["plain"] for one in rounds[name]), 3))
            for name in names if name not in wrong and rounds[name]], wrong


def count_starts():
    """Instructions of a process that does nothing, as it is, idle and carrying: exact, whatever else runs."""
    if not shutil.which("valgrind"):
        return None
    both = f"{real.PROBE}:{real.LIBRARY}"
    arms = {"plain": {}, "idle": {"LD_PRELOAD": str(real.LIBRARY)}, "probe": {"LD_PRELOAD": str(real.PROBE)},
            "carrying": {"LD_PRELOAD": both, "BATON_CARRY": real.CARRY}}
    return {arm: measure.count_program(["/bin/true"], env) for arm, env in arms.items()}


def beside_saved(rows):
    """The saved table's other rows stay, and say of when they are."""
    saved = json.loads(SAVED.read_text())
    stay = {row["name"]: dict(row, date=row.get("date", saved["date"])) for row in saved["programs"]}
    stay.update((row["name"], row) for row in rows)
    return [stay[name] for name in PROGRAMS if name in stay]


def older(saved):
    """Of when the rows are that were not measured with the others."""
    dates = {}
    for row in saved["programs"]:
        if row.get("date", saved["date"]) != saved["date"]:
            dates.setdefault(row["date"], []).append(row["name"])
    return "".join(f"; of {date}: {', '.join(names)}" for date, names in dates.items())


def table(saved):
    """As it stands in the guide."""
    yield "| program | CPU, s | rounds | the same twice | nothing configured | carrying | handoffs carried |"
    yield "|---|---|---|---|---|---|---|"
    for row in saved["programs"]:
        form = "%.3f (%.3f to %.3f)" if row["rounds"] >= 3 else "%.3f" # few rounds have no interval
        figures = (form % tuple(row[arm][:form.count("%")]) for arm in ARMS[1:])
        yield (f"| {row['name']}: {row['what']} | {row['seconds']:.2f} | {row['rounds']} | {' | '.join(figures)} | "
               f"{row['handoffs']:,} |")
    starts = saved.get("starts")
    if starts:
        plain = starts["plain"]
        yield ""
        yield (f"A start of `/bin/true`, {plain:,} instructions: {starts['idle'] - plain:+,} with nothing configured (an "
               f"empty library has 7,100 of them), {starts['carrying'] - starts['probe']:+,} carrying, beyond the library that has "
               "what is carried.")
    yield ""
    missing = f"; not there: {', '.join(saved['missing'])}" if saved["missing"] else ""
    yield f"{saved['date']}; {saved['machine']}; load {saved['load']}{missing}{older(saved)}."


def main():
    parser = argparse.ArgumentParser(prog="real-programs --time", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8, help="how long, for all together (default: 8)")
    parser.add_argument("--save", action="store_true", help="let the guide have this table")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--table", action="store_true", help="only print the saved table")
    parser.add_argument("--seed", type=int, default=None, help="of the order of the runs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(PROGRAMS))
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(json.loads(SAVED.read_text()))))
        return 0
    unknown = [name for name in options.names if name not in PROGRAMS]
    if unknown:
        sys.exit(f"real-programs: unknown program {' '.join(unknown)} (known: {' '.join(PROGRAMS)})")
    for needed in (real.LIBRARY, real.PROBE):
        if not needed.exists():
            sys.exit(f"real-programs: {needed} is not built: type make all tests")
    names = options.names or list(PROGRAMS)
    missing = [name for name in names if not all(map(shutil.which, PROGRAMS[name][1]))]
    load = f"{os.getloadavg()[0]:.1f}"
    rows, wrong = measure_all([name for name in names if name not in missing], options.minutes,
                              random.Random(options.seed))
    date = time.strftime("%Y-%m-%d %H:%M")
    saved = {"date": date, "machine": bench.machine(), "load": load, "programs": rows, "starts": count_starts(),
             "missing": missing}
    if options.save and options.names:
        saved["programs"], saved["missing"] = beside_saved(rows), json.loads(SAVED.read_text())["missing"]
    text = "\n".join(table(saved)) + "\n"
    print(text, end="")
    if options.markdown:
        Path(options.markdown).write_text(text)
    if options.save:
        SAVED.write_text(json.dumps(saved, indent=1) + "\n")
        subprocess.run([ROOT / "scripts" / "gen-docs"], check=True)
    return 1 if wrong else 77 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
