"""baton discover: what a program has that could be carried, and what hands it over."""
import functools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import patience
from harness import PROGRAMS, ROOT, plain, test
from needs import gcc_version, missing, needs, require, unable
from test_launcher import BATON, baton, expect


def looks_again(check):
    """What discover can tell depends on what it happens to see: on a busy machine one look may be too short."""
    @functools.wraps(check)
    def looks(*args):
        for left in (3, 2, 1, 0):
            try:
                return check(*args)
            except Exception:
                if not left:
                    raise
    return looks


GLIB = PROGRAMS / "stale_pool_glib"
POOL = Path("/usr/share/cthreadpool/thpool.c")


def pool_program(folder, *flags):
    """A program with C-Thread-Pool compiled in."""
    require("cthreadpool")
    program = Path(folder, "server")
    subprocess.run(["cc", "-O2", "-pthread", *flags, f"-I{POOL.parent}", "-I/usr/include/cthreadpool",
                    Path(__file__).parents[1] / "programs/parts/hooks_thpool.c", POOL, "-o", program], check=True)
    return program


@test("discover --static lists thread-local variables, families and what is named like a context")
@looks_again
def static():
    said = baton("discover", "--static", GLIB).ok().quiet()
    said.matches(r"8 bytes  tls:request_id\n").matches(r"families\)\n.* glib\.pool")
    said.matches(r"named like a context.*\n    tls:request_id\n")
    data = json.loads(baton("discover", "--json", "--static", GLIB).ok().quiet().out)
    main = data["modules"][0]
    expect({"name": "request_id", "size": 8}.items() <= next(
        v for v in main["variables"] if v["name"] == "request_id").items(), main)
    expect("glib.pool" in data["families"] and main["symbols"], data["families"])


@test("discover --static finds the program's own handoffs: by debug information, and stripped by their code")
@looks_again
def static_submits():
    with tempfile.TemporaryDirectory() as folder:
        program = pool_program(folder, "-g")
        baton("discover", "--static", program).ok().says("by debug information",
                                                         "\n    thpool_add_work(kind=call,fn=2,arg=3)\n")
        subprocess.run(["strip", program], check=True)
        said = baton("discover", "--static", program).ok()
        if missing(["Zydis"]):
            said.says("neither debug information nor Zydis")
            return
        said.matches(r"\n    main\+0x[0-9a-f]+\(kind=call,fn=2,arg=3\)\n").says("no symbols: install the debug package")


def found_in(*words, **how):
    data = json.loads(baton("discover", "--json", "--", *words, **how).out.splitlines()[-1])
    return data, {entry["item"]: entry["why"] for entry in data["left"]}


SYMBOLS = ["symbols", "debug file", "stripped"]


def code_is_read(how):
    """What no debug information tells is read from the code."""
    return ("Zydis",) if how == "stripped" else ()


def stripped(program, how, folder):
    """A copy of a program: with all it has, with a debug file beside it, or with nothing."""
    copy = Path(folder, program.name)
    shutil.copy(program, copy)
    if how == "debug file":
        subprocess.run(["objcopy", "--only-keep-debug", copy, f"{copy}.debug"], check=True)
    if how != "symbols":
        subprocess.run(["strip", copy], check=True)
    if how == "debug file":
        subprocess.run(["objcopy", f"--add-gnu-debuglink={copy}.debug", copy], check=True)
    return copy


@needs(of=code_is_read)
@test("discover finds the context variable and the context key among decoys, and no more", each=SYMBOLS)
@looks_again
def exactly_the_two(how):
    with tempfile.TemporaryDirectory() as folder:
        program = stripped(PROGRAMS / "discover_pool", how, folder)
        data, left = found_in(program)
        if how == "stripped":
            expect([item[:11] for item in data["carry"]] == ["tls:main+0x", "key:main+0x"], data["carry"])
            expect(data["hooks"] and data["hooks"][0].startswith("main+0x"), data["hooks"])
        else:
            expect(data["carry"] == ["tls:current_request", "key:tenant_key"], data["carry"])
            expect(data["hooks"] == ["pool_submit(kind=call,fn=1,arg=2)"], data["hooks"])
            decoys = {"tls:calls", "tls:random_state", "tls:cached_id", "tls:arena", "tls:thread_number",
                      "tls:last_error", "key:buffer_key", "key:count_key"}
            expect(decoys <= left.keys(), left)
        expect(len(left) >= 8, left)


