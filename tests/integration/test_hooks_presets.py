"""BATON_HOOKS=preset:NAME: the queues of libraries, with the real libraries."""
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from harness import CARRIERS, ROOT, Failure, carry, expect, find_program, idle, plain, run, test
from needs import unable

BY = {"got": False, "symbol": True}
GLIB = {"equal": 9, "order": 8, "ways": 8, "twice": 12, "remove": 5, "dropped": 20 * 202, "threads": 903}
APR = {"ways": 5, "dropped": 300, "threads": 900}


def queue(program, preset, mode, kind, by, tasks):
    for start in (plain, idle):
        start(program, mode, kind).wrong()
    carry(CARRIERS[kind], program, mode, kind).wrong().clean()  # it has to be asked for
    after = carry(CARRIERS[kind], program, mode, kind, env={"BATON_HOOKS": f"preset:{preset}"}, launched=BY[by])
    after.ok().quiet().clean().carried("named", exactly=tasks)
    for hook in after.reported()["hooks"]:
        if hook["fired"] and hook["by"] != by:
            after.fail(f"{hook['item']} is hooked by {hook['by']}, not {by}")


@test("GAsyncQueue: order, equal items, two queues, every way, removal, queues that go with items",
      each=[(mode, kind, by) for mode in GLIB for kind in CARRIERS for by in BY])
def g_async_queue(mode, kind, by):
    queue("queue_glib", "g_async_queue", mode, kind, by, GLIB[mode])


@test("apr_queue: full, empty, equal items, queues that go with items, threads",
      each=[(mode, kind, by) for mode in APR for kind in CARRIERS for by in BY])
def apr_queue(mode, kind, by):
    queue("queue_apr", "apr_queue", mode, kind, by, APR[mode])


@test("every function of a preset is one of the library, and reached by its name")
def check():
    for program, preset, library in (("queue_glib", "g_async_queue", "libglib"), ("queue_apr", "apr_queue", "libaprutil")):
        path = str(ROOT / "build/tests/programs" / program)
        rows = (ROOT / f"shim/userhooks/presets/{preset}.conf").read_text().count("(kind=")
        for words in (["--hook", f"preset:{preset}"], [f"key:request_key;preset:{preset}"]):
            result = run(str(ROOT / "scripts/baton"), "check", *words, path, preload=False).ok()
            found = len(re.findall(rf"found in {library}.*hooked by name", result.out))
            if found != rows:
                result.fail(f"{found} of {rows} functions found")


@test("E22: a preset that there is not is told with those that there are; one named twice is said, and counts once")
def wrong_name():
    result = carry("key:request_key", "queue_glib", "equal", env={"BATON_HOOKS": "preset:apr_queue;preset:queue"})
    result.wrong().complains("BATON_HOOKS", "preset:queue", "expected a preset: apr_queue,").complains("g_async_queue")
    twice = {"BATON_HOOKS": "preset:g_async_queue;preset:g_async_queue"}
    carry("key:request_key", "queue_glib", "equal", env=twice).ok().complains("BATON_HOOKS", "given before, expected once")


@test("a preset in the configuration file")
def in_file():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("# queues\nkey:request_key\npreset:g_async_queue # of GLib\n")
        file.flush()
        run("queue_glib", "equal", env={"BATON_CONFIG": file.name}).ok().quiet()


def lines_of(preset):
    """Its lines, with their items alone."""
    return [line for line in (ROOT / f"shim/userhooks/presets/{preset}.conf").read_text().splitlines() if "(kind=" in line]


def with_lines(preset, lines, program, mode, tasks, by="symbol"):
    """A run with a preset of these lines in the place of ours."""
    with tempfile.TemporaryDirectory() as folder:
        presets = Path(folder, "baton/presets")
        presets.mkdir(parents=True)
        Path(presets, f"{preset}.conf").write_text("about=ours, changed\n" + "\n".join(lines) + "\n")
        env = {"BATON_HOOKS": f"preset:{preset}", "XDG_CONFIG_HOME": folder}
        after = carry("key:request_key", program, mode, "key", env=env, launched=BY[by])
        return after.ok().quiet().clean().carried("named", exactly=tasks)


# A queue is known to have ended by its last reference, and, where nobody saw that, by its address, which is a new one's.
ENDS = {"by its last reference": "_new", "by the next one at its address": "ref"}


def without(lines, name):
    return [line for line in lines if name not in line.split("(")[0]]


@test("each way by which a queue's end is known is enough alone", each=ENDS)
def ends_alone(way):
    with_lines("g_async_queue", without(lines_of("g_async_queue"), ENDS[way]), "queue_glib", "dropped", GLIB["dropped"])


