"""Presets against the real libraries: each group plain wrong, carried right; an item that never fires is an error."""
import subprocess
import tempfile
from pathlib import Path

from compile import compiled
from harness import ROOT, carry, expect, find_program, plain, test
from needs import gcc_version, needs, require, unable

TLS = "tls:request_id"
THPOOL = "/usr/share/cthreadpool/thpool.c"
# The program, and the items of the preset that this program has no use for.
PRESETS = {
    "grpc": ("preset_grpc", ("SetInternalE12", "pluck", "OnDone")),
    "grpc, hard": ("preset_grpc_hard", ()),
    "llvm": ("preset_llvm", ()),
    "poco": ("preset_poco", ()),
    "qt": ("preset_qt5", ("UNIX",)),
    "qt ": ("preset_qt6", ("UNIX",)),
    "qt without GLib": ("preset_qt5", ("Glib",)),
    "qt without GLib ": ("preset_qt6", ("Glib",)),
    "qt, hard": ("preset_qt5_hard", ("UNIX",)),
    "qt, hard ": ("preset_qt6_hard", ("UNIX",)),
    "qt, hard without GLib": ("preset_qt5_hard", ("Glib",)),
    "qt, hard without GLib ": ("preset_qt6_hard", ("Glib",)),
    "asio": ("preset_asio", ("strand",)),
    "asio ": ("preset_asio_boost", ("strand",)),
    "gdal": ("preset_gdal", ()),
    "openblas": ("preset_openblas", ()),
}
POOLS = {"llvm"}  # whose workers are started by std::thread: that they begin with nothing is the preset's to say
CARRIED = {"openblas": "fenv"}  # its workers run no code of the program's; how they compute is what can be seen


def fired(after, preset, unused=()):
    """Every item of the preset found its function and was called."""
    for hook in after.reported()["hooks"]:
        if hook["preset"] != preset:
            after.fail(f"{hook['item']} is of {hook['preset']}")
        if not hook["fired"] and not any(part in hook["item"] for part in unused):
            after.fail(f"{hook['item']} is {hook['state']}, never fired: {hook['reason']}")


@test("a preset carries what its library hands over, and each of its items is met", each=PRESETS)
def library(name):
    program, unused = PRESETS[name]
    preset = name.split()[0].rstrip(",")
    env = {"QT_NO_GLIB": "1"} if "without GLib" in name else {}  # what of Qt waits for events is another then
    require(programs=[program])
    plain(program, env=env).wrong()
    after = carry(CARRIED.get(name, TLS), program, env={"BATON_HOOKS": f"preset:{preset}", **env}, launched=True).ok()
    fired(after, preset, unused)
    alive = [after.reported()[what] for what in ("contexts_alive", "records_alive", "values_alive")]
    expect(not any(alive), f"alive at the end: {alive}")
    if preset in POOLS:
        expect("pthread" not in after.reported()["families"], "a worker has inherited its first submitter's context")


def left(after):
    """How many contexts nobody fetched: still alive, or replaced as something new came by the same address."""
    report = after.reported()
    return report["contexts_alive"] + sum(hook["evicted"] for hook in report["hooks"] if hook["kind"] == "submit")


@test("no line of a preset is there for nothing: without it tasks are wrong, or contexts are left",
      each=[name for name in PRESETS if name.split()[0] not in ("qt", "grpc")], release=True)
def each_line(name, tmp_path):
    program, unused = PRESETS[name]
    preset = name.split()[0].rstrip(",")
    env = {"QT_NO_GLIB": "1"} if "without GLib" in name else {}
    require(programs=[program])
    lines = (ROOT / "shim/userhooks/presets" / f"{preset}.conf").read_text().splitlines()
    usual = left(carry(CARRIED.get(name, TLS), program, launched=True, env={"BATON_HOOKS": f"preset:{preset}", **env}).ok())
    for line in lines:
        if "(kind=" not in line or any(part in line for part in unused):
            continue
        folder = tmp_path / str(lines.index(line)) / "baton" / "presets"
        folder.mkdir(parents=True)
        (folder / f"{preset}.conf").write_text("\n".join(other for other in lines if other != line))
        after = carry(CARRIED.get(name, TLS), program, launched=True,
                      env={"BATON_HOOKS": f"preset:{preset}", "XDG_CONFIG_HOME": folder.parents[1], **env})
        if after.code == 0 and left(after) <= usual:
            after.fail(f"all is as it was without {line}")


VALGRIND = ("llvm", "poco", "asio", "asio ", "qt, hard", "qt, hard ", "grpc", "grpc, hard")


