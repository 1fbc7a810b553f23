"""BATON_HOOKS: functions that the user names, reached through pointers (plain LD_PRELOAD)."""
import re
import subprocess
import tempfile
from pathlib import Path

from compile import by_clang, compiled, not_o2
from harness import MACHINE, ROOT, carry, expect, plain, run, test, this_machine_only
from needs import needs, unable

KEY = "key:request_key"
HOOKS = {
    "call": "call_submit(kind=call,fn=2,arg=3)",
    "list": "list_submit(kind=submit,obj=2);task_execute(kind=run,obj=1)",
    "ring": "ring_put(kind=put,item=1);ring_get(kind=get,item=ret)",
    "ring_into": "ring_put(kind=put,item=1);ring_get_into(kind=get,item=*1)",
    "field": "field_submit(kind=field,obj=1,off=8,cbarg=1)",
    "again": "field_submit(kind=field,obj=1,off=8)",
    "fifo": "ring_put(kind=put,item=1,fifo);ring_get(kind=get,item=ret)",
}
LINKING = {
    "lazy": ["-Wl,-z,lazy,-z,norelro"],
    "relro": ["-Wl,-z,now,-z,relro"],
    "noplt": ["-fno-plt"],
    "ibtplt": ["-Wl,-z,ibtplt", "-fcf-protection=full"],
    "nopie": ["-no-pie", "-fno-pie"],
}


def library():
    return compiled("libpools.so", "-O2", "-shared", "-fPIC", "hooks_pools.c")


def linked(way="lazy"):
    if way == "ibtplt":
        this_machine_only()
    pools = library()
    return compiled("pools", "-O2", *LINKING[way], "hooks_main.c", pools, f"-Wl,-rpath,{pools.parent}")


def whole(*flags, compiler="cc"):
    """Everything in one program: no call goes through the loader."""
    return compiled("whole", *(flags or ["-O2"]), "hooks_main.c", "hooks_pools.c", compiler=compiler)


def hooked(result, *items, by=None):
    """Every hook fired and was reached by the expected means."""
    for hook in result.reported()["hooks"]:
        if hook["state"] != "hooked" or not hook["fired"] or hook["reason"]:
            result.fail(f"{hook['item']} is {hook['state']}, fired {hook['fired']}: {hook['reason']}")
        if by and hook["by"] != by:
            result.fail(f"{hook['item']} is hooked by {hook['by']}, not {by}")
    return result


@test("every way of linking a call", each=LINKING)
def linking(way):
    program = linked(way)
    plain(program, "call", "list").wrong()
    hooks = HOOKS["call"] + ";" + HOOKS["list"]
    hooked(carry(KEY, program, "call", "list", env={"BATON_HOOKS": hooks}).ok().quiet().clean(), by="got")