def broken(line):
    """The line left out, and with each position another one."""
    yield ""
    for found in re.finditer(r"(item|queue)=([*]?)([1-4]|ret)", line):
        for other in {"1", "2", "3"} - {found[3]}:
            yield f"{line[:found.start()]}{found[1]}={other}{line[found.end():]}"


def is_noticed(preset, program, modes, lines):
    try:
        for mode in modes:
            with_lines(preset, lines, program, mode, modes[mode])
        if preset == "g_async_queue":
            for name in ENDS.values():
                with_lines(preset, without(lines, name), program, "dropped", modes["dropped"])
    except Failure:
        return True
    return False


QUEUES = {"g_async_queue": ("queue_glib", GLIB), "apr_queue": ("queue_apr", APR)}


@test("a line of a queue's preset that is wrong, or not there, is noticed by these tests",
      each=[(preset, line.split("(")[0]) for preset in QUEUES for line in lines_of(preset)], release=True)
def each_line(preset, name):
    program, modes = QUEUES[preset]
    lines = lines_of(preset)
    place = next(i for i, line in enumerate(lines) if line.startswith(f"{name}("))
    for change in broken(lines[place]):
        changed = [*lines[:place], change, *lines[place + 1:]]
        expect(is_noticed(preset, program, modes, changed), f"nothing notices {change or name + ' left out'}")


OWN = """# one of the user's own
about=nothing but a test
pool=libnone
key:request_key   # what is carried may be in it too
"""


@test("presets of the user: what they carry and hook, told apart in the report; mistakes with file and line",
      each=BY)
def of_the_user(by):
    with tempfile.TemporaryDirectory() as folder:
        presets = Path(folder, "baton/presets")
        presets.mkdir(parents=True)
        rows = lines_of("g_async_queue")
        Path(presets, "mine.conf").write_text(OWN + "\n".join(rows))
        env = {"BATON_HOOKS": "preset:mine", "XDG_CONFIG_HOME": folder, "BATON_REPORT": f"{folder}/report"}
        run("queue_glib", "equal", env=env, launched=BY[by]).ok().quiet()
        hooks = json.loads(Path(folder, "report").read_text().splitlines()[-1])["hooks"]
        assert [hook["preset"] for hook in hooks] == ["mine"] * len(rows) and hooks[0]["fired"], hooks
        Path(presets, "g_async_queue.conf").write_text(OWN + "g_async_queue_ref(kind=reff,queue=1)\n")
        env = {"BATON_HOOKS": "preset:g_async_queue", "XDG_CONFIG_HOME": folder}
        run("queue_glib", "equal", env=env).complains("g_async_queue.conf:5:24", 'BATON_HOOKS="g_async_queue_ref')
        listed = run(str(ROOT / "scripts/baton"), "presets", preload=False, env={"XDG_CONFIG_HOME": folder}).ok()
        listed.says("nothing but a test").says("apr_queue")


@test("a preset's file is the user's, else the machine's in /etc/baton/presets, else ours")
def folders(tmp_path):
    etc = tmp_path / "etc"  # the machine's, in a mount namespace of the test's own
    for path, text in ((etc, "about=the machine's\ng_async_queue_ref(kind=reff,queue=1)\n"),
                       (tmp_path / "user", "\n".join(["about=the user's", *lines_of("g_async_queue")]))):
        (path / "baton/presets").mkdir(parents=True)
        (path / "baton/presets/g_async_queue.conf").write_text(text)
    if Path("/etc/ld.so.cache").exists():
        shutil.copy("/etc/ld.so.cache", etc)
    space = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", f'mount --bind "{etc}" /etc && exec "$@"', "sh"]
    if plain(*space, "true").code:
        unable("no mounts of one's own")
    for user in "nobody", "user":
        def baton(*words):
            return plain(*space, ROOT / "scripts/baton", *words, env={"XDG_CONFIG_HOME": tmp_path / user, "HOME": tmp_path})
        ran = baton("run", "--carry", "key:request_key", "--preset", "g_async_queue", "--", find_program("queue_glib"), "equal")
        listed = baton("presets").ok().says("apr_queue")
        if user == "user":
            ran.ok().quiet()
            listed.says("the user's").never_says("the machine's")
        else:
            ran.complains("/etc/baton/presets/g_async_queue.conf:2:")
            listed.says("the machine's").never_says("the user's")


@test("GLib's own queues, of its thread pools, are left alone", each=BY)
def own_queues(by):
    env = {"BATON_HOOKS": "preset:g_async_queue"}
    after = carry("key:request_key", "glib_pool", "sort", env=env, launched=BY[by])
    if after.reported()["families"].get("named", {}).get("carried"):
        after.fail("GLib's calls of itself were hooked")
