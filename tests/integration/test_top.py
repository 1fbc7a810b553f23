"""What is seen while the program runs: BATON_LIVE, baton top; latencies in the report."""
import json
import os
import pty
import stat
import subprocess
import tempfile
from pathlib import Path

import patience
from harness import LIBRARY, ROOT, carry, expect, find_program, plain, test

BATON = ROOT / "scripts" / "baton"


@test("baton top: counts, what is in flight, waiting times, as a table, JSON and Prometheus text; no values")
def top():
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": "key:request_key", "BATON_LIVE": "on"}
    process = subprocess.Popen([find_program("trace_pool"), "400", "wait"], env=env, stdout=subprocess.PIPE)
    page = Path(f"/dev/shm/baton-{process.pid}.live")
    try:
        process.stdout.readline()
        expect(stat.S_IMODE(page.stat().st_mode) == 0o600, "others may read it")
        seen = {}

        def all_have_run():
            seen.update(json.loads(plain(str(BATON), "top", "--json", str(process.pid)).ok().out))
            return seen["families"]["glib.pool"]["in_flight"] <= 2

        patience.until(all_have_run)
        pool = seen["families"]["glib.pool"]
        expect(pool["submitted"] == 500 and pool["started"] == 500 and pool["dropped"] == 0, pool)
        expect(pool["in_flight"] <= 2, pool)
        expect(0 < pool["wait_p50_ns"] <= pool["wait_p99_ns"] <= pool["wait_max_ns"] < 60e9, pool)
        expect(seen["pid"] == process.pid and seen["threads"] >= 2, seen)
        text = plain(str(BATON), "top", "--prometheus", str(process.pid)).ok().out
        expect(f'baton_handoffs_total{{pid="{process.pid}",family="glib.pool"}} 500\n' in text, text)
        plain(str(BATON), "top", "--count", "1", str(process.pid)).ok().says("glib.pool", "in flight", "p99 wait")
        values = b"".join((0x10000 + i).to_bytes(8, "little") for i in (7,))
        with page.open("rb") as file:
            expect(values not in file.read(64 << 20), "a value of the program's is in the page")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        page.unlink(missing_ok=True)
    plain(str(BATON), "top", str(os.getpid())).exits(1).complains("BATON_LIVE=on")


def on_terminal(kind, pid, *args):
    """What baton top writes to a terminal of that kind, until `q` is typed behind the table; and its status."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = kind
        os.execv(BATON, [str(BATON), "top", *args, str(pid)])
    seen = b""
    try:
        while True:
            seen += os.read(terminal, 65536)
            if b"glib.pool" in seen and b"q ends" in seen:
                os.write(terminal, b"q")
                break
        while True:
            seen += os.read(terminal, 65536)
    except OSError:  # it has ended
        pass
    finally:
        os.close(terminal)
    return seen, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@test("baton top on a terminal fills the screen until q is typed, and leaves it as it was; one that curses does not know "
      "gets plain lines", timeout=30)
def screen():
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": "key:request_key", "BATON_LIVE": "on"}
    process = subprocess.Popen([find_program("trace_pool"), "40", "wait"], env=env, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        seen, code = on_terminal("xterm", process.pid)
        expect(code == 0 and b"handoffs" in seen and b"p99 wait" in seen, seen)
        expect(seen.index(b"\x1b[?1049h") < seen.index(b"glib.pool") < seen.index(b"\x1b[?1049l"), seen)
        seen, code = on_terminal("no-such-terminal", process.pid, "--count", "1")
        expect(code == 0 and b"glib.pool" in seen and b"\x1b" not in seen and b"q ends" not in seen, seen)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        Path(f"/dev/shm/baton-{process.pid}.live").unlink(missing_ok=True)


@test("the page is gone when the program has ended")
def gone():
    before = set(Path("/dev/shm").glob("baton-*.live"))
    carry("key:request_key", "trace_pool", 50, env={"BATON_LIVE": "on"}).ok().clean()
    mine = {path for path in Path("/dev/shm").glob("baton-*.live")} - before
    expect(not [path for path in mine if not Path(f"/proc/{path.stem.split('-')[1]}").exists()], f"left behind: {mine}")


@test("the page of a killed process goes when the next one begins its own; the page takes no descriptor of the program's")
def gone_after_a_signal():
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": "key:request_key", "BATON_LIVE": "on"}
    process = subprocess.Popen([find_program("trace_pool"), "40", "wait"], env=env, stdout=subprocess.PIPE)
    page = Path(f"/dev/shm/baton-{process.pid}.live")
    try:
        process.stdout.readline()
        carry("key:request_key", "trace_pool", 50, env={"BATON_LIVE": "on"}).ok().clean()
        expect(page.exists(), "that of a living process has gone")
        files = [os.readlink(file) for file in Path(f"/proc/{process.pid}/fd").iterdir()]
        expect(str(page) not in files, files)
    finally:
        process.kill()
        process.communicate()
    expect(page.exists(), "nothing was left")
    carry("key:request_key", "trace_pool", 50, env={"BATON_LIVE": "on"}).ok().clean()
    expect(not page.exists(), "it is still there")


@test("the report has the time between handing over and running, by family")
def latency():
    report = carry("key:request_key", "trace_pool", 200, env={"BATON_LATENCY": "on"}).ok().clean().reported()
    pool = report["latency"]["glib.pool"]
    expect(pool["count"] == 250, pool)
    expect(0 < pool["p50_ns"] <= pool["p90_ns"] <= pool["p99_ns"] <= pool["max_ns"] < 60e9, pool)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report")
        file.write_text(json.dumps(report))
        plain(str(ROOT / "scripts/baton"), "report", file).ok().says("glib.pool").matches(r"(?m)^ +waited +p50 +p90 +p99 +max ")
    expect("latency" not in carry("key:request_key", "trace_pool", 10).ok().reported(), "latency without being asked")
