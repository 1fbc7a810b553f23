"""Modules that come and go while the program runs, and libraries that are there twice."""
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import PROGRAMS, carry, idle, plain, test
from needs import needs


def copies(source, folder, names=("one", "two")):
    """The same plugin as several files: to the loader they are different modules."""
    for name in names:
        shutil.copy(PROGRAMS / source, Path(folder) / f"{name}.so")
    return [str(Path(folder) / f"{name}.so") for name in names]


@test("E24: plugins loaded with RTLD_LOCAL, unloaded and loaded again carry slots of their own",
      each=("dlopen", "dlmopen"))
def rtld_local(how):
    with tempfile.TemporaryDirectory() as folder:
        plugins = copies("plugin.so", folder)
        how = ["--dlmopen"] if how == "dlmopen" else []
        plain("plugin_host", *how, *plugins).wrong()
        items = ";".join(f"{kind}@{name}.so" for name in ("one", "two")
                         for kind in ("key:plugin_key", "tls:plugin_word"))
        # A plugin's own threads begin empty unless they are asked for: here its slots are looked at in both.
        after = carry(items, "plugin_host", *how, *plugins, env={"BATON_OWN": "one,two"}).ok().quiet()
        for turn in (1, 2, 3):
            for place, name in ((1, "one"), (2, "two")):
                value = 100 * turn + 10 * place
                after.says(f"{name}.so: thread sees {value} {value + 1}, pool sees {value} {value + 1}\n")
        after.clean()


@test("E24: a variable that comes inside a task: tasks of before see what it begins with")
def inside_a_task():
    for start in (plain, idle):
        start("late_word", PROGRAMS / "late_word.so").wrong()
    carry("tls:late_word", "late_word", PROGRAMS / "late_word.so").ok().quiet().clean()


@test("E24: one item of one copy leaves the other copy alone")
def one_of_two_copies():
    with tempfile.TemporaryDirectory() as folder:
        plugins = copies("plugin.so", folder)
        after = carry("key:plugin_key@two.so", "plugin_host", *plugins, env={"BATON_OWN": "one,two"})
        after.says("one.so: thread sees 0 0, pool sees 0 0\n", "two.so: thread sees 120 0, pool sees 120 0\n")
        after.clean()


@needs(programs=["plugin_uv.so"])
@test("E24: two copies of libuv in one program each keep their own calls")
def two_copies_of_libuv():
    library = PROGRAMS / "plugin_uv.so"
    linked = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=True).stdout
    real = re.search(r"libuv\.so\.1 => (\S+)", linked).group(1)
    with tempfile.TemporaryDirectory() as folder:
        plugins = []
        for name in ("A", "B"):
            # The loader tells libraries apart by the name inside: give each copy one of its own.
            for source, target in ((real, f"libuv.so.{name}"), (library, f"{name}.so")):
                content = Path(source).read_bytes().replace(b"libuv.so.1\0", f"libuv.so.{name}\0".encode())
                (Path(folder) / target).write_bytes(content)
            plugins.append(str(Path(folder) / f"{name}.so"))
        plain("plugin_host", *plugins).wrong().says("A.so: work sees 0, after sees 0")
        after = carry("key:plugin_key@A.so;key:plugin_key@B.so", "plugin_host", *plugins).ok().quiet()
        after.says("A.so: work sees 110, after sees 110", "B.so: work sees 320, after sees 320").clean()


@test("D17, E24: a plugin goes while tasks wait with values of its key: they run, its code is not missed")
def unloaded_with_values_in_flight():
    plugin = PROGRAMS / "plugin_destructor.so"
    plain("plugin_gone", plugin).wrong()
    after = carry("key:session_key", "plugin_gone", plugin).ok().quiet().clean()
    after.says("destroyed before the tasks 0", "sessions seen 2", "destroyed in the end 2")
