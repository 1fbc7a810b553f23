"""What is said and written: nothing of it hurts the program, its files, or whoever reads it."""
import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import unicodedata
from pathlib import Path

import patience
from harness import BUILD, Failure, LIBRARY, carry, expect, find_program, plain, run, test, this_machine_only
from needs import needs, require
from test_launcher import baton

KEY = "key:request_key"
REFUSED = "tls:tcache@libc.so"
PROGRAM = "stale_pool_glib"


def said(target, message, program=PROGRAM):
    after = run(program, env={"BATON_CARRY": KEY, "BATON_REPORT": target}).ok()
    if len(after.err.splitlines()) != 1:
        after.fail("expected one message")
    after.complains(f'baton: BATON_REPORT="{target}": cannot be written: {message}')


@test("a report follows no symbolic link, takes no file with other names, no folder, and says so with errno")
def report_in_place_of():
    with tempfile.TemporaryDirectory() as folder:
        victim = Path(folder) / "victim"
        victim.write_text("mine\n")
        (Path(folder) / "symbolic").symlink_to(victim)
        said(f"{folder}/symbolic", "a symbolic link, which is not followed (errno 40)")
        said(folder, "a folder (errno 21)")
        said(f"{folder}/no/such", "no such file (errno 2)")
        os.link(victim, f"{folder}/hard")
        said(f"{folder}/hard", "a file with other names (hard links) (errno 31)")
        if victim.read_text() != "mine\n":
            raise AssertionError("the file of somebody else was written to")


@test("a report into a pipe that nobody reads is given up at once")
def report_into_unread_pipe():
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/pipe")
        said(f"{folder}/pipe", "a pipe that nobody reads (errno 6)")


TARGETS = {"symbolic": 40, "hard": 31, "pipe": 95, "folder": 21, "no/such": 2}


def places(folder):
    """What a file of ours must not be, each under its name in TARGETS."""
    victim = Path(folder) / "victim"
    victim.write_text("mine\n")
    (Path(folder) / "symbolic").symlink_to(victim)
    os.link(victim, f"{folder}/hard")
    os.mkfifo(f"{folder}/pipe")
    os.mkdir(f"{folder}/folder")
    return victim


@test("a trace, a crash and what is noted down for discover are written to no link, folder, or where no file can be, and that is said "
      "with errno before main; a strict program does not start", each=[(name, what) for name in ("TRACE", "CRASH", "REPORT", "DISCOVER")
                                                                       for what in TARGETS])
def other_targets(name, what):
    if name == "CRASH" and what == "pipe":
        return  # it may get its reader
    error = {("REPORT", "pipe"): 6, ("DISCOVER", "symbolic"): 17, ("DISCOVER", "hard"): 17, ("DISCOVER", "pipe"): 17,
             ("DISCOVER", "folder"): 17}.get((name, what), TARGETS[what])
    how = {"before": [BUILD / "libbaton-discover.so"], "preload": False} if name == "DISCOVER" else {}
    with tempfile.TemporaryDirectory() as folder:
        victim = places(folder)
        env = {"BATON_CARRY": KEY, "BATON_STACKS": "4", f"BATON_{name}": f"{folder}/{what}"}
        after = run(PROGRAM, env=env, **how).complains(f'baton: BATON_{name}="{folder}/{what}": cannot be written: ', f"errno {error}")
        if len(after.err.splitlines()) != 1 or "task 5" not in after.out:
            after.fail("expected one message, and that the program runs")
        if (name, what) != ("REPORT", "pipe"):
            after = run(PROGRAM, env={**env, "BATON_STRICT": "1"}, **how).exits(64).complains(f"errno {error}")
            if after.out or len(after.err.splitlines()) != 1:
                after.fail("main has run, or more than one message")
        if victim.read_text() != "mine\n" or sorted(os.listdir(folder)) != ["folder", "hard", "pipe", "symbolic", "victim"]:
            after.fail("something was written or made")


@needs("strace")
@test("a trace for which there is no room is told with why, and the program runs on", each=("ftruncate:error=EPERM:when=1 1 permission denied",
      "ftruncate:error=EFBIG:when=2 27 larger than a file may be", "fallocate:error=ENOSPC 28 no space left", "fallocate:error=EIO 5 input/output error"))
