"""E21: programs of every kind behave the same with the library loaded, and with items that match nothing."""
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from compile import compiled
from harness import BUILD, LIBRARY, PROGRAMS, ROOT, carry, idle, plain, run, test
from needs import library as find_library, needs, require, runtime, unable
from test_launcher import baton

NOTHING = "key:no_such_key;tls:no_such_word;fn:get=no_such_get,set=no_such_set;swap:no_such_swap"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

THREADS = """
import threading, queue, concurrent.futures, contextvars
done = queue.Queue()
threads = [threading.Thread(target=done.put, args=(i,)) for i in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(done.queue))
local = threading.local()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: n * n, range(50))), hasattr(local, "x"))
"""
NODE = """
const fs = require('fs'), crypto = require('crypto'), {Worker} = require('worker_threads');
const out = [];
Promise.all([
  fs.promises.readFile('/etc/hostname').then(b => out.push('read ' + b.length)),
  new Promise(r => crypto.pbkdf2('a', 'b', 1000, 16, 'sha1', (e, k) => { out.push(k.toString('hex')); r(); })),
  new Promise(r => new Worker('require("worker_threads").parentPort.postMessage(7)', {eval: true})
    .on('message', m => { out.push('worker ' + m); }).on('exit', r)),
  new Promise(r => require('dns').lookup('localhost', e => { out.push('dns ' + !e); r(); })),
]).then(() => console.log(out.sort().join('\\n')));
"""
C_FILE = "#include <stdio.h>\nint main(void) { int unused; return printf(\"hello\\n\") < 0; }\n"


def same(*command, normalise=None, **how):
    """Plain, idle, and with items that match nothing: the same output, errors and exit code."""
    def tidy(result):
        if normalise:
            result.out, result.err = normalise(result.out), normalise(result.err)
        return result
    before = tidy(plain(*command, **how))
    tidy(idle(*command, **how)).same_as(before)
    tidy(carry(NOTHING, *command, **how)).same_as(before)
    return before


def without_digits(text):
    return re.sub(r"[\d.]+", "N", text)


@test("ls", each=("/usr/bin", "/no/such/folder"))
def ls(folder):
    same("ls", "-l", folder)


@needs("git")
@test("git status, git log, git grep with threads")
def git():
    same("git", "-C", ROOT, "status", "--short")
    same("git", "-C", ROOT, "log", "--oneline", "-5")
    same("git", "-C", ROOT, "grep", "--threads=4", "-c", "pthread", "--", "tests")


@test("python3 with threads and a thread pool")
def python():
    same(PYTHON, "-c", THREADS).ok()


@needs("gcc")
@test("gcc compiles, links, warns and fails alike")
def gcc():
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "hello.c"
        source.write_text(C_FILE)
        same("gcc", "-Wall", "-O2", "-o", f"{folder}/hello", source).ok().complains("unused")
        same(f"{folder}/hello").ok()
        source.write_text("int main(void) { return }\n")
        same("gcc", source).exits(1)


@needs("node")
@test("node: files, crypto, worker threads, name lookup", timeout=120)
def node():
    same("node", "-e", NODE, timeout=60).ok()