@needs("valgrind")
@test("under valgrind a preset adds nothing: it looks at no event or object that there is not", each=VALGRIND, timeout=200)
def under_valgrind(name):
    program, _ = PRESETS[name]
    require(programs=[program])
    words = ["valgrind", "-q", "--error-exitcode=9", find_program(program)]
    env = {"BATON_HOOKS": f"preset:{name.split()[0].rstrip(',')}"}
    if plain(*words, timeout=90).code == 9:
        unable("valgrind complains of this library by itself")
    carry(TLS, *words, env=env, launched=True, timeout=90).ok().carried("named")


APART = ("-O3", "-DBOOST_ASIO_SEPARATE_COMPILATION", "preset_asio_apart.cc")


@test("a strand of Asio's, where its queue is not inlined, or Asio is compiled apart: each handler has its own context",
      each=[("-O0",), APART], release=lambda *how: how == APART)
def strand(*how):
    require(programs=["preset_asio_boost"])
    program = compiled("strand", "-std=c++14", *how, "preset_strand.cc", compiler="g++")
    plain(program).wrong()
    carry(TLS, program, env={"BATON_HOOKS": "preset:asio"}, launched=True).ok().clean().says("ran 500 wrong 0")


@test("pools of std::packaged_task", each=[("g++", "-O0"), ("g++", "-O2"), ("clang++", "-O0")])
def std_future(compiler, level):
    program = compiled("shapes", level, "-std=c++14", "hooks_shapes.cc", compiler=compiler)
    plain(program, "packaged").wrong()
    after = carry(TLS, program, "packaged", env={"BATON_HOOKS": "preset:std-future"}, launched=True)
    if (compiler, level) == ("g++", "-O2") and gcc_version() >= 16 and after.code == 1:
        unable("GCC 16 and newer inline tasks of std::packaged_task where they are run")
    after.ok().clean()
    fired(after, "std-future")


@needs("cthreadpool")
@test("C-Thread-Pool, compiled into a program", each=("-O0", "-O2"))
def cthreadpool(level):
    program = compiled("thpool", level, "-I/usr/include/cthreadpool", "hooks_thpool.c", THPOOL)
    plain(program).wrong()
    after = carry("key:request_key", program, env={"BATON_HOOKS": "preset:cthreadpool"}, launched=True).ok().clean()
    fired(after, "cthreadpool")


@needs("rustc")
@test("a Rust pool that sends boxed functions through a channel")
def rust_channel():
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "pool")
        subprocess.run(["rustc", "-O", ROOT / "tests/programs/parts/preset_rust.rs", "-o", program], check=True)
        names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.split()
        request = next(name for name in names if "REQUEST" in name and "VAL" in name)
        plain(program).exits(1)
        after = carry(f"tls:{request}", program, env={"BATON_HOOKS": "preset:rust-channel"}, launched=True).ok()
        fired(after, "rust-channel")


@needs(programs=["preset_poco"])
@test("B12: Poco::Thread starts the library's workers, too, and begins with nothing; BATON_OWN says otherwise")
def poco_threads():
    carry(TLS, "preset_poco", "threads").wrong()
    carry(TLS, "preset_poco", "threads", env={"BATON_OWN": "libPocoFoundation"}).ok().clean().carried("pthread")


@needs(programs=["preset_poco"])
@test("a preset of which something fired is used: its other functions are no fault; one of which nothing fired is")
def used_in_part():
    def run_with(preset, *groups):
        return plain(str(ROOT / "scripts" / "baton"), "run", "--carry", "tls:request_id", "--preset", preset, "--verdict",
                     "--", find_program("preset_poco"), *groups)
    run_with("poco", "timer").ok().complains("baton: ok: ").never_says("PARTIAL")
    run_with("poco", "none").ok().complains("NOTHING CARRIED: ", "never fired")
    run_with("llvm", "timer").complains("NOTHING CARRIED: ", "matched nothing")


@test("a preset of which work was handed over and nothing run is not ok: the verdict names what was not met, and why")
def never_run(tmp_path):
    program = compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c")
    for name, runs in ("met", "task_execute(kind=run,obj=1)"), ("lost", "call_submit(kind=run,obj=2)"):
        presets = tmp_path / name / "baton" / "presets"
        presets.mkdir(parents=True)
        (presets / "mine.conf").write_text(f"about=Ours\nlist_submit(kind=submit,obj=2)\n{runs}\n")
        after = plain(str(ROOT / "scripts" / "baton"), "run", "--carry", "key:request_key", "--preset", "mine", "--verdict", "--",
                      program, "list", env={"XDG_CONFIG_HOME": tmp_path / name, "BATON_READS": "off"})
        if name == "met":
            after.ok().complains("baton: ok: ")
        else:
            after.complains("PARTIAL: 1,000 tasks were handed over with their submitter's values, but ", f"{runs} never fired: it was not called")