def no_room(how):
    this_machine_only()
    fault, errno, why = how.split(maxsplit=2)
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"-E{text}" for text in (f"LD_PRELOAD={LIBRARY}", f"BATON_CARRY={KEY}", f"BATON_TRACE={folder}/trace")]
        after = plain("strace", "-qq", "-o/dev/null", f"-etrace={fault.split(chr(58))[0]}", f"-einject={fault}", *settings, find_program(PROGRAM)).ok()
        if after.err != f'baton: BATON_TRACE="{folder}/trace": no room for 33 MiB (BATON_TRACE_MIB): {why} (errno {errno})\n':
            after.fail("expected one message")
        if "task 5" not in after.out or os.stat(f"{folder}/trace").st_size:
            after.fail("expected that the program runs, and an empty file")


@test("BATON_DISCOVER: a path that does not begin at / is said, and a folder of the launcher's that is gone is not")
def discover_targets():
    how = {"before": [BUILD / "libbaton-discover.so"], "preload": False}
    run(PROGRAM, env={"BATON_DISCOVER": "here"}, **how).complains(
        'baton: BATON_DISCOVER="here": cannot be written: expected a path from / on, of at most 511 bytes')
    run(PROGRAM, env={"BATON_DISCOVER": "/tmp/baton-discover-gone/%p"}, **how).quiet()


