"""Callers that go past preloaded libraries: RTLD_DEEPBIND, dlsym with libc's handle, Python's ctypes."""
import shutil
import tempfile
from pathlib import Path

from compile import compiled
from harness import CARRIERS, PROGRAMS, ROOT, carry as carry_as_it_is, idle, plain, test
from needs import needs

# What a library starts begins empty; here it is looked at in threads that plugins start.
INHERITING = "lazy,bound,relro,own,libown,bypass,plugin,libbareone,libbaretwo,libbypassbare,libopener,one,two"


def carry(items, program, *args, env=None, **how):
    return carry_as_it_is(items, program, *args, env={"BATON_OWN": INHERITING, **(env or {})}, **how)


KEY = CARRIERS["key"]
PLUGINS = {"lazy": "bypass.so", "bound": "bypass.so", "relro": "bypass_relro.so"}


def plugins(folder, names):
    """A copy of a plugin for each name: with "lazy" in its name it is opened so."""
    paths = []
    for name in names:
        paths.append(str(Path(folder) / f"{name}.so"))
        shutil.copy(PROGRAMS / PLUGINS[name], paths[-1])
    return paths


def items(names):
    return ";".join([KEY] + [f"key:plugin_key@{name}.so" for name in names])


@test("readers past us see the task's value: dlsym and dlvsym of libc, plugins opened with RTLD_DEEPBIND",
      each=((), ("lazy",), ("bound",), ("relro",), ("lazy", "bound", "relro")))
def readers(*names):
    with tempfile.TemporaryDirectory() as folder:
        paths = plugins(folder, names)
        for how in (plain, idle):
            how("bypass", 3, *paths).wrong()
        carry(items(names), "bypass", 200, *paths).ok().quiet().clean()


@test("a RTLD_DEEPBIND plugin by its bare name: the caller's own search path still counts")
def by_search_path():
    with tempfile.TemporaryDirectory() as folder:
        plugins(folder, ["lazy"])
        env = {"LD_LIBRARY_PATH": folder}
        carry(items(["lazy"]), "bypass", 20, "lazy.so", env=env).ok().quiet().clean()


@test("RTLD_NEXT of a library that only reads is led back; one that stands between the program and libc goes on",
      each=(False, True))
def next_function(between):
    words = ["-DBETWEEN"] if between else []
    library = compiled("libnext.so", "-shared", "-fPIC", *words, "bypass_next.c")
    program = compiled("next", "-rdynamic", "bypass_next_main.c", library, f"-Wl,-rpath,{library.parent}")
    calls = 200 if between else 0
    for how in (plain, idle):
        how(program).wrong().says(f"right 0, calls {calls}\n")
    carry(KEY, program).ok().quiet().clean().says(f"right 200, calls {calls}\n").carried("pthread", exactly=200)


@test("what leads to another library's function of that name is left alone", each=(False, True))
def others(program_has_one):
    plugins, words = [], []
    for name, number in (("one", 1), ("two", 2), ("three", 3)):
        library = compiled(f"libbypass{name}.so", "-shared", "-fPIC", f"-DWHICH={number}", "gone_library.c",
                           f"-Wl,-soname,libbypass{name}.so")
        linked = [library, f"-Wl,-rpath,{library.parent}"]
        if number < 3:
            plugins.append(compiled(f"bypass{name}.so", "-shared", "-fPIC", "gone_plugin.c", *linked))
        elif program_has_one:
            words = ["-DOWN_LIBRARY", *linked]
    program = compiled("bypass", "bypass_main.c", *words)
    before = plain(program, *plugins).ok().says(*(f"plugin {i} calls library {i + 1}, looked up in it: library {i + 1}, "
                                                  "ran 2" for i in (0, 1)))
    carry("key:no_such_key", program, *plugins).same_as(before)


@test("a library that opens by bare name: its own search path still counts", each=("enable", "disable"))
def openers_path(new_tags):
    plugin = compiled("libbypassbare.so", "-shared", "-fPIC", "bypass_opener.c", "-Wl,-soname,libbypassbare.so")
    opener = compiled("libopener.so", "-shared", "-fPIC", "bypass_opener.c",
                      f"-Wl,--{new_tags}-new-dtags,-rpath,{plugin.parent}")
    program = compiled("opens", "bypass_opener_main.c", opener, f"-Wl,-rpath,{opener.parent}")
    before = plain(program, plugin.name).ok().says("opened")
    carry("key:no_such_key", program, plugin.name).same_as(before)


@test("opened by bare name from a library with a search path of its own, plugins are led back at the first dlsym",
      each=(("enable", "now"), ("enable", "lazy"), ("disable", "now")))