def by_newer_gcc(is_lost, what):
    """What code shows that GCC 16 makes is another: then discover says that it could not tell, and who is to be looked at."""
    if is_lost and gcc_version() >= 16:
        unable(f"in the code of GCC 16 and newer {what}")


@needs(of=code_is_read)
@test("discover does so in C++, where the pool takes std::function", each=SYMBOLS)
@looks_again
def exactly_the_two_cxx(how):
    with tempfile.TemporaryDirectory() as folder:
        data, left = found_in(stripped(PROGRAMS / "discover_pool_cxx", how, folder))
        if how == "stripped":
            expect([item[:11] for item in data["carry"]] == ["tls:main+0x", "key:main+0x"], data["carry"])
            by_newer_gcc(not data["hooks"], "nobody sees which function hands over, without symbols")
            # By how the function that has no name moves it out of its argument.
            expect(re.fullmatch(r"main\+0x[0-9a-f]+\(kind=stdfunction,obj=2\)", " ".join(data["hooks"])), data["hooks"])
        else:
            expect(data["carry"] == ["tls:_ZN6server5Scope7currentE", "key:_ZN6server5Scope10tenant_keyE"], data)
            expect(data["hooks"] == ["_ZN4Pool7enqueueESt8functionIFvvEE(kind=stdfunction,obj=2)"], data["hooks"])
        expect(len(left) >= 5, left)


@needs(of=lambda name: code_is_read("stripped" if name == "discover_pool_virtual" else name))  # who overrides is read, too
@test("the whole loop: wrong as it is, looked at, and right with the file that discover wrote",
      each=("discover_pool", "discover_pool_cxx", "discover_pool_virtual"))
@looks_again
def whole_loop(name):
    program = PROGRAMS / name
    plain(program).exits(1).says("right 0 wrong 40")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "found.conf")
        # The program's output is what it was, and what is said goes to stderr.
        baton("discover", "-o", found, "--", program).ok().says("right 0 wrong 40\n").complains("next: baton run --config")
        by_newer_gcc("could not be told" in found.read_text(), "nobody sees which function hands over")
        baton("run", "--config", found, "--", program).ok().quiet().says("right 40 wrong 0")
        baton("discover", "-o", found, "--", "true").ok().complains("written to", "but nothing was found to carry")


@needs("Zydis")
@test("the whole loop of a stripped program: by offsets, also the function that hands over; check says the same",
      each=("discover_pool", "discover_pool_cxx", "discover_pool_virtual"))
@looks_again
def whole_loop_stripped(name):
    with tempfile.TemporaryDirectory() as folder:
        program, found = stripped(PROGRAMS / name, "stripped", folder), Path(folder, "found.conf")
        baton("discover", "-o", found, "--", program).ok()
        by_newer_gcc("could not be told" in found.read_text(), "nobody sees which function hands over, without symbols")
        baton("check", "--config", found, program).ok().says("at an offset", "hooked by a patch of its entry")
        baton("run", "--config", found, "--", program).ok().quiet().says("right 40 wrong 0")
        hook = re.search(r"^main\+0x([0-9a-f]+)\(", found.read_text(), re.M)
        between = f"main+0x{int(hook[1], 16) + 1:x}(kind=call,fn=1,arg=2)"
        baton("check", between, program).exits(1).says("no function of that name")


@test("discover sees what is handed over by an eventfd that its two ends know under numbers of their own", each=("dup", "fcntl"))
@looks_again
def copied_eventfd(way):
    ways = {(way["from"], way["to"], way["by"]) for way in found_in(PROGRAMS / "waits_futex", way)[0]["handoffs"]}
    expect(("hand_over", "await_task", "an eventfd") in ways, ways)


