"""The live report: what was counted is there at any moment, and after any end."""
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import patience
from harness import LIBRARY, PROGRAMS, find_program, plain, run, test, this_machine_only
from needs import missing, needs, unable
from test_launcher import BATON, baton, expect

ITEM = "tls:request_id"


def counted(reports):
    return sorted(report["families"]["pthread"]["carried"] for report in map(json.loads, reports.splitlines()))


# How it ends: its status, the files that are left beside the report, what was counted in each process.
ENDS = {"kill": (-9, 1, [7]), "abort": (-6, 1, [7]), "_exit": (3, 1, [7]), "exit": (0, 0, [9]), "fork": (0, 1, [3, 9]),
        "idle child": (0, 1, [9]), "crowd": (-9, 1, [107])}


@test("a process leaves its report whatever ends it:", each=list(ENDS))
def any_end(how):
    this_machine_only()
    code, files, counts = ENDS[how]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "counts.json")
        run("live_report", how, env={"BATON_CARRY": ITEM, "BATON_REPORT": report}).exits(code).never_says("wrong")
        left = list(Path(folder).glob("counts.json.*.live"))
        expect(len(left) == files, f"left: {left}")
        for file in left:
            expect(file.stat().st_mode & 0o777 == 0o600, "others may read it")
        said = baton("report", "--json", report).ok().quiet()
        expect(counted(said.out) == counts, f"not {counts}: {said.out}")
        baton("report", "--verdict", report).ok().says(f"ok: {sum(counts)} tasks ran with")


def on_disk(size, folder, *words):
    """A run in a mount namespace of its own, in which the folder is a disk of SIZE."""
    space = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    script = f'mount -t tmpfs -o size={size} none "$0" && exec "$@"'
    return plain(*space, "sh", "-c", script, folder, *map(str, words))


@test("no thread of the program dies of a full disk: without room for the live report there is none, and the one at exit is")
def full_disk(tmp_path):
    if on_disk("1m", tmp_path, "true").code:
        unable("no mounts of one's own")
    words = ("run", "--verdict", "--carry", "key:tenant_key", "--report", tmp_path / "counts", "--", PROGRAMS / "discover_pool", "8")
    said = on_disk("16k", tmp_path, BATON, *words).complains("NOTHING CARRIED").says("right 0 wrong 8")
    expect("waited at" not in said.err, said.err)
    said = on_disk("2m", tmp_path, BATON, *words).says("right 0 wrong 8")
    expect("waited at" in said.err or missing(["glibc 2.34"]), said.err)  # before, nobody notes who waits


@test("with a limit to the size of files, in units of 512 bytes, no live report is begun, and that is said; the program ends as it "
      "would have, and the report at exit is written", each=("8", "200"))
def size_limit(limit):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "counts.json")
        script = f"ulimit -f {limit}; exec {find_program('live_report')} "
        after = run("sh", "-c", script + "exit", env={"BATON_CARRY": ITEM, "BATON_REPORT": report}).exits(0).never_says("wrong")
        after.complains(f'BATON_REPORT="{report}": no live report: a file of ').complains(f"the limit is {int(limit) * 512} (ulimit -f)")
        expect(list(Path(folder).iterdir()) == [report], f"left: {list(Path(folder).iterdir())}")
        expect(counted(report.read_text()) == [9], report.read_text())
        run("sh", "-c", script + "kill", env={"BATON_CARRY": ITEM, "BATON_REPORT": f"{folder}/killed"}).exits(-9)
        expect(list(Path(folder).iterdir()) == [report], f"left: {list(Path(folder).iterdir())}")


@test("no live report stays where nobody will ever take it up: beside a pipe, a link")
def never_taken_up():
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/pipe")
        Path(folder, "link").symlink_to("/nowhere/at/all")
        before = sorted(Path(folder).iterdir())
        for name in ("pipe", "link"):
            for how, code in (("exit", 0), ("kill", -9)):
                run("live_report", how, env={"BATON_CARRY": ITEM, "BATON_REPORT": f"{folder}/{name}"}).exits(code)
        expect(sorted(Path(folder).iterdir()) == before, f"left: {list(Path(folder).iterdir())}")


@test("of killed processes the last reports stay, sixteen beside the one that is added; a living one's, and what only has such a "
      "name, stay as well")