def bare_plugins(new_tags, binding):
    words = ("-shared", "-fPIC", f"-Wl,-z,{binding}", "bypass_bare.c")
    plugins = [compiled(f"libbare{name}.so", *words, f"-Wl,-soname,libbare{name}.so") for name in ("one", "two")]
    tags = f"-Wl,--{new_tags}-new-dtags"
    opener = compiled("libopener.so", "-shared", "-fPIC", "bypass_opener.c", f"{tags},-rpath,{plugins[0].parent}",
                      f"-Wl,-rpath,{plugins[1].parent}")
    program = compiled("bare", "-rdynamic", "bypass_bare_main.c", opener, f"-Wl,--enable-new-dtags,-rpath,{opener.parent}")
    names = [plugin.name for plugin in plugins]
    for how in (plain, idle):
        how(program, *names).wrong().says("wrong: 400 of 400")
    carry(KEY, program, *names).ok().quiet().clean().carried("pthread", exactly=300)
    carry(KEY, program, *names, env={"BATON_DISABLE": "lookup"}).wrong()


@test("a key that a constructor makes past us is not carried, and the report says so; the rest is")
def constructor():
    plugin = PROGRAMS / "plugin.so"
    plain("late_plugin", plugin, "deep").wrong().says("thread sees 0 0, pool sees 0 0")
    after = carry("key:plugin_key;tls:plugin_word", "late_plugin", plugin, "deep").wrong().quiet().clean()
    after.says("thread sees 0 8, pool sees 0 8").slot_is("key:plugin_key", "unmatched")
    if "RTLD_DEEPBIND" not in after.slot("key:plugin_key")["reason"]:
        after.fail("the report does not say why")


def constructed(*args, **how):
    with tempfile.TemporaryDirectory() as folder:
        paths = [shutil.copy(PROGRAMS / "bypass_made.so", Path(folder) / f"{name}.so") for name in ("one", "two")]
        words = [args[0], *paths[1:]] if args[1] else [args[0]]
        for run in (plain, idle):
            run("bypass_made", paths[0], *words).wrong()
        return carry(KEY, "bypass_made", paths[0], *words, **how)


@test("constructors of RTLD_DEEPBIND plugins see the task's value, what they set is the task's: also one in another's",
      each=((0, False), (1000, False), (1000, True)))
def constructors(adds, nested):
    constructed(adds, nested).ok().quiet().clean().carried("glib.pool", exactly=55)


@test("dlmopen into a new namespace: what is in there runs as without us, what is outside is carried")
def namespace():
    before = plain("bypass_space", PROGRAMS / "bypass.so").wrong().says("a thread in there sees 0")
    after = carry(f"{KEY};key:plugin_key", "bypass_space", PROGRAMS / "bypass.so").ok().quiet().clean()
    after.says("a thread in there sees 0").carried("pthread", exactly=2)
    if before.out.splitlines()[0] != after.out.splitlines()[0]:
        after.fail("in there something has changed")


NATIVE = f"{KEY},native"


@test("key:NAME,native: a reader that nothing leads back sees the task's value, too")
def native():
    with tempfile.TemporaryDirectory() as folder:
        paths = plugins(folder, ["lazy", "relro"])
        items_native = ";".join([NATIVE, "key:plugin_key@lazy.so,native", "key:plugin_key@relro.so,native"])
        env = {"BATON_DISABLE": "lookup"}
        carry(KEY, "bypass", 20, *paths, env=env).wrong()
        after = carry(items_native, "bypass", 200, *paths, env=env)
        after.never_says("of 200", "of 400").quiet().clean().slot_is(NATIVE, "bound")
        carry(items_native, "bypass", 200, *paths).ok().quiet().clean()


@test("native: every rule that holds for other keys", timeout=60, each=(
    ("stale_pool_glib", "key"), ("stale_pool_uv", "key"), ("stale_pool_pthread", "key"), ("task_ends", "key"),
    ("empty_slot", "key"), ("nested", "key"), ("last_look", "key"), ("jump_and_end", "key"), ("suppressed", "key"),
    ("inherit", "key"), ("fork_in_task", "key"), ("fork_owns", "key"), ("storm", "key", 2000), ("key_reuse",),
    ("errno_kept", "key"), ("no_memory", "key", 20000), ("glib_source", "keeps", "key"),
    ("uv_handle", "keeps", "key"), ("ucontext", "switch", "key"), ("gomp", "nested", "key"), ("gomp", "tasks", "key")))
def native_rules(program, *args):
    after = carry(NATIVE, program, *args, timeout=50).ok().slot_is(NATIVE, "bound")
    if program not in ("inherit", "fork_owns"):
        after.clean()


@test("native: a key that is made late, by a variable or a copy of it", each=("direct", "stored"))
def native_late(how):
    item = "key:late_key,native"
    carry(item, "late_key", how).ok().quiet().clean().slot_is(item, "bound")


