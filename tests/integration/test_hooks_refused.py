"""BATON_HOOKS: what is refused, and what `baton check` says of it without running the program."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from compile import compiled
from harness import LIBRARY, ROOT, Failure, call, carry, idle, patches_code, plain, run, test
from needs import require, unable

KEY = "key:request_key"


def program(*flags):
    return compiled("refused", "-O2", *flags, "hooks_refused.c", "hooks_refused_other.c")


def check(*words):
    result = call([ROOT / "scripts" / "baton", "check", *words])
    patches_code(result.stdout)
    return result


def expect(result, code, *texts):
    for text in texts:
        if text not in result.stdout + result.stderr:
            raise Failure(f"expected {text!r}, got\n{result.stdout}{result.stderr}")
    if result.returncode != code:
        raise Failure(f"expected exit {code}, got {result.returncode}\n{result.stdout}{result.stderr}")


REFUSED = {
    "too_short(kind=run,obj=1)": "shorter than the five bytes",
    "no_length(kind=run,obj=1)": "the length of its code is not known",
    "to_entry(kind=run,obj=1)": "it jumps back to its entry",
    "rubbish(kind=run,obj=1)": "bytes that are no instructions",
    "early_call(kind=run,obj=1)": "calls another function among its first five bytes",
    "counter_jump(kind=run,obj=1)": "cannot be moved",
    "twice(kind=run,obj=1)": "2 static functions of that name",
    "local(kind=call,fn=2,arg=3)": "it is static in refused",
    "wholf(kind=run,obj=1)": "near: whole in refused",
    "whole(kind=run,obj=1,how=got)": "no module calls it through a pointer of the loader",
    "whole(kind=run,obj=1,how=symbol)": "is not called by name",
}
PARTNER = "whole(kind=submit,obj=1)"


def with_partner(item):
    """kind=run wants a kind=submit beside it."""
    return [item] if "kind=run" not in item else [item, "partner_of_run(kind=submit,obj=1)"]


@test("what cannot be hooked safely is refused, and check says why", each=REFUSED)
def refused(item):
    reason = REFUSED[item]
    expect(check(*with_partner(item), program()), 1, f"{item}\n    not hooked: ", reason)
    hooks = ";".join(with_partner(item))
    after = carry(KEY, program(), env={"BATON_HOOKS": hooks}, launched=True)
    after.same_output_as(plain(program()))
    if "near:" in reason: # a name that is nowhere: silent, programs inherit their settings
        after.quiet()
    else:
        after.complains(reason)
    hook = after.reported()["hooks"][0]
    if hook["state"] == "hooked" or reason not in hook["reason"]:
        after.fail(f"the report says {hook['state']}: {hook['reason']}")


@test("the compiler's clones are found and named")
def clones():
    built = compiled("refused", "-O3", "hooks_refused.c", "hooks_refused_other.c")
    names = subprocess.run(["nm", built], capture_output=True, text=True, check=True).stdout
    if "cloned." not in names:
        unable("this compiler makes no clone of it")
    clone = next(line.split()[2] for line in names.splitlines() if "cloned." in line)
    result = check("cloned(kind=put,item=1);other(kind=get,item=ret)", built)
    expect(result, 1, "clones", clone)
    result = check(f"{clone}(kind=put,item=1);whole(kind=get,item=ret)", built)
    expect(result, 0, "by a patch of its entry")


@test("unsafe hooks a static function all the same; #FILE.c tells two of a name apart")
def unsafe():
    expect(check("local(kind=call,fn=2,arg=3,unsafe)", program()), 0, "by a patch")
    expect(check("twice#hooks_refused.c(kind=put,item=1)", "twice#hooks_refused_other.c(kind=get,item=ret)", program()),
           0, "by a patch")


@test("patches need one thread: a program that starts one before everything else is left alone")
def several_threads():
    built = program("-DEARLY_THREAD")
    hooks = "whole(kind=put,item=1);local(kind=get,item=ret)"
    after = carry(KEY, built, env={"BATON_HOOKS": hooks}, launched=True)
    after.same_output_as(plain(built)).complains("several threads run already")


@test("the plan is of one file: another one of the same name has one of its own")
def other_file():
    built = program()
    other = compiled("refused", "-O1", "hooks_refused.c", "hooks_refused_other.c")
    hooks = "local(kind=put,item=1);whole(kind=get,item=ret)"
    made = subprocess.run([ROOT / "build" / "baton-plan", "object", built], capture_output=True, text=True,
                          env={"BATON_HOOKS": hooks, "PATH": "/usr/bin:/bin"}, check=True).stdout.strip()
    after = carry(KEY, other, env={"BATON_HOOKS": hooks}, before=[made]).quiet()
    after.same_output_as(plain(other))
    own = carry(KEY, other, env={"BATON_HOOKS": hooks}).reported()["hooks"]
    if [hook["where"] for hook in after.reported()["hooks"]] != [hook["where"] for hook in own]:
        after.fail("a plan was used for a program that it was not made for")


@test("the object alone lets calls pass; with other settings a new plan is made")
def other_settings():
    pools = compiled("libpools.so", "-O2", "-shared", "-fPIC", "hooks_pools.c")
    built = compiled("pools", "-O2", "-Wl,-z,lazy,-z,norelro", "hooks_main.c", pools, f"-Wl,-rpath,{pools.parent}")
    hooks = "list_submit(kind=submit,obj=2);task_execute(kind=run,obj=1);call_submit(kind=call,fn=2,arg=3)"
    made = subprocess.run([ROOT / "build" / "baton-plan", "object", built], capture_output=True, text=True,
                          env={"BATON_HOOKS": hooks, "PATH": "/usr/bin:/bin"}, check=True).stdout.strip()
    idle(built, "call", "list", before=[made]).says("ran 2000").quiet()
    without = [word for name in ("CARRY", "HOOKS", "REPORT", "WARN") for word in ("-u", f"BATON_{name}")]
    run("/usr/bin/env", *without, built, "call", "list", env={"BATON_CARRY": KEY, "BATON_HOOKS": hooks},
        launched=True).says("ran 2000").quiet()
    after = carry(KEY, built, "call", "list", env={"BATON_HOOKS": "call_submit(kind=call,fn=2,arg=3)"},
                  before=[made]).says("ran 2000")
    hooks = after.reported()["hooks"]
    if len(hooks) != 1 or hooks[0]["fired"] < 1000 or "list_submit" in hooks[0]["item"]:
        after.fail("the one function that is named now is hooked, and no other")


@test("mistakes in BATON_HOOKS name the place and what was expected", each=[
    ("f", "(kind=...)"), ("f(kind=call,fn=2)", "fn=N and arg=N"), ("f(kind=cal,fn=2,arg=3)", "call, submit, run"),
    ("f(kind=call,fn=7,arg=3)", "from 1 to 6"), ("f(kind=call,fn=2,arg=2)", "two different positions"),
    ("f(kind=submit,obj=1)", "kind=run"), ("f(kind=drop,obj=1)", "kind=submit"),
    ("f(kind=virtual,obj=1)", "slot=K"), ("f(kind=virtual,obj=1,slot=224)", "from 0 to 223"),
    ("f(kind=virtual,obj=1,slot=1+2,slot=3,slot=4,slot=5)", "at most four"), ("f(kind=virtual,obj=1,slot=1,slot=1)", "each once"),
    ("f(kind=virtual,obj=1,slot=1,end=0,end=1)", "two different functions"), ("f(kind=relay,from=1)", "to=N"),
    ("f(kind=submit,obj=1,data=4)", "a multiple of 8"), ("***(kind=call,fn=1,arg=2)", "more than *"), ("f(kind=get,item=ret)", "kind=put"), ("f(kind=field,obj=1)", "off=BYTES"),
    ("f(kind=field,obj=1,off=3)", "a multiple of 8"), ("f(kind=call,fn=2,arg=3", "a closing )"),
    ("f(kind=call,fn=2,arg=3,fifo)", "only options of this kind"), ("f(kind=call,fn=2,arg=3,how=magic)", "how" ),
    ("f(kind=call,fn=2,arg=3,stack=99)", "up to 64"), ("(kind=call,fn=2,arg=3)", "the name of a function"),
])
def mistakes(item, expected):
    after = carry(KEY, "/bin/true", env={"BATON_HOOKS": item})
    after.ok().complains(f'BATON_HOOKS="{item}"', expected if expected != "how" else "auto, symbol, got or patch")
    strict = idle("/bin/true", env={"BATON_HOOKS": item, "BATON_CARRY": KEY, "BATON_STRICT": 1})
    strict.exits(64)


@test("two items cannot hook one function: not by its name, and not by a pattern")
def twice():
    built = program()
    expect(check("whole(kind=put,item=1)", "whole(kind=get,item=ret)", built), 1,
           'BATON_HOOKS="whole(kind=get,item=ret)": column 24: this function is hooked by an item before, expected once\n')
    expect(check("whole(kind=put,item=1)", "whol*(kind=get,item=ret)", built), 1,
           "whole(kind=put,item=1)\n    found in refused, hooked by a patch of its entry\n"
           "whol*(kind=get,item=ret)\n    not hooked: another item names this function already\n")


@test("baton run inside of baton run: the inner settings count")
def nested_launchers():
    pools = compiled("libpools.so", "-O2", "-shared", "-fPIC", "hooks_pools.c")
    built = compiled("pools", "-O2", "-Wl,-z,lazy,-z,norelro", "hooks_main.c", pools, f"-Wl,-rpath,{pools.parent}")
    inner = [ROOT / "scripts" / "baton", "run", "--hook", "call_submit(kind=call,fn=2,arg=3)", "--", built, "call", "list"]
    hooks = "list_submit(kind=submit,obj=2);task_execute(kind=run,obj=1)"
    after = carry(KEY, "/usr/bin/env", *inner, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet()
    if len(after.reported()["hooks"]) != 3:
        after.fail("expected the three hooks of both")


@test("functions that baton hooks itself are refused")
def own_functions():
    after = carry(KEY, "/bin/true", env={"BATON_HOOKS": "pthread_create(kind=call,fn=3,arg=4)"})
    after.ok().complains("baton hooks this function itself")


@test("check: items of BATON_CARRY, near names, statically linked programs")
def check_carry():
    built = program()
    expect(check("--carry", KEY, built), 0, "request_key: found in refused")
    expect(check(KEY + ";tls:no_such_thing_anywhere", built), 1, "request_key: found in refused", "not found")
    expect(check("--carry", "key:request_kez", built), 1, "near: request_key in refused")
    expect(check("--carry", "tls:no_such_thing_anywhere", built), 1, "not found")
    for flag in ("-static", "-static-pie"):
        static = compiled("static", flag, "hooks_static.c")
        expect(check("--carry", KEY, static), 1, "statically linked")
        carry(KEY, static, env={"BATON_HOOKS": PARTNER + ";whole(kind=run,obj=1)"}, launched=True).ok().complains(
            f"{static}: statically linked: no library can be loaded with it, so nothing of it is carried")
    expect(check("--carry", KEY, "/etc/passwd"), 126)


AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
OTHERS = {"BATON_HOOKS": "whole(kind=put,item=1);local(kind=get,item=ret)", "BATON_CARRY": KEY}


def need_another_user():
    require("setpriv")


@test("a program that becomes another user starts others without a word")
def another_user():
    need_another_user()
    if subprocess.run([*AS_NOBODY, "test", "-r", LIBRARY], check=False).returncode:
        unable("another user cannot read the library where it was built")
    run(*AS_NOBODY, "/bin/sh", "-c", "/bin/echo there; exit 3", env=OTHERS, launched=True).exits(3).quiet().says("there")


@test("a user who cannot read the library is not given what needs it, and programs run as ever")
def another_user_without_library():
    need_another_user()
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder, "lib", "baton")
        parts.mkdir(parents=True)
        for name in ("libbaton.so", "baton-plan", "baton-cli"):
            shutil.copy(ROOT / "build" / name, parts)
        launcher = str(parts / "baton-cli")
        for mode, words in ((0o755, False), (0o700, True)):
            os.chmod(folder, mode)
            after = run(launcher, "run", *AS_NOBODY, "/bin/sh", "-c", "/bin/echo there; exit 3", env=OTHERS, preload=False)
            after.exits(3).says("there")
            if words:
                after.complains("cannot be preloaded").complains("libbaton.so", ".so' from LD_PRELOAD")
            else:
                after.quiet()


@test("check: the nearest names of all modules, nearest first; C++ names that have the name as a part")
def near_names(tmp_path):
    expect(check("pthread_creat(kind=call,fn=3,arg=4)", program()), 1, "near: pthread_create in lib")
    expect(check("wholf(kind=call,fn=1,arg=2)", program()), 1, "near: whole in refused")
    expect(check("list_submid(kind=submit,obj=2);task_execude(kind=run,obj=1)",
                 compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c")), 1, "near: list_submit in whole",
           "near: task_execute in whole")
    source, versions = tmp_path / "versioned.c", tmp_path / "versions"
    source.write_text('void second(void) {}\n__asm__(".symver second,hand_over@@OURS_2");\nint main(void) { second(); return 0; }\n')
    versions.write_text("OURS_2 { };\n")  # which then stands behind the name
    expect(check("hand_ovr(kind=call,fn=1,arg=2)", compiled("versioned", source, "-rdynamic", f"-Wl,--version-script={versions}")), 1,
           "near: hand_over in versioned")
    pool = compiled("pool", "-O2", "-std=c++14", "hooks_function.cc", compiler="g++")
    expect(check("submit(kind=stdfunction,obj=2)", pool), 1, "near: _ZN4Pool6submitESt8functionIFvvEE in pool")


SOME = {"some_*": (2, 3), "more_*": (1, 2), "none_*": (2, 2)}


@test("of a pattern's functions that are not hooked it is said once how many, of how many, and why: by check, the launcher, the run",
      each=[(pattern, launched) for pattern in SOME for launched in (True, False)])
def some_of_a_pattern(pattern, launched):
    left, there = SOME[pattern]
    item, built = f"{pattern}(kind=put,item=1)", program()
    told = f"{left} of {there} functions not hooked: {pattern[:5]}"
    expect(check(item, "whole(kind=get,item=ret)", built), 1, f"{item}\n    stands for {there} functions, {there - left} hooked\n",
           "not hooked: it is shorter than the five bytes")
    after = carry(KEY, built, env={"BATON_HOOKS": f"{item};whole(kind=get,item=ret)"}, launched=launched)
    after.same_output_as(plain(built)).complains(f'baton: BATON_HOOKS="{item}": {told}', "shorter than the five bytes")
    if after.err.count("\n") != 1:
        after.fail("said more than once")
    hook = after.reported()["hooks"][0]
    if not hook["reason"].startswith(told) or hook["state"] != ("refused" if left == there else "hooked"):
        after.fail(f"the report says {hook['state']}: {hook['reason']}")


def two(*first):
    words = ("-O1", "-shared", "-fPIC", "hooks_two.c")
    libraries = [compiled("liba.so", *words, "-DNAME=a", *first), compiled("libb.so", *words, "-DNAME=b")]
    return compiled("two", "-O1", "hooks_two.c", *libraries, *(f"-Wl,-rpath,{path.parent}" for path in libraries))


@test("static functions of one name in two libraries: refused, with both to choose from; @MODULE hooks each, a pattern both; where "
      "one is stripped the other is not taken for it")
def two_modules():
    end = "(kind=call,fn=2,arg=3)"
    def both(item, wrong, built=two(), *said):
        expect(check(item, built), bool(said), *said)
        after = carry("tls:request_id", built, env={"BATON_HOOKS": item}, launched=True).says(f"ran 100 wrong {wrong}\n")
        after.complains(*said) if said else after.quiet()
    plain(two()).says("ran 100 wrong 100\n")
    both(f"hand_over{end}", 100, two(), "static functions of that name in 2 modules: say which by @MODULE: liba.so, libb.so")
    both(f"hand_over@liba{end};hand_over@libb{end}", 0)
    both(f"hand_over@libb{end}", 50)
    both(f"hand_*{end}", 0)
    both(f"hand_over@liba{end}", 100, two("-s"), "the symbols of liba.so are stripped")