def fill(descriptor):
    """Who writes one byte more to the pipe or socket waits."""
    os.set_blocking(descriptor, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(descriptor, True)


@test("BATON_DISCOVER: its message ends no program whose standard error is a pipe that nobody reads, and holds none up where it is full",
      each=("unread", "full"))
def discover_to_a_pipe(what):
    this_machine_only()
    reader, writer = os.pipe()
    if what == "unread":
        os.close(reader)
    else:
        fill(writer)
    env = {**os.environ, "LD_PRELOAD": str(BUILD / "libbaton-discover.so"), "BATON_DISCOVER": "here"}
    done = patience.call([find_program(PROGRAM)], env=env, stderr=writer)
    expect(done.returncode == plain(PROGRAM).code and done.stdout, str(done))


@test("what nobody reads, a pipe that blocks among them, is given up soon: a report and a message hold no program's end",
      each=("pipe", "socket", "FIFO", "stderr"))
def unread(target):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pipe"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        left, right = socket.socketpair()
        full = right.fileno() if target == "socket" else reader
        fill(full)  # the FIFO is opened anew
        which = {"FIFO": path, "stderr": "stderr"}.get(target, f"/dev/fd/{full}")
        env = {"LD_PRELOAD": str(LIBRARY), "BATON_CARRY": f"{KEY};kee:a;kee:b;kee:c", "BATON_REPORT": which}
        errors = full if target == "stderr" else subprocess.PIPE
        words = [find_program(PROGRAM)]
        took = []
        while len(took) < 10 and min(took, default=1) > 0.6:  # a second is too long; others may work here, too
            started = time.monotonic()
            done = subprocess.run(words, env={**os.environ, **env}, pass_fds=(full,), stdout=subprocess.PIPE, stderr=errors,
                                  check=True)
            took.append(time.monotonic() - started)
        if target != "stderr" and f'BATON_REPORT="{which}": cannot be written: nobody reads it (errno 11)' not in done.stderr.decode():
            raise Failure(done.stderr.decode())
        if min(took) > 0.6:
            raise Failure(f"it took {took} s")
        left.close(), right.close(), os.close(reader)


@test("a report in pieces: a pipe that is read slowly has all of it")
def read_slowly():
    this_machine_only()
    items = ";".join(f"key:{'n' * 1500}{number}" for number in range(80))
    reader, writer = os.pipe()
    process = subprocess.Popen([find_program(PROGRAM)], stdout=subprocess.DEVNULL, stderr=writer,
                               env={**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": f"{KEY};{items}", "BATON_REPORT": "stderr"})
    os.close(writer)
    text = b""
    while part := os.read(reader, 4096):
        text += part
        time.sleep(0.001)
    if process.wait() or len(json.loads(text)["slots"]) != 81 or len(text) < 100_000:
        raise Failure(f"{process.returncode} {len(text)}")


@test("a report file is its owner's alone; %p is the process, %% a percent sign")
def report_file():
    with tempfile.TemporaryDirectory() as folder:
        run(PROGRAM, env={"BATON_CARRY": KEY, "BATON_REPORT": f"{folder}/100%%-%p"}).ok().quiet()
        (path,) = Path(folder).iterdir()
        if path.name != f"100%-{json.loads(path.read_text())['pid']}" or stat.S_IMODE(path.stat().st_mode) != 0o600:
            raise AssertionError(f"{path} {path.stat()}")


@test("BATON_REPORT=stdout and stderr are descriptors, no files", each=("stdout", "stderr", "/dev/stdout", "/dev/stderr"))
def report_on_descriptor(target):
    with tempfile.TemporaryDirectory() as folder:
        after = run(PROGRAM, env={"BATON_CARRY": KEY, "BATON_REPORT": target}, cwd=folder).ok()
        after.matches(r'^\{"baton":.*\}$', "out" if "out" in target else "err")
        if list(Path(folder).iterdir()):
            after.fail("a file was made")


def limited(limit, program, *args):
    """With files of LIMIT times 512 bytes at most; for a shell without us, which has no limit yet."""
    return "sh", "-c", f"ulimit -f {limit}; export LD_PRELOAD={LIBRARY}; exec {find_program(program)} {' '.join(args)}"


@test("a report that would make its file larger than the limit of the process is dropped whole, and the program ends as it would have, "
      "the message says why; no live report stays", each=("8", "2000"))
def report_past_the_limit(limit):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        report.write_text("\n" * (int(limit) * 512 - 20))
        after = run(*limited(limit, PROGRAM), preload=False, env={"BATON_CARRY": KEY, "BATON_REPORT": report}).ok()
        after.complains(f'baton: BATON_REPORT="{report}": cannot be written: larger than a file may be here (ulimit -f) (errno 27)')
        if report.stat().st_size != int(limit) * 512 - 20 or list(Path(folder).iterdir()) != [report]:
            after.fail(f"{report.stat().st_size} {list(Path(folder).iterdir())}")


@test("a message into a file that is full does not end the program")
def message_past_the_limit():
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said")
        said.write_text("\n" * 4096)
        run("sh", "-c", f"ulimit -f 8; exec {find_program(PROGRAM)} 2>>{said}", env={"BATON_CARRY": f"{KEY};{REFUSED}"}).ok()
        if said.read_text() != "\n" * 4096:
            raise AssertionError("it was not full")


@test("a trace and a page for baton top that are larger than a file may be are not made, and that is said; the text of a crash that its "
      "file does not take goes to stderr", each=("8", "200"))
def files_past_the_limit(limit):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        for name, value, what in (("BATON_TRACE", f"{folder}/trace", "trace"), ("BATON_LIVE", "on", "page for baton top")):
            after = run(*limited(limit, PROGRAM), preload=False, env={"BATON_CARRY": KEY, name: value}).ok()
            after.complains(f'baton: {name}="{value}": no {what}: a file of ')
            after.complains(f"bytes is wanted, the limit is {int(limit) * 512} (ulimit -f)")
        if list(Path(folder).iterdir()):
            after.fail("a file was made")
        crash = Path(folder, "crash")
        crash.write_text("\n" * (int(limit) * 512 - 10))
        env = {"BATON_CARRY": KEY, "BATON_STACKS": "8", "BATON_CRASH": crash}
        run(*limited(limit, "crash", "segv"), preload=False, env=env).exits(-11).complains("baton: SIGSEGV at ")


@test("a report on a pipe whose reader has gone does not end the program")
def report_without_reader():
    with tempfile.TemporaryDirectory() as folder:
        program, status = find_program("prefork"), Path(folder) / "status"
        run("sh", "-c", f"({program}; echo $? >{status}) | exec <&-; wait", env={"BATON_CARRY": KEY, "BATON_REPORT": "stdout"})
        if status.read_text() != "0\n":
            raise AssertionError(f"it ended with {status.read_text()!r}")


@test("whatever the names are, the report is JSON and the message is clean")
def strange_bytes():
    strange = b"\xff\xc3\xa9\xe2\x80\xae\x1b[1m\"\\\x7f".decode("utf-8", "surrogateescape")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report"
        program = shutil.copy(find_program(PROGRAM), f"{folder}/{strange}")
        after = run(program, env={"BATON_CARRY": f"{KEY};kee:{strange}", "BATON_REPORT": path})
        text = path.read_bytes()
        if any(byte < 32 for byte in text.rstrip(b"\n")):
            after.fail(f"a control character in {text!r}")
        name = json.loads(text.decode())["program"].rsplit("/", 1)[-1]
        if name != '\\xff\u00e9\u202e\x1b[1m"\\\x7f':
            after.fail(f"the program is {name!r}")
        if 'BATON_CARRY="kee:?\u00e9????[1m"\\?": column ' not in after.err or "\x1b" in after.err:
            after.fail("the message is not clean")


@test("baton report shows names without what a terminal would obey: C1 controls, DEL, marks of direction",
      each=(("--json",), ("--prometheus",), ()))
def strange_bytes_shown(*form):
    strange = "c1\u009b31m\u0085\x7f\x1b[1m\u202e\u00e9\U0001f600"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report"
        program = shutil.copy(find_program(PROGRAM), f"{folder}/{strange}")
        run(program, env={"BATON_CARRY": KEY, "BATON_REPORT": path})
        for text in path.read_text(), baton("report", *form, path).ok().out:
            wrong = [c for c in text.replace("\n", "") if unicodedata.category(c) in ("Cc", "Cf")]
            if wrong or "c1" not in text:
                raise Failure(f"{wrong} in {text!r}")
        if form == ("--json",) and json.loads(text)["program"] != f"{folder}/{strange}":
            raise Failure(f"another name: {text!r}")


@test("a report is as long as it has to be")
def long_report():
    items = ";".join(f"key:{'n' * 1500}{number}" for number in range(80))
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings"
        settings.write_text("\n".join(f"key:{'n' * 2500}{number}" for number in range(90)))
        after = run(PROGRAM, env={"BATON_CARRY": items, "BATON_CONFIG": settings, "BATON_REPORT": f"{folder}/report"})
        report = json.loads(Path(f"{folder}/report").read_text())
        if len(report["slots"]) != 170 or os.path.getsize(f"{folder}/report") < 300_000:
            after.fail("the report is cut")


@test("descriptor 2 that has become a file of the program's gets no message and no report")
def descriptor_of_others():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        for how in ({}, {"BATON_LOG": "debug"}, {"BATON_REPORT": "stderr"}, {"BATON_REPORT": "/dev/fd/2"}):
            run("daemon_file", path, env={"BATON_CARRY": f"{KEY};{REFUSED}", **how}).ok()
            if path.read_text() != "record 1\nrecord 2\n":
                raise AssertionError(f"{how}: {path.read_text()!r}")
            # Descriptor 2 was a file of the same disk.
            first = Path(folder) / "first"
            run("sh", "-c", f"exec '{find_program('daemon_file')}' '{path}' 2>'{first}'", env={"BATON_CARRY": f"{KEY};{REFUSED}", **how}).ok()
            if path.read_text() != "record 1\nrecord 2\n" or "not carried" not in first.read_text():
                raise AssertionError(f"{how}: {path.read_text()!r}, before {first.read_text()!r}")


@test("a message is said once, not by every child of fork")
def once_a_tree():
    after = carry(REFUSED, "prefork").ok()
    if after.err.count("not carried") != 1:
        after.fail("expected the message once")


WRONG = "expected key:?"  # of an item kee:N


@test("a message is said once a run that its launcher waits for, whichever program it is; in another place, and another message, too")
def once_a_run(tmp_path):
    wrong = {"BATON_CARRY": "kee:1"}
    before = baton("run", "--no-verdict", "--", "sh", "-c", "/bin/true; /bin/true", env=wrong).ok()
    expect(before.err.count(WRONG) == 3, before.err)  # there nobody stays who could know
    after = baton("run", "--verdict", "--", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done", env=wrong).ok()
    expect(after.err.count(WRONG) == 1, after.err)
    after = baton("run", "--verdict", "--", "sh", "-c", "BATON_CARRY=kee:2 /bin/true; BATON_CARRY='kee:2;kee:3' /bin/true", env=wrong).ok()
    expect([after.err.count(text) for text in ('"kee:1": column 1', '"kee:2": column 1', '"kee:3": column 7')] == [1, 1, 1]
           and after.err.count(WRONG) == 3, after.err)
    after = baton("run", "--verdict", "--", "sh", "-c", f"/bin/true 2>{tmp_path}/err; BATON_CARRY=kee:2 /bin/true 2>>{tmp_path}/err; "
                  "BATON_CARRY=kee:2 /bin/true", env=wrong).ok()
    there = (tmp_path / "err").read_text()
    expect(after.err.count(WRONG) == 2 and there.count("kee:1") == 1 and there.count("kee:2") == 1, after.err + there)
    after = baton("run", "--verdict", "--", "sh", "-c", "/bin/true; /bin/true",
                  env={"BATON_CARRY": ";".join(f"kee:{number}" for number in range(25))}).ok()
    expect([after.err.count(WRONG), "5 more messages, not shown" in after.err] == [20, True], after.err)
    after = baton("run", "--verdict", "--", "ls", "-l", "/proc/self/fd").ok()
    expect("baton" not in after.out, after.out)


# What is behind _BATON_SAID: how large a page in memory, by which name, sealed or not, and whether it may be used.
PAGES = ((4096, "baton-said", True, True), (4096, "baton-said", False, False), (4095, "baton-said", True, False),
         (8192, "baton-said", True, False), (4096, "baton-saic", True, False), (4096, "baton-said2", True, False))


@test("what was said is noted in the page of a launcher alone, which nobody can make shorter", each=PAGES)
def page_of_what_was_said(size, name, is_sealed, is_used):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        if is_sealed:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        after = run("/bin/sh", "-c", "/bin/true; /bin/true", env={"BATON_CARRY": "kee:1", "_BATON_SAID": f"{os.getpid()}:{fd}"}).ok()
        expect(after.err.count(WRONG) == (1 if is_used else 3), after.err)
        expect(any(os.pread(fd, size, 0)) == is_used, "the page was not what it should be")
    finally:
        os.close(fd)


@test("where there is no such launcher each program says what it has to say", each=("", ":", "1", "1:", ":1", "999999999:1", "1:99999999999", "1:2:3", "/x:1"))
def no_page_of_what_was_said(value):
    run("/bin/true", env={"BATON_CARRY": "kee:1", "_BATON_SAID": value}).ok().complains(WRONG)


@test("at most 20 messages a process, then how many more; all with BATON_LOG=debug", each=("error", "warn", "info", "debug"))
def not_too_many(level):
    after = run(PROGRAM, env={"BATON_CARRY": ";".join(f"kee:{number}" for number in range(50)), "BATON_LOG": level})
    lines = [line for line in after.err.splitlines() if "expected key:" in line or "not shown" in line]
    if len(lines) != (50 if level == "debug" else 21) or (level != "debug" and lines[20] != "baton: 30 more messages, not shown"):
        after.fail(f"{len(lines)} messages")


@needs("setpriv")
@test("what another user's process may not append to the report is not said")
def report_of_another_user():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        library, program = shutil.copy(LIBRARY, folder), shutil.copy(find_program("prefork"), folder)
        settings = f"LD_PRELOAD={library} BATON_CARRY={KEY} BATON_REPORT={folder}/report"
        nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
        after = plain("sh", "-c", f"{settings} {program}; {nobody} env {settings} {program}").ok().quiet()
        if len(Path(f"{folder}/report").read_text().splitlines()) != 6:
            after.fail("expected the reports of the first six processes")


ADAPTERS = [
    ("/tmp", "a regular file, outside of /dev"),
    ("/dev/zero", "a regular file, outside of /dev"),
    ("/no/such.so", "a file that exists"),
    ("mode=666", "a file that others may not write (chmod go-w)"),
    ("mode=664", "a file that others may not write (chmod go-w)"),
    ("owner=65534", "a file that belongs to root or to you"),
    ("folder=777", "a file in a folder that others may not write to (chmod go-w it)"),
    ("folder=770", "a file in a folder that others may not write to (chmod go-w it)"),
    ("folder_owner=65534", "a file in a folder that belongs to root or to you"),
    ("folder=1777", "a shared object (an ELF file)"),  # as /tmp: trusted so far
    ("mode=600", "a shared object (an ELF file)"),
]


@test("an adapter and a codec are regular files of root's or the user's, in such a folder, that nobody else may write",
      each=[(item, path, expected) for item in ("adapter:{}", "tls:request_id,codec={}") for path, expected in ADAPTERS])
def adapter_files(item, path, expected):
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above, "folder")
        folder.mkdir(0o755)
        what, _, value = path.partition("=")
        if value:
            path = folder / "code.so"
            path.write_text("")
            path.chmod(0o644)
        if what.endswith("owner"):
            require("root")
            os.chown(path if what == "owner" else folder, int(value), int(value))
        elif value:
            (path if what == "mode" else folder).chmod(int(value, 8))
        item = item.format(path)
        after = carry(item, PROGRAM)
        column = item.index("/") + 1
        after.complains(f'baton: BATON_CARRY="{item}": column {column}: expected {expected}')