@test("native: plugins that are unloaded and loaded again")
def native_plugins():
    with tempfile.TemporaryDirectory() as folder:
        paths = [shutil.copy(PROGRAMS / "plugin.so", Path(folder) / f"{name}.so") for name in ("one", "two")]
        after = carry("key:plugin_key@one.so,native;key:plugin_key@two.so,native", "plugin_host", *paths).clean()
        after.says(*(f"{name}.so: thread sees {value} 0, pool sees {value} 0" for name, value in
                     (("one", 110), ("two", 120), ("one", 310), ("two", 320))))
        for name in ("one", "two"):  # both are gone at the end, and were carried
            after.slot_is(f"key:plugin_key@{name}.so,native", "bound")


@test("native: a key with a destructor is refused, weak too; BATON_FORCE=1 carries it")
def native_refused():
    item = "key:owned_key,native"
    carry(item, "key_destructor", "owner_first").wrong().complains("native is for keys without a destructor").slot_is(
        item, "refused")
    carry(item, "key_destructor", "owner_first", env={"BATON_FORCE": "1"}).slot_is(item, "bound")
    carry(f"{KEY},native,weak;{KEY}", "stale_pool_glib", "key").ok().complains("weak is not for native")


OWN = "another module has functions for keys of its own"


@test("a module with functions for keys of its own is found at the start, and keys are carried natively by themselves",
      each=("front", "symbolic"))
def own_functions(where):
    words = ["bypass_own.c"]
    if where == "symbolic": # behind us, and bound to itself
        library = compiled("libown.so", "-shared", "-fPIC", "-Wl,-Bsymbolic", *words)
        words = [library, f"-Wl,-rpath,{library.parent}"]
    program = compiled("own", "-rdynamic", "bypass_own_main.c", *words)
    for how in (plain, idle):
        how(program).wrong().says("wrong: 200 by its own, 200, 200 with a destructor")
    after = carry(f"{KEY};key:destroyed_key", program).ok().quiet().clean().says("wrong: 0 by its own, 0, ")
    after.carried("pthread", exactly=200)
    for item, reason in ((KEY, f"set in the C library's own store: {OWN}"), ("key:destroyed_key", OWN)):
        if not after.slot_is(item, "bound").slot(item)["reason"].startswith(reason):
            after.fail(f"the report does not say how {item} is carried")
    told = "libown.so" if where == "symbolic" else "own"
    carry(KEY, program, env={"BATON_LOG": "info"}).complains(f"{told} has its own pthread_getspecific")
    # One among other slots, some of which are copied too.
    carry(f"key:no_such_key;{KEY};tls:no_such_word;locale", program).ok().clean()


@test("BATON_DISABLE=lookup leaves them alone")
def disabled():
    with tempfile.TemporaryDirectory() as folder:
        carry(KEY, "bypass", 3, *plugins(folder, ["lazy"]), env={"BATON_DISABLE": "lookup"}).wrong().says(
            "dlsym of libc: 3 of 3 WRONG", "plugin: 3 of 3 WRONG").never_says("direct")


@needs("valgrind")
@test("readers past us under valgrind", each=("lazy", "relro"), timeout=120)
def under_valgrind(name):
    with tempfile.TemporaryDirectory() as folder:
        carry(items([name]), "valgrind", "-q", "--error-exitcode=9", PROGRAMS / "bypass", 200, *plugins(folder, [name]),
              timeout=100).ok().quiet()


@test("with named functions, too: their look at dlsym and ours do not hide each other", each=("lazy", "relro"))
def with_named(name):
    with tempfile.TemporaryDirectory() as folder:
        env = {"BATON_HOOKS": "no_such_submit(kind=submit,obj=1)"}
        after = carry(items([name]), "bypass", 20, *plugins(folder, [name]), env=env, launched=True)
        after.ok().clean()


@needs("python3")
@test("Python's ctypes reads and writes a key and starts threads through libc's handle", timeout=60)
def python():
    script, library = ROOT / "tests" / "programs" / "bypass.py", PROGRAMS / "bypass.so"
    for how in (plain, idle):
        how("/usr/bin/python3", script, library, 3).wrong()
    carry("key:plugin_key", "/usr/bin/python3", script, library, 200).ok().quiet().clean()


@test("where no key is carried, the program's reads of keys go to the C library, as without us")
def keys_are_direct():
    before = plain("key_pointer").ok().matches(r"pthread_getspecific is in lib(c.so.6|pthread.so.0)\n").matches(r"tss_set is in lib(c.so.6|pthread.so.0)\n")
    idle("key_pointer").same_as(before)
    for items in ("tls:request_id", "fn:get=request_get,set=request_set"):
        carry(items, "key_pointer").same_as(before)
    carry("key:request_key", "key_pointer").ok().says("pthread_getspecific is in libbaton.so\n")