@test("discover sees what is handed over by a pipe or a pair of sockets", each=("pipe", "pipe2", "readv", "recv", "recvmsg"))
@looks_again
def pipes_and_sockets(way):
    ways = {(way["from"], way["to"], way["by"]) for way in found_in(PROGRAMS / "waits_futex", way)[0]["handoffs"]}
    expect(("hand_over", "await_task", "a socket" if way.startswith("recv") else "a pipe") in ways, ways)


@needs(of=code_is_read)
@test("discover names the variable behind a key that GLib puts on the heap, and the item carries", each=("symbols", "stripped"))
@looks_again
def behind_gprivate(how):
    with tempfile.TemporaryDirectory() as folder:
        program, found = stripped(PROGRAMS / "discover_gprivate", how, folder), Path(folder, "found.conf")
        plain(program).exits(1).says("right 0 wrong 40")
        baton("discover", "-o", found, "--", program).ok()
        keys = re.findall(r"^key:.*$", found.read_text(), re.M)
        expect(keys == ["key:request_private"] if how == "symbols" else len(keys) == 1 and keys[0].startswith("key:main+0x"),
               found.read_text())
        # GLib's g_cond_wait is a futex of its own: who submits is named here.
        baton("run", "--carry", keys[0], "--hook", "pool_submit(kind=call,fn=1,arg=2)" if how == "symbols" else
              re.search(r"^main\+0x.*$", found.read_text(), re.M)[0], "--", program).ok().quiet().says("right 40 wrong 0")


@test("discover numbers the keys of one function as a run does, also where all are deleted at exit")
def keys_of_one_function():
    program = PROGRAMS / "discover_keys_by"
    plain(program).exits(1).says("right 0 wrong 40")
    said = baton("discover", "--", program).ok().out
    expect(set(re.findall(r"key:by=make_key[#0-9]*", said)) == {"key:by=make_key#1", "key:by=make_key#2"}, said)
    baton("run", "--require", "--carry", "key:by=make_key#2", "--hook", "pool_submit(kind=call,fn=1,arg=2)", "--",
          program).ok().says("right 40 wrong 0")


@test("discover names a QThreadStorage with what copies it, and not one that counts; stripped it says what is to be known",
      each=("symbols", "stripped"))
@looks_again
def qthreadstorage(how):
    with tempfile.TemporaryDirectory() as folder:
        program, found = stripped(PROGRAMS / "discover_qt", how, folder), Path(folder, "found.conf")
        plain(program).exits(1).says("right 0 wrong 40")
        baton("discover", "-o", found, "--", program).ok()
        items = re.findall(r"^#?(qt:\S*)$", found.read_text(), re.M)
        expect(items == ["qt:request_name,codec=qstring"] if how == "symbols" else
               len(items) == 1 and re.match(r"qt:main\+0x.*,codec=/FILE.so$", items[0]), found.read_text())
        submit = "pool_submit" if how == "symbols" else re.search(r"was woken from (main\+0x[0-9a-f]+)", found.read_text())[1]
        baton("run", "--carry", items[0].replace("/FILE.so", "qstring"), "--hook", f"{submit}(kind=call,fn=1,arg=2)", "--", program) \
            .ok().quiet().says("right 40 wrong 0")


@test("discover: a plugin of Qt that a program of C opens for itself alone is watched and runs as without")
def plugin_of_qt():
    with tempfile.TemporaryDirectory() as folder:
        program, found = (PROGRAMS / "qt_local", PROGRAMS / "qt_local.so"), Path(folder, "found.conf")
        before = plain(*program).wrong()
        baton("discover", "-o", found, "--", *program).ok().says(before.out)