@test("with BATON_LATENCY the report says how long what each named function hands over has waited; a trace says by which")
def latency():
    program, hooks = linked(), HOOKS["call"] + ";" + HOOKS["list"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trace")
        env = {"BATON_HOOKS": hooks, "BATON_LATENCY": "on", "BATON_TRACE": file}
        after = carry(KEY, program, "call", "list", env=env).ok().clean()
        found = {hook["item"].partition("(")[0]: hook.get("latency", {}).get("count") for hook in after.report["hooks"]}
        expect(found == {"call_submit": 1000, "list_submit": 1000, "task_execute": None}, f"waited: {found}")
        traced = plain(str(ROOT / "scripts/baton"), "trace", "--convert", "csv", file).ok().out
        for name in ("call_submit", "list_submit"):
            expect(traced.count(name) >= 1000, f"{name} stands {traced.count(name)} times in the trace")


def only_missing(result, items):
    """baton run has said of these items that there is no such function, each once, and nothing else."""
    wanted = "".join(f'baton: BATON_HOOKS="{item}": matched nothing: no function of that name; '
                     "a library that is opened later may have it\n" for item in items)
    if result.err != wanted:
        result.fail(f"expected on stderr:\n{wanted}")


SUBMIT = "_ZN4Pool6submitESt8functionIFvvEE(kind=stdfunction,obj=2)"
SUBMIT_REF = "_ZN4Pool10submit_refERKSt8functionIFvvEE(kind=stdfunction,obj=2)"


PATHS = ("got", "symbol", "patch")


@test("the matrix: every kind of hook by every path, the same programs, keys and other values",
      each=[(mode, path, carrier) for mode in HOOKS for path in PATHS for carrier in ("key", "tls")])
def matrix(mode, path, carrier):
    program = whole() if path == "patch" else linked()
    words = [mode] if carrier == "key" else ["tls", mode]
    plain(program, *words).wrong()
    items = KEY if carrier == "key" else "tls:request_id"
    after = carry(items, program, *words, env={"BATON_HOOKS": HOOKS[mode]}, launched=path != "got").ok().clean()
    hooked(after.quiet(), by=path).carried("named", at_least=50 if mode == "fifo" else 1000)


@test("the matrix: std::function by value, by reference, handed over twice; tasks that throw; nothing leaks",
      each=[(path, level, carrier) for path in PATHS for level in ("-O0", "-O2") for carrier in ("key", "tls")])
def matrix_std_function(path, level, carrier):
    words = [] if carrier == "key" else ["tls"]
    if path == "patch":
        program = compiled("pool", level, "-std=c++14", "hooks_function.cc", compiler="g++")
    else:
        pool = compiled("libpool.so", level, "-shared", "-fPIC", "-std=c++14", "-DONLY_POOL", "hooks_function.cc",
                        compiler="c++")
        program = compiled("pool", level, "-std=c++14", "-DONLY_MAIN", "hooks_function.cc", pool, f"-Wl,-rpath,{pool.parent}",
                           compiler="c++")
    plain(program, *words).wrong().says("alive 0")
    after = carry("tls:request_id" if words else KEY, program, *words, env={"BATON_HOOKS": f"{SUBMIT};{SUBMIT_REF}"},
                  launched=path != "got").ok().quiet().clean()
    hooked(after, by=path).says("ran 303 wrong 0 left 0 alive 0")


@test("code inside the program is hooked without baton run too: its plan is made before main", each=HOOKS)
def inside_without_run(mode):
    plain(whole(), mode).wrong()
    hooked(carry(KEY, whole(), mode, env={"BATON_HOOKS": HOOKS[mode]}).ok().quiet().clean(), by="patch")


@test("the object that baton run writes hooks by name, in every way of linking",
      each=[(way, mode) for way in LINKING for mode in ("call", "list", "ring")])
def by_name(way, mode):
    program = linked(way)
    after = carry(KEY, program, mode, env={"BATON_HOOKS": HOOKS[mode]}, launched=True).ok().quiet().clean()
    hooked(after, by="symbol")


@test("a C++ pool inside the program, every level",
      each=[(compiler, level) for compiler in ("g++", "clang++") for level in ("-O0", "-O1", "-O2", "-O3")], release=not_o2)
def std_function_inside(compiler, level):
    program = compiled("pool", level, "-std=c++14", "hooks_function.cc", compiler=compiler)
    plain(program).wrong()
    after = carry(KEY, program, env={"BATON_HOOKS": f"{SUBMIT};{SUBMIT_REF}"}, launched=True).ok().quiet().clean()
    hooked(after, by="patch").says("ran 303 wrong 0 left 0 alive 0")


LIBCXX_HOOKS = {  # the hooks, and what it says
    "function": ("_ZN4Pool6submitENSt3__18function*(kind=stdfunction,obj=2);Pool::submit_ref(kind=stdfunction,obj=2)",
                 "ran 303 wrong 0 left 0 alive 0"),
    "results": ("results_big(kind=stdfunction,obj=1,cbarg=2);results_text(kind=stdfunction,obj=1,cbarg=2);"
                "results_long(kind=stdfunction,obj=1)", "ran 150 wrong 0"),
}


@needs("libc++")
@test("std::function of libc++: in its room and not, copied, thrown out of, every class of result; empty at first; without RTTI where names say it",
      each=[("function", "-O2", "-fno-rtti"), *((mode, level) for mode in LIBCXX_HOOKS for level in ("-O0", "-O2"))],
      release=not_o2)
def std_function_libcxx(mode, level, *words):
    program = compiled(mode, level, "-std=c++14", "-stdlib=libc++", *words, f"hooks_{mode}.cc", compiler="clang++")
    plain(program).wrong()
    hooks, said = LIBCXX_HOOKS[mode]
    after = carry(KEY, program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    hooked(after, by="patch").says(said)


@needs("libc++")
@test("both standard libraries in one process: an item for each; a pattern over both takes one library's, and says of the other")
def std_function_both():
    pools = [compiled(f"libpool_{name}.so", "-O1", "-std=c++14", "-fPIC", "-shared", f"-DLIBRARY={name}", "hooks_both.cc", *words,
                      compiler=compiler)
             for name, compiler, words in (("gnu", "g++", ()), ("llvm", "clang++", ("-stdlib=libc++",)))]
    program = compiled("both", "-O1", "-std=c++14", "-rdynamic", "hooks_both_main.cc", *pools,
                       *(f"-Wl,-rpath,{pool.parent}" for pool in pools), compiler="g++")
    plain(program).wrong()
    hooks = "Pool_gnu::submit(kind=stdfunction,obj=2);Pool_llvm::submit(kind=stdfunction,obj=2)"
    after = carry("tls:request_id", program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    expect([hook["carried"] for hook in after.reported()["hooks"]] == [300, 300], after.reported()["hooks"])
    for first, other in ("gnu", "Pool_llvm"), ("llvm", "Pool_gnu"):
        pattern = carry("tls:request_id", program, first, env={"BATON_HOOKS": "*Pool_*6submit*(kind=stdfunction,obj=2)"}, launched=True)
        pattern.says("ran 600 wrong 300\n").clean().matches(f"{other}.*names is no std::function: nothing was handed over", "err")


@test("std::functions with results of every class, empty ones first; of a struct in memory the callback's own is argument 2",
      each=[(compiler, level) for compiler in ("g++", "clang++") for level in ("-O0", "-O2")], release=not_o2)
def std_function_results(compiler, level):
    program = compiled("results", level, "-std=c++14", "hooks_results.cc", compiler=compiler)
    hooks = ("results_big(kind=stdfunction,obj=1,cbarg=2);results_text(kind=stdfunction,obj=1,cbarg=2);"
             "results_long(kind=stdfunction,obj=1)")
    plain(program).wrong()
    after = carry(KEY, program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    hooked(after, by="patch").says("ran 150 wrong 0")


@test("twelve arguments arrive without stack=; a callback may be what a new stack begins with", each=("-O0", "-O2"))
def twelve_arguments(level):
    program = compiled("twelve", level, "-fno-ipa-sra", "-fno-ipa-cp", "hooks_twelve.c")
    hooks = "twelve_submit(kind=call,fn=2,arg=3);twelve_put(kind=submit,obj=1);twelve_run(kind=run,obj=1)"
    plain(program).wrong()
    for items in (KEY, f"{KEY};fenv"):
        after = carry(items, program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
        hooked(after, by="patch").says("ran 100 wrong 0")


FUNCTIONS = ("ints doubles two_ints two_doubles mixed big_result big_argument long_double complex variadic "
             "recurse callback nothing").split()
SHAPES = {
    "entry": "abi_{}(kind=put,item=1,pair={})",
    "wrap": "abi_{}(kind=get,item=ret,stack=24,pair={})",
}


def cpu_has(feature):
    return not MACHINE and f" {feature} " in open("/proc/cpuinfo").read()


@test("the whole calling convention passes: entry and wrap thunks, by pointers, name and patch",
      each=[(shape, by, carrier) for shape in SHAPES for by in ("got", "symbol", "patch")
            for carrier in ("key", "tls")])
def calling_convention(shape, by, carrier):
    functions = compiled("abi_functions.o", "-O2", "-fPIC", "-c", "-Wno-psabi", "hooks_abi.c")
    main = compiled("abi_main.o", "-O2", "-std=c++14", "-c", "-Wno-psabi", "hooks_abi_main.cc", compiler="c++")
    if by == "patch":
        program = compiled("abi", main, functions, compiler="c++")
    else:
        library = compiled("libabi.so", "-shared", functions)
        program = compiled("abi", main, library, f"-Wl,-rpath,{library.parent}", compiler="c++")
    names = FUNCTIONS + ["avx"] * cpu_has("avx") + ["avx512"] * cpu_has("avx512f")
    other = SHAPES["entry" if shape == "wrap" else "wrap"]
    items = [SHAPES[shape].format(name, name).replace("kind", f"how={by},kind") for name in names]
    items += [other.format("no_such", name).replace("abi_no_such", f"no_such_{name}") for name in names]
    words = ["tls"] if carrier == "tls" else []
    plain(program, *words).ok().says("RIGHT")
    after = carry("tls:request_id" if words else KEY, program, *words, env={"BATON_HOOKS": ";".join(items)},
                  launched=by != "got").ok().says("RIGHT")
    # Functions of vectors alone are hooked at whatever the first register holds, which may be nothing.
    after.err = re.sub(r"^.*\babi_avx.* was empty in every call: .*\n", "", after.err, flags=re.M)
    only_missing(after, items[len(names):] if by != "got" else [])
    for hook in after.reported()["hooks"][:len(names)]:
        if hook["by"] != by or not hook["fired"]:
            after.fail(f"{hook['item']}: by {hook['by']}, fired {hook['fired']}, {hook['reason']}")


THPOOL = "thpool_add_work(kind=call,fn=2,arg=3)"
THPOOL_SOURCE = "/usr/share/cthreadpool/thpool.c"


@needs("cthreadpool")
@test("C-Thread-Pool compiled into a program, with and without symbols",
      each=[(compiler, level, pie) for compiler in ("gcc", "clang") for level in ("-O0", "-O1", "-O2", "-O3")
            for pie in ("pie", "no-pie")], release=not_o2)
def thread_pool(compiler, level, pie):
    program = compiled("thpool", level, f"-{pie}", "-fPIE" if pie == "pie" else "-fno-pie",
                       "-I/usr/include/cthreadpool", "hooks_thpool.c", THPOOL_SOURCE, compiler=compiler)
    plain(program).wrong()
    hooked(carry(KEY, program, env={"BATON_HOOKS": THPOOL}, launched=True).ok().quiet().clean(), by="patch")
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "thpool"
        debug = Path(folder) / "thpool.debug"
        for command in (["objcopy", "--only-keep-debug", program, debug], ["strip", "-o", stripped, program],
                        ["objcopy", f"--add-gnu-debuglink={debug}", stripped]):
            subprocess.run(command, check=True)
        hooked(carry(KEY, stripped, env={"BATON_HOOKS": THPOOL}, launched=True).ok().quiet().clean(), by="patch")
        debug.unlink()
        missing = carry("key:n=1", stripped, env={"BATON_HOOKS": THPOOL}, launched=True).complains("matched nothing")
        if missing.reported()["hooks"][0]["state"] != "unmatched":
            missing.fail("without any symbol the function cannot be found")


@test("A2: tasks that throw, exit, are cancelled or jump out leave the worker its own values",
      each=[(compiler, level) for compiler in ("g++", "clang++") for level in ("-O0", "-O2")], release=not_o2)
def ends(compiler, level):
    program = compiled("ends", level, "hooks_ends.cc", compiler=compiler)
    hooks = "item_submit(kind=submit,obj=2);item_run(kind=run,obj=1)"
    plain(program).wrong()
    after = carry(KEY, program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet()
    hooked(after, by="patch")


@test("A2: the same for a callback, an object's field and a std::function; what a task leaves is destroyed once",
      each=[(compiler, level, more) for compiler in ("g++", "clang++") for level in ("-O0", "-O2") for more in ("", ";fenv")],
      release=not_o2)
def ends_of_all_kinds(compiler, level, more):
    program = compiled("ends_more", level, "-std=c++14", "hooks_ends_more.cc", compiler=compiler)
    hooks = "ends_call(kind=call,fn=1,arg=2);ends_field(kind=field,obj=1,off=8);ends_callable(kind=stdfunction,obj=1)"
    plain(program).wrong()
    after = carry(KEY + more, program, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    hooked(after, by="patch").says("ran 300 wrong 0 destroyed 300")


def plugins():
    return [compiled(f"plugin_{name}.so", "-O2", "-shared", "-fPIC", "hooks_plugin.c", "hooks_pools.c")
            for name in ("one", "two")]


@test("plugins opened RTLD_LOCAL with the same names: constructors, dlsym and tables, by name")
def plugin_by_name():
    host = compiled("host", "-O2", "-rdynamic", "hooks_plugin_host.c")
    plain(host, *plugins()).wrong()
    one, two = plugins()
    forced = HOOKS["call"].replace("kind=call", "kind=call,how=symbol")
    after = carry(KEY, host, one, two, env={"BATON_HOOKS": forced}, launched=True).ok().quiet().clean()
    hooked(after, by="symbol").says("constructor 0 dlsym 0 table 0")
    named = HOOKS["call"].replace("call_submit", f"call_submit@{one}")
    after = carry(KEY, host, one, env={"BATON_HOOKS": named}, launched=True).ok().quiet().clean()
    hooked(after, by="symbol").says("constructor 0 dlsym 0 table 0")


@test("plugins by plain LD_PRELOAD: dlsym and tables are seen, the constructor is not, and the report says so")
def plugin_by_pointers():
    host = compiled("host", "-O2", "-rdynamic", "hooks_plugin_host.c")
    after = carry(KEY, host, *plugins(), env={"BATON_HOOKS": HOOKS["call"]}).wrong().quiet()
    after.says("dlsym 0 table 0")


@test("a plugin that is opened 400 times, elsewhere each time: places of thunks are used again", each=("got", "symbol"))
def reloaded(path):
    program = compiled("reload", "-O1", "hooks_reload.c", "-ldl")
    plain(program, library()).wrong().says(", moved")
    hook = HOOKS["call"] if path == "got" else HOOKS["call"].replace("arg=3", "arg=3,how=symbol")
    after = carry(KEY, program, library(), env={"BATON_HOOKS": hook}, launched=path != "got").ok().quiet().clean()
    hooked(after, by=path).says("ran 2000 wrong 0, moved")


@test("objects that are never run: past 131072 the oldest make room, and that is counted")
def overfull():
    program = compiled("many", "-O1", "hooks_many.c")
    hooks = {"BATON_HOOKS": "many_submit(kind=submit,obj=1);many_run(kind=run,obj=1)"}
    after = carry(KEY, program, env=hooks, launched=True).ok().quiet().clean()
    submit, execute = hooked(after).reported()["hooks"]
    if submit["carried"] != 200000 or not submit["evicted"] or execute["carried"] != 200000 - submit["evicted"]:
        after.fail("what was put in is either taken out or evicted")


MDWE = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


@test("patches under PR_SET_MDWE: no page becomes executable or writable that was not")
def no_new_code():
    after = carry(KEY, "python3", "-c", MDWE, ROOT / "scripts" / "baton", "run", "--", whole(), "call", "list",
                  env={"BATON_HOOKS": HOOKS["call"] + ";" + HOOKS["list"]}, preload=False)
    if after.code == 77:
        unable("this kernel has no PR_SET_MDWE")
    after.ok().says("ran 2000 wrong 0")


@test("no page of the process is writable and executable, and what is executed is unchanged but for entries")
def no_writable_code():
    after = carry(KEY, whole(), "maps", "call", env={"BATON_HOOKS": HOOKS["call"]}, launched=True).ok()
    hooked(after, by="patch").never_says("rwx").says("r-x")


@test("each hook counts: a replaced task is evicted, a hook that never fires is said", each=["got", "patch"])
def counts(by):
    program = linked() if by == "got" else whole()
    hooks = ";".join([HOOKS["ring"], HOOKS["call"]])
    after = carry(KEY, program, "twice", env={"BATON_HOOKS": hooks}, launched=by == "patch").says("ran 2 wrong 0")
    put, get, unused = after.clean().reported()["hooks"]
    if (put["fired"], put["carried"], put["evicted"]) != (3, 3, 1) or (get["fired"], get["carried"]) != (3, 2):
        after.fail("expected three puts, one evicted, three gets, two with a context")
    if unused["fired"] or "never fired" not in unused["reason"]:
        after.fail("a hook that never fired must be said")


MORE = {
    "repeat": "watch_add(kind=call,fn=2,arg=3,cbarg=3,repeat)",
    "first": "first_put(kind=put,item=2,pair=first);first_get(kind=get,item=ret2,pair=first)",
    "second": "second_put(kind=put,item=1,pair=second);second_begin(kind=get,item=2,pair=second)",
    "job": "job_post(kind=field,obj=2,off=16,data=8)",
    "queue": "queue_put(kind=put,item=1,pair=queue);queue_get(kind=get,item=ret,pair=queue)",
}


@test("repeat, pair, ret2, an item as argument, data in an object, fork, a worker cancelled while it waits", each=["-O0", "-O1", "-O2"])
def more_shapes(level):
    program = compiled("more", level, "hooks_more.c")
    plain(program).wrong()
    after = carry(KEY, program, env={"BATON_HOOKS": ";".join(MORE.values())}, launched=True).ok().quiet()
    hooked(after, by="patch").says("wrong 0")
    bare = carry(KEY, program, env={"BATON_HOOKS": MORE["repeat"], "BATON_PERIODIC": "off"}, launched=True)
    bare.never_says("the worker keeps its own").says("a callback has what it set itself: 3, not 500\n")


@test("callers in the same unit, which keep values in registers that the function leaves alone",
      each=[(compiler, level) for compiler in ("gcc", "clang") for level in ("-O1", "-O2")])
def one_unit(compiler, level):
    program = compiled("single", level, "-fno-inline", "-no-pie", "-fno-pie", "hooks_single.c", compiler=compiler)
    plain(program).wrong()
    hooked(carry(KEY, program, env={"BATON_HOOKS": HOOKS["call"]}, launched=True).ok().quiet().clean(), by="patch")
    for mode in ("list", "ring", "field"):
        hooked(carry(KEY, program, mode, env={"BATON_HOOKS": HOOKS[mode]}, launched=True).ok().clean(), by="patch")


@test("a caller that counts on the function's leaving callback and data in their registers finds its own there")
def kept_registers():
    program = compiled("kept", "-O2", "hooks_kept.c")
    plain(program).wrong().says("seen 0; registers kept 1 1")
    after = carry(KEY, program, env={"BATON_HOOKS": "kept_submit(kind=call,fn=2,arg=3)"}, launched=True)
    hooked(after.ok().quiet().clean().says("seen 2; registers kept 1 1"), by="patch")


@test("how=got and how=symbol instead of what baton run would choose")
def chosen_ways():
    program = linked()
    for way in ("got", "symbol"):
        hooks = HOOKS["list"].replace(",obj", f",how={way},obj")
        hooked(carry(KEY, program, "list", env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean(), by=way)
    hooks = HOOKS["list"].replace(",obj", ",how=patch,obj")
    hooked(carry(KEY, program, "list", env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean(), by="patch")


FLAGS = {
    "cet": ["-fcf-protection=full"],
    "protector": ["-fstack-protector-all"],
    "entry": ["-fpatchable-function-entry=8,2"],
    "profile": ["-pg", "-mfentry"],
    "size": ["-Os"],
    "frame": ["-fno-omit-frame-pointer"],
}


@test("prologues that compilers are told to make", each=[(compiler, flags) for compiler in ("gcc", "clang")
                                                         for flags in FLAGS], release=by_clang)
def prologues(compiler, flags):
    this_machine_only()
    program = whole("-O2", *FLAGS[flags], compiler=compiler)
    hooks = HOOKS["call"] + ";" + HOOKS["list"]
    if flags == "size": # functions stand close together, and the one that runs a task is too short
        hooks = HOOKS["call"] + ";" + HOOKS["field"]
        list_mode = "field"
    else:
        list_mode = "list"
    with tempfile.TemporaryDirectory() as folder: # -pg writes a file there
        plain(program, "call", list_mode, cwd=folder).wrong()
        after = carry(KEY, program, "call", list_mode, env={"BATON_HOOKS": hooks}, launched=True, cwd=folder)
        hooked(after.ok().clean(), by="patch")


@test("programs built with a sanitizer", each=["address", "undefined", "thread"])
def sanitized(name):
    program = whole("-O1", f"-fsanitize={name}")
    hooks = HOOKS["call"] + ";" + HOOKS["list"]
    after = carry(KEY, program, "call", "list", env={"BATON_HOOKS": hooks}, launched=True)
    if "unexpected memory mapping" in after.err:
        unable("this system's addresses are more random than libtsan knows")
    hooked(after.ok(), by="patch").says("ran 2000 wrong 0")


@test("hooks and nothing to carry: the program runs as ever")
def nothing_to_carry():
    for program in (whole(), linked()):
        after = run(program, "call", "list", "field", env={"BATON_HOOKS": HOOKS["call"] + ";" + HOOKS["list"]},
                    launched=True).quiet()
        after.says("ran 3000")


@test("first instructions that have to be moved with care do what they did", each=["put", "get"])
def moved_instructions(kind):
    this_machine_only()
    program = compiled("prologues", "-O1", "hooks_prologues.c")
    before = plain(program).ok()
    items = [f"p_{number}(kind=put,item=1,pair={number})" if kind == "put" else
             f"p_{number}(kind=get,item=ret,pair={number})" for number in range(20)]
    others = [item.replace("p_", "no_", 1).replace("put,item=1", "get,item=ret") if kind == "put" else
              item.replace("p_", "no_", 1).replace("get,item=ret", "put,item=1") for item in items]
    after = carry(KEY, program, env={"BATON_HOOKS": ";".join(items + others)}, launched=True)
    after.same_output_as(before)
    only_missing(after, others if kind == "put" else [])  # gets alone carry nothing, of which nothing is said
    for hook in after.reported()["hooks"][:20]:
        if hook["by"] != "patch" or not hook["fired"]:
            after.fail(f"{hook['item']}: {hook['state']}, fired {hook['fired']}, {hook['reason']}")


INSIDE = {
    "static": "-DPOOL=static __attribute__((noinline))",
    "hidden": '-DPOOL=__attribute__((noinline,visibility("hidden")))',
}


@test("static and hidden functions, in the program and in a library",
      each=[(compiler, kind, place) for compiler in ("gcc", "clang") for kind in INSIDE
            for place in ("program", "library")], release=by_clang)
def inside(compiler, kind, place):
    words = ["-O1", "-fno-inline", INSIDE[kind], "hooks_single.c"]
    if place == "library":
        library_of = compiled("libinside.so", *words, "-shared", "-fPIC", "-DLIBRARY", compiler=compiler)
        program = compiled("inside", "hooks_library_main.c", library_of, f"-Wl,-rpath,{library_of.parent}",
                           compiler=compiler)
    else:
        program = compiled("inside", *words, compiler=compiler)
    # Of a static function clang may leave arguments out: then a keyed hook misses, and does no harm.
    for mode in ("ring", "fifo") if (compiler, kind) == ("clang", "static") else ("list", "ring", "fifo"):
        plain(program, mode).wrong()
        after = carry(KEY, program, mode, env={"BATON_HOOKS": HOOKS[mode]}, launched=True).ok().quiet().clean()
        hooked(after, by="patch")
    after = carry(KEY, program, "call", env={"BATON_HOOKS": HOOKS["call"]}, launched=True)
    if kind == "static":
        after.wrong().complains("it is static in")
    else: # only the linker made it local: its compiler left the arguments alone
        hooked(after.ok().quiet().clean(), by="patch")