def does_not_pile_up(tmp_path):
    this_machine_only()
    report = tmp_path / "counts.json"
    env = {"BATON_CARRY": ITEM, "BATON_REPORT": report}
    others = [tmp_path / "counts.json.99999.live", tmp_path / "counts.json.x.live", tmp_path / "counts.jsonx.99998.live"]
    for other in others:
        other.write_text("somebody's" * 100)
    living = subprocess.Popen([find_program("live_report"), "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env={**os.environ, "LD_PRELOAD": str(LIBRARY), **{name: str(value) for name, value in env.items()}})
    try:
        living.stdout.readline()
        last = []
        for _ in range(19):
            before = set(tmp_path.iterdir())
            run("live_report", "kill", env=env).exits(-9)
            last += set(tmp_path.iterdir()) - before
        left = set(tmp_path.iterdir()) - set(others) - {tmp_path / f"counts.json.{living.pid}.live"}
        expect(left == set(last[-17:]), f"left: {len(left)}, not the last 17 of {len(last)}")
        expect((tmp_path / f"counts.json.{living.pid}.live").exists(), "that of the living process has gone")
        expect(all(other.exists() for other in others), "a file that is none of ours has gone")
    finally:
        living.kill()
        living.communicate()
    baton("report", "--verdict", report).ok().says(f"ok: {7 * 18} tasks ran with")


@test("baton run puts what a killed process had counted into the report, and leaves nothing else")
def folded_in():
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "counts.json")
        baton("run", "--carry", ITEM, "--report", report, "--", find_program("live_report"), "kill").exits(-9) \
            .complains("ok: 7 tasks ran with")
        expect(os.listdir(folder) == ["counts.json"], f"left: {os.listdir(folder)}")
        expect(counted(report.read_text()) == [7], report.read_text())


@test("baton report --now: what a running process has counted so far")
def now():
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": ITEM, "BATON_REPORT": "counts.json"}
        process = subprocess.Popen([find_program("live_report"), "wait"], env=env, cwd=folder, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            for line, tasks in (("up\n", 7), ("more\n", 12)):
                expect(process.stdout.readline() == line, "the program did not start")
                baton("report", "--now", process.pid).ok().says("still running", ITEM, "bound") \
                    .matches(rf"^pthread +{tasks} ")
                process.stdin.write("\n")
                process.stdin.flush()
            patience.wait(process)
        finally:
            process.kill()
        baton("report", "--now", process.pid).exits(1).complains("there is none")
        baton("report", "--now", os.getpid()).exits(1).complains("no live report")
        baton("report", "--now", "x").exits(2)


@test("a live report that is cut off, of another format or a link is not believed")
def not_believed():
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "counts.json")
        run("live_report", "kill", env={"BATON_CARRY": ITEM, "BATON_REPORT": report}).exits(-9)
        live, = Path(folder).glob("*.live")
        whole = live.read_bytes()
        for start, change in ((8, b"\xff" * 24), (0, b"x"), (12, b"\xff\xff\xff\x7f"), (16, b"\xff\xff\xff\xff")):
            live.write_bytes(whole[:start] + change + whole[start + len(change):])
            baton("report", report).exits(1).complains("cannot read this file")
        for length in (0, 100, 70000, len(whole) - 1):
            live.write_bytes(whole[:length])
            baton("report", report).exits(1)
        live.rename(Path(folder, "elsewhere"))
        live.symlink_to(Path(folder, "elsewhere"))
        baton("report", report).exits(1)


@test("a live page that cannot be made is told with its reason, and the program runs on")
def no_page():
    this_machine_only()
    after = plain("sh", "-c", f"mkdir /dev/shm/baton-$$.live; echo $$; exec env LD_PRELOAD='{LIBRARY}' BATON_CARRY=locale BATON_LIVE=on true").ok()
    page = Path(f"/dev/shm/baton-{after.out.split()[0]}.live")
    page.rmdir()
    after.complains(f"baton: BATON_LIVE: {page} cannot be written: something of this name is in its place (errno 17)")


@needs("setpriv")
@test("a live page is made anew: what another user has put in its place is not written to",
      each=("link", "file"))
def in_its_place(plant):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        victim, library = Path(folder) / "victim", shutil.copy(LIBRARY, folder)
        victim.write_text("mine\n")
        victim.chmod(0o666)
        put = {"link": f"ln -s '{victim}'", "file": f"cp -p '{victim}'"}[plant]
        after = plain("sh", "-c", f"echo $$; {put} /dev/shm/baton-$$.live; exec setpriv --reuid=65534 --regid=65534 --clear-groups "
                      f"env LD_PRELOAD={library} BATON_CARRY=locale BATON_LIVE=on true").ok()
        placed = Path(f"/dev/shm/baton-{after.out.split()[0]}.live")
        there = placed.read_text()
        placed.unlink()
        expect(there == "mine\n" and victim.read_text() == "mine\n", f"it was written to: {there[:40]!r}")