@needs(programs=["qt_local.so", "qt_local6.so"])
@test("discover watches two Qts in one process, each with its own storage, and a run carries both", each=("5 first", "6 first"))
@looks_again
def two_qts(order):
    plugins = [PROGRAMS / "qt_local.so", PROGRAMS / "qt_local6.so"][::1 if order == "5 first" else -1]
    with tempfile.TemporaryDirectory() as folder:
        program, found = (PROGRAMS / "qt_local", *plugins), Path(folder, "found.conf")
        before = plain(*program).wrong()
        baton("discover", "-o", found, "--", *program).ok().says(before.out)
        items = re.findall(r"^(qt:\S*)$", found.read_text(), re.M)
        expect(sorted(items) == [f"qt:request_of_plugin@{name},codec=qstring" for name in ("qt_local", "qt_local6")], found.read_text())
        baton("run", "--config", found, "--", *program).ok().quiet()


@needs("Zydis")
@test("discover finds the two also where a single worker never waits, or is woken once for all there is, as beside load",
      each=("never", "once"))
def busy_worker(waits):
    with tempfile.TemporaryDirectory() as folder:
        program, found = Path(folder, "busy"), Path(folder, "found.conf")
        subprocess.run(["gcc", "-O2", "-w", f"-DBUSY={1 if waits == 'never' else 2}", "-pthread",
                        ROOT / "tests/programs/discover_pool.c", "-o", program], check=True)
        data, left = found_in(program)
        expect(data["carry"] == ["tls:current_request", "key:tenant_key"], data)
        expect(data["hooks"] == ["pool_submit(kind=call,fn=1,arg=2)"], data)
        expect(("main", "worker", "a thread's start") in {(way["from"], way["to"], way["by"]) for way in data["handoffs"]}, data)
        expect(len(left) >= 8, left)
        baton("discover", "-o", found, "--", program).ok().says("right 0 wrong 40")
        baton("run", "--config", found, "--", program).ok().quiet().says("right 40 wrong 0")


@needs("g++", "Zydis")
@test("discover finds the single worker of C++ that never waits: what std::thread starts with is the program's own function",
      each=SYMBOLS[::2])
@looks_again
def busy_worker_cxx(how):
    with tempfile.TemporaryDirectory() as folder:
        built, found = Path(folder, "built"), Path(folder, "found.conf")
        subprocess.run(["g++", "-O2", "-w", "-DBUSY=1", "-pthread", ROOT / "tests/programs/discover_pool_virtual.cc", "-o", built],
                       check=True)
        Path(folder, "copy").mkdir()
        program = stripped(built, how, Path(folder, "copy"))
        baton("discover", "-o", found, "--", program).ok().says("right 0 wrong 40")
        by_newer_gcc("could not be told" in found.read_text(), "nobody sees which function hands over")
        baton("run", "--config", found, "--", program).ok().quiet().says("right 40 wrong 0")


@test("discover: threads that never wait are nobody's workers where nothing is context, as those that spin")
def no_workers_of_spinners():
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "busy")
        subprocess.run(["gcc", "-O2", "-w", "-DBUSY=1", "-DNO_CONTEXT", "-pthread",
                        ROOT / "tests/programs/discover_pool.c", "-o", program], check=True)
        data, _ = found_in(program)
        expect(not data["carry"] and not data["hooks"], data)
        expect(not any(way["is_pool"] for way in data["handoffs"] if way["by"] != "a thread's start"), data)


@needs("Zydis")
@test("discover: a function that hands over stands in a comment where nothing is found that it would carry")
@looks_again
def nothing_to_carry():
    with tempfile.TemporaryDirectory() as folder:
        program, found = Path(folder, "pool"), Path(folder, "found.conf")
        subprocess.run(["gcc", "-O2", "-w", "-DNO_CONTEXT", "-pthread", ROOT / "tests/programs/discover_pool.c", "-o", program],
                       check=True)
        baton("discover", "-o", found, "--", program).ok().complains("but nothing was found to carry")
        text = found.read_text()
        expect("\n#   nothing was found that it would carry; else: pool_submit(kind=call,fn=1,arg=2)\n" in text, text)
        expect(not re.search(r"^[^#\n]", text, re.M), text)