@test("sort with two threads")
def sort():
    numbers = "".join(f"{(n * 7919) % 100003}\n" for n in range(100000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbers"
        path.write_text(numbers)
        same("sort", "--parallel=2", "-S", "1M", "-n", path).ok()


@needs("xz")
@test("xz with two threads, there and back")
def xz():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        path.write_bytes(b"".join(b"%d bottles\n" % (n * n) for n in range(200000)))
        for how in (plain, idle):
            how("sh", "-c", f"xz -T2 --block-size=256KiB -1 -c '{path}' > '{path}.{how.__name__}.xz'").ok().quiet()
        packed = [Path(f"{path}.{name}.xz").read_bytes() for name in ("plain", "idle")]
        if packed[0] != packed[1]:
            plain("true").fail("xz packed differently")
        same("xz", "-T2", "-dc", f"{path}.plain.xz").ok()


@needs("openssl")
@test("openssl speed and digests")
def openssl():
    same("openssl", "speed", "-seconds", "1", "-bytes", "64", "sha256", normalise=without_digits).ok()
    same("openssl", "dgst", "-sha256", "/bin/sh").ok()


@needs("bash")
@test("a shell pipeline keeps its output and its exit code")
def pipeline():
    same("sh", "-c", "seq 1 5000 | sort -r | grep 7 | head -50 | md5sum; echo oops >&2; exit 3").exits(3)
    same("bash", "-c", "set -o pipefail; false | cat; echo $?; kill -SEGV $$").exits(-11)


@test("file descriptors, limits and closed standard streams")
def descriptors():
    same("sh", "-c", "ls /proc/self/fd; ulimit -n")
    same("sh", "-c", "exec <&- >&- 2>&-; exec ls /")


@test("static programs are untouched")
def static():
    same("static_program").exits(3).says("thread sees 0")


@needs("root")
@test("E25: setuid programs are untouched, whatever the environment says")
def setuid():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = Path(folder) / "id"
        shutil.copy("/usr/bin/id", program)
        shutil.chown(program, "nobody")
        program.chmod(0o4755)
        before = same(str(program)).ok()
        if "euid" not in before.out:
            unable("set-user-id has no effect on this file system")
        run(str(program), env={"BATON_CARRY": "nonsense", "BATON_STRICT": "1"}).same_as(before)


@needs("root")
@test("E25: what a setuid program may not obey is not handed on to the programs that it starts")
def setuid_children():
    program = compiled("exec_env", "exec_env.c", f"-Wl,--no-as-needed,-rpath,{BUILD}", str(LIBRARY))
    settings = {"BATON_CARRY": "adapter:/tmp/x.so", "BATON_CONFIG": "/no/such", "BATON_CARY": "x", "BATON_FORCE": "1",
                "BATON_INHERIT": "all", "BATTON": "kept", "BATON_REPORT": "/tmp/no", "_BATON_SAID": "1:3"}
    after = run(program, preload=False, env=settings)
    for name in settings:  # not privileged: its own settings are handed on
        after.matches(f"^{name}=")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        privileged = shutil.copy(program, folder)
        shutil.chown(privileged, "nobody")
        os.chmod(privileged, 0o4755)
        if "secure 1" not in run(privileged, preload=False).out:
            unable("set-user-id has no effect on this file system")
        after = run(privileged, preload=False, env=settings).ok().quiet()
        after.matches("^BATON_INHERIT=all$").matches("^BATTON=kept$")
        after.never_says("BATON_CARRY", "BATON_CONFIG", "BATON_CARY", "BATON_FORCE", "BATON_REPORT", "_BATON_SAID")


@needs(of=lambda name: (name,))
@test("other allocators", each=[(a, k) for a in ("libjemalloc.so.2", "libtcmalloc.so.4") for k in ("key", "tls")])
def other_allocators(name, kind):
    library = find_library(name)
    plain("churn", kind, before=[library]).wrong()
    item = {"key": "key:request_key", "tls": "tls:request_id"}[kind]
    carry(item, "churn", kind, before=[library]).ok().quiet().clean()
    # And with the allocator behind us.
    carry(item, "churn", kind, env={"LD_PRELOAD": f"{LIBRARY}:{library}"}).ok().quiet().clean()


@needs(of=lambda name: (name,))
@test("other allocators are not asked about what is none of their blocks (BATON_STRICT)",
      each=[(a, mode) for a in ("libjemalloc.so.2", "libtcmalloc.so.4") for mode in ("heap", "stack", "inside", "gone")])
def other_allocators_strict(name, mode):
    library = find_library(name)
    plain("changed_in_place", mode, before=[library]).wrong()
    after = carry("key:request_key", "changed_in_place", mode, before=[library], env={"BATON_STRICT": "on"}).quiet()
    after.says("wrong 0\n" if mode == "gone" else "wrong 2\n")


@test("programs built with sanitizers of gcc", each=(("churn_address", "libasan.so"), ("churn_undefined", None),
                                                   ("universes_tsan", "libtsan.so")), timeout=120)
def sanitized(program, library):
    require(*[library] if library else [])
    before = [runtime(library)] if library else []
    plain(program).wrong().quiet()
    idle(program, before=before).wrong().quiet()
    for item, kind in (("key:request_key", "key"), ("tls:request_id", "tls")):
        after = carry(item, program, kind, before=before).ok().quiet()
        if after.reported()["records_alive"] or after.reported()["values_alive"]:
            after.clean()


@test("programs built with AddressSanitizer of clang")
def sanitized_by_clang():
    plain("churn_clang_address").wrong().quiet()
    idle("churn_clang_address").wrong().quiet()
    carry("key:request_key", "churn_clang_address").ok().quiet()


@needs("valgrind")
@test("valgrind finds nothing", each=(("stale_pool_glib", "key"), ("stale_pool_uv", "tls"), ("thread_ends", "exit")),
      timeout=150)
def valgrind(program, *args):
    item = "key:owned_key" if program == "thread_ends" else {"key": "key:request_key", "tls": "tls:request_id"}[args[0]]
    trace = ["-q", "--error-exitcode=99", "--leak-check=no", "--trace-children=no"]
    carry(item, "valgrind", *trace, PROGRAMS / program, *args, timeout=140).ok().quiet()


@test("no call of ours goes by a name of the C library's that a program has, too: not syscall, mmap, write, sigaction, getpid, dlopen, dlsym, uselocale",
      each=({}, {"BATON_STACKS": 8}, {"BATON_PUBLISH": "otel:request_key"}, {"BATON_LATENCY": "on", "BATON_LIVE": "on"},
            {"BATON_STRICT": "on", "BATON_MAX_AGE": 60}, {"BATON_PROBES": "on", "BATON_LOG": "debug"}, "trace", "crash"))
def own_names(settings):
    words = "own_names", "/libbaton.so"
    plain(*words).wrong()
    idle(*words).wrong()
    with tempfile.TemporaryDirectory() as folder:
        if settings == "crash":
            return carry("key:request_key;locale", *words, "crash", env={"BATON_STACKS": 8}).exits(-11).says("4 of 4 right")
        settings = {"BATON_TRACE": f"{folder}/trace"} if settings == "trace" else settings
        carry("key:request_key;name;locale;fenv;ioprio;tls:nothing", *words, env=settings).ok().says("4 of 4 right")


@test("nor where the program has a copy of the loader's list, which is filled too late for what looks before anything runs",
      each=({}, {"BATON_LIVE": "on"}, {"BATON_STRICT": "on", "BATON_MAX_AGE": 60}))
def own_names_loader(settings):
    words = "own_names_loader", "/libbaton.so"
    plain(*words).wrong()
    idle(*words).wrong()
    carry("key:request_key;name;locale;fenv;ioprio;tls:nothing", *words, env=settings).ok().says("4 of 4 right")


@test("the same of what `baton discover` preloads")
def own_names_of_discover():
    after = baton("discover", "--json", "--", PROGRAMS / "own_names", "/libbaton-discover.so")
    if "0 of 4 right" not in after.out or "called by it" in after.err or '"key:request_key"' not in after.out:
        after.fail("it is to be watched, and nothing of its own called")