@test("discover calls a program that is started by a link by the link's name")
@looks_again
def link_name():
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "server")
        link.symlink_to(PROGRAMS / "discover_pool")
        data, _ = found_in("server", env={"PATH": f"{folder}:{os.environ['PATH']}"})
        expect(data["program"] == str(link), data["program"])
        # Found by its file all the same: its symbols are there.
        expect(data["hooks"] == ["pool_submit(kind=call,fn=1,arg=2)"], data["hooks"])


@needs("gcc", "x86-64", "Zydis")
@test("discover finds the function that hands over also where it leaves by a jump, so that no stack has it", each=SYMBOLS[::2])
@looks_again
def leaves_by_jump(how):
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "built")
        subprocess.run(["gcc", "-O2", "-w", "-DSIGNAL_LAST", "-pthread", ROOT / "tests/programs/discover_pool.c", "-o", built], check=True)
        code = subprocess.run(["objdump", "-d", "--disassemble=pool_submit", built], capture_output=True, text=True, check=True).stdout
        expect(re.search(r"jmpq? .*<pthread_cond_signal@plt>", code), "it is a call")
        Path(folder, "copy").mkdir()
        program, found = stripped(built, how, Path(folder, "copy")), Path(folder, "found.conf")
        baton("discover", "-o", found, "--", program).ok()
        by_newer_gcc("are no instructions" in baton("check", "--config", found, program).out, "what was found cannot be patched")
        baton("run", "--config", found, "--", program).ok().quiet().says("right 40 wrong 0")


@test("discover leaves nothing behind, and the program's status and signals are told")
@looks_again
def leaves_nothing():
    with tempfile.TemporaryDirectory() as folder:
        how = {"env": {"TMPDIR": folder}}
        baton("discover", "--", PROGRAMS / "discover_pool", **how).ok().says("tls:current_request")
        baton("discover", "--", "sh", "-c", "kill -SEGV $$", **how).complains("was ended by signal 11")
        baton("discover", "--", "no-such-program", **how).exits(127)
        expect(not list(Path(folder).iterdir()), list(Path(folder).iterdir()))
    for seconds in ("x", "5s", "0", "-1"):
        said = baton("discover", "--for", seconds, "true").exits(2).complains("expected seconds")
        expect("nothing to judge" not in said.err, said.err)
    baton("discover").exits(2).complains("no program given")


@needs("Zydis")
@test("discover says of a static function that it is refused so, and by which option it is not; with that it is right")
@looks_again
def static_pool(tmp_path):
    program, conf = PROGRAMS / "pool_beside", tmp_path / "found.conf"
    baton("discover", "-o", conf, "--", program, "own").ok()
    text = conf.read_text()
    item = re.search(r"#   It is static: .*\n#   .*the option unsafe hooks it.*\n(.*enqueue.*)\((.*)\)\n", text)
    expect(item and text.count("It is static") == 1, text)
    baton("check", f"{item[1]}({item[2]})", program).exits(1).says("the option unsafe")
    baton("run", "--verdict", "--carry", "key:tenant_key;tls:current_request", "--hook", f"{item[1]}({item[2]},unsafe)", "--",
          program, "own").ok().says("right 200 wrong 0").complains("baton: ok: ")


@test("discover --for ends a server after a while; --now looks at one that runs")
@looks_again
def now_and_for():
    server = [str(PROGRAMS / "discover_pool"), "1000000000"]
    baton("discover", "--for", "1", "--", *server).ok().says("\ntls:current_request\n")
    baton("discover", "--now", "x").exits(2)
    baton("discover", "--now", str(os.getpid())).exits(1).complains("notes nothing down")
    with tempfile.TemporaryDirectory() as folder:
        settings = {"BATON_DISCOVER": f"{folder}/%p", "LD_PRELOAD": str(ROOT / "build/libbaton-discover.so")}
        process = subprocess.Popen(server, env=settings)
        try:
            patience.until(lambda: "\ntls:current_request\n" in baton("discover", "--now", str(process.pid)).out)
            said = baton("discover", "--now", str(process.pid))
            said.ok().says("\ntls:current_request\n", "\nkey:tenant_key\n", "\npool_submit(kind=call,fn=1,arg=2)\n")
        finally:
            process.kill()
            process.wait()


@test("discover: programs of Debian run as without it, and are told to carry nothing that is no context", release=True,
      each=("slapd", "vips", "gstreamer", "named", "ffmpeg", "python3", "node", "nginx", "redis", "memcached"))
def programs_of_debian(name):
    result = plain(ROOT / "scripts/real-programs", "-n", "1", "--discover", name, timeout=120)
    if result.code == 77:
        unable(result.out.partition("\n")[0])
    result.ok().says(f"ok      {name}: ")


@test("discover names the preset that knows a pool, and baton run takes what it has written")
@looks_again
def names_preset():
    with tempfile.TemporaryDirectory() as folder:
        program, conf = pool_program(folder), Path(folder, "found.conf")
        baton("discover", "-o", conf, "--", program).ok()
        text = conf.read_text()
        expect(re.search(r"^#   \d+ times .* was woken from .*, which a preset knows\npreset:cthreadpool$", text, re.M), text)
        expect("could not be told" not in text and "thpool_add_work(" not in text, text)
        baton("run", "--no-verdict", "--report", f"{folder}/counts.json", "--config", conf, "--", program).ok()
        hooks = json.loads(Path(folder, "counts.json").read_text())["hooks"]
        expect(any(hook["item"].startswith("thpool_add_work(") for hook in hooks), hooks)


@needs(programs=["adapter_mpfr"])
@test("discover: what auto knows of the program's libraries is written as its items")
@looks_again
def names_known():
    program = PROGRAMS / "adapter_mpfr"
    text = plain(str(BATON), "discover", "--", program).out
    expect(re.search(r"^# Of its libraries, as baton run --auto carries it:\n#   MPFR: .*\nadapter:mpfr$", text, re.M), text)


@needs("libjemalloc.so.2")
@test("discover: what an allocator keeps for a thread is never context, whatever it looks like")
@looks_again
def allocator():
    library = next(iter(Path("/usr/lib").glob("*-linux-gnu/libjemalloc.so.2")), None)
    found = json.loads(plain(str(BATON), "discover", "--json", "--", PROGRAMS / "web_request",
                             env={"LD_PRELOAD": str(library)}).ok().out.splitlines()[-1])
    expect(not any("jemalloc" in item for item in found["carry"]), found["carry"])
    whys = {left["why"] for left in found["left"] if "jemalloc" in left["item"]}
    # It is stripped: where its variables are its code tells.
    expect(whys == (set() if missing(["Zydis"]) else {"the allocator's own"}), found["left"])


@test("discover tells a terminal that it still looks, from the second second on, and leaves nothing of that line")
def shows_progress(tmp_path):
    facts = tmp_path / "facts"
    os.mkfifo(facts)
    mine, theirs = os.openpty()
    process = subprocess.Popen([ROOT / "build/baton-discover", "judge", facts, "text"], stdout=subprocess.DEVNULL, stderr=theirs)
    try:
        # A second is a signal of its clock; ours come sooner. Not before it waits for them.
        caught = re.compile(r"^SigCgt:.*[2367abef]...$", re.M)
        patience.until(lambda: caught.search(Path(f"/proc/{process.pid}/status").read_text()))
        said = ""
        for _ in range(1000):
            process.send_signal(signal.SIGALRM)
            said += os.read(mine, 1000).decode() if select.select([mine], [], [], 0.05)[0] else ""
            if re.search(r"looking at what there is: +2 s", said):
                break
        expect(" 2 s" in said and "1 s" not in said, said)
        os.close(os.open(facts, os.O_WRONLY))  # no facts: it ends
        expect(patience.wait(process) == 1, "it found something")
        said += os.read(mine, 4000).decode()
        expect(re.search(r"s\r +\rbaton: the run has left nothing", said), repr(said))
    finally:
        process.kill()
        process.wait()
        os.close(mine)
        os.close(theirs)
