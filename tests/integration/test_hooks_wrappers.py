"""Named functions of a program that something else starts: wrappers, shells, scripts, supervisors; with and
without the launcher."""
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from compile import compiled
from harness import BUILD, LIBRARY, call, carry, plain, run, test
from needs import needs

KEY = "key:request_key"
HOOKS = {"BATON_HOOKS": "call_submit(kind=call,fn=2,arg=3);list_submit(kind=submit,obj=2);task_execute(kind=run,obj=1)"}


def program():
    return compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c")


WRAPPERS = {
    "timeout": ["timeout", "3000"],
    "env": ["env", "A=1"],
    "nice": ["nice"],
    "taskset": ["taskset", "-c", "0-1023"],
    "two of them": ["env", "A=1", "timeout", "3000", "nice"],
    "shell": ["sh", "-c", '"$0" "$@"; exit $?'],
    "shell that execs": ["sh", "-c", 'exec "$0" "$@"'],
    "supervisor": ["/usr/bin/python3", "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"],
}


@test("a wrapper starts the program: its functions are hooked all the same",
      each=[(name, launched) for name in WRAPPERS for launched in (False, True)])
def wrapped(name, launched):
    words = WRAPPERS[name] + [str(program()), "call", "list"]
    plain(*words).wrong()
    carry(KEY, *words, env={**HOOKS, "BATON_REPORT": "/dev/null"}, launched=launched).ok().quiet()


@test("a shell script starts the program", each=(False, True))
def script(launched):
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "start")
        script.write_text(f'#!/bin/sh\ntrue | cat\nexec "{program()}" "$@"\n')
        script.chmod(0o755)
        plain(script, "call", "list").wrong()
        carry(KEY, script, "call", "list", env={**HOOKS, "BATON_REPORT": "/dev/null"}, launched=launched).ok().quiet()


STARTS_ALL = """import json, subprocess, sys
started = [subprocess.Popen(words) for words in json.loads(sys.argv[1])]
sys.exit(max(abs(each.wait()) for each in started))"""


@test("a supervisor starts several programs at once: in each its own functions are hooked", each=(False, True))
def several(launched):
    shapes = str(compiled("shapes", "-O2", "-std=c++14", "hooks_shapes.cc", compiler="g++"))
    programs = [[str(program()), "call", "list"], ["timeout", "3000", shapes, "parts"], ["true"], ["nice", str(program()), "list"]]
    for words in programs[0], programs[1], programs[3]:
        plain(*words).wrong()
    hooks = HOOKS["BATON_HOOKS"] + ";Pool::submit(Task*)(kind=virtual,obj=2,slot=2+3,end=0+1)"
    after = carry(f"{KEY};tls:request_id", "/usr/bin/python3", "-c", STARTS_ALL, json.dumps(programs),
                  env={"BATON_HOOKS": hooks, "BATON_REPORT": "/dev/null"}, launched=launched).ok()
    assert after.out.count("wrong 0\n") == 3, after.out


@test("the settings may stand in a file, as in a unit or a container")
def by_file():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("key:request_key\n" + HOOKS["BATON_HOOKS"].replace(";", "\n") + "\n")
        file.flush()
        run("timeout", "3000", program(), "call", "list", env={"BATON_CONFIG": file.name}).ok().quiet()


def plans(naming):
    """The plans that name the function: those of one test alone, also where others put theirs meanwhile."""
    root = "/run/baton" if os.geteuid() == 0 else f"/tmp/baton-{os.geteuid()}"
    found = subprocess.run(["grep", "-lrs", "--include=*.plan", naming, root], capture_output=True, text=True)
    return {Path(path): Path(path).stat().st_ino for path in found.stdout.splitlines()}


def also(name):
    """The hooks and a function that no program has, so that the plan is nobody else's."""
    return {**HOOKS, "XDG_RUNTIME_DIR": "", "BATON_HOOKS": HOOKS["BATON_HOOKS"] + f";{name}(kind=call,fn=1,arg=2)"}


@test("a plan is made once for a program and its libraries, and again for other settings")
def made_once():
    name = f"once_{uuid.uuid4().hex}"
    carry(KEY, program(), "call", env=also(name)).ok()
    first = plans(name)
    assert len(first) == 1, first
    carry(KEY, program(), "call", env=also(name)).ok()
    assert plans(name) == first, "the plan was made anew"
    carry(KEY, program(), "call", env=also(name + "_other")).ok()
    assert len(plans(name)) == 2, "no plan was made for other settings"


@test("a plan that somebody else could have written, or that is damaged, is not used")
def not_trusted():
    name = f"trusted_{uuid.uuid4().hex}"
    env = also(name)
    carry(KEY, program(), "call", env=env).ok()
    (plan,) = plans(name)
    whole = plan.read_bytes()
    for damaged in (b"", whole[:100], bytes(len(whole)), whole[:8] + b"\xff" * 64 + whole[72:]):
        plan.write_bytes(damaged)
        carry(KEY, program(), "call", env=env).ok().quiet()
    plan.write_bytes(whole)
    plan.chmod(0o666)
    carry(KEY, program(), "call", env=env).ok().quiet()
    assert plan.stat().st_mode & 0o777 == 0o600, "a plan that anybody can write to was used"


@test("without baton-plan beside the library, one line says what is missing")
def no_planner():
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder, "libbaton.so")
        shutil.copy(LIBRARY, alone)
        environment = {"BATON_CARRY": KEY, "LD_PRELOAD": str(alone), "PATH": os.environ["PATH"],
                       "BATON_HOOKS": HOOKS["BATON_HOOKS"] + f";alone_{uuid.uuid4().hex}(kind=call,fn=1,arg=2)"}
        done = call([program(), "call"], env=environment)
        assert done.stderr.count("\n") == 1 and "baton-plan" in done.stderr, done.stderr


@test("the program sees nothing of it: no child of its own, no descriptor, no signal")
def unseen():
    watcher = ["/usr/bin/python3", "-c", "import os, signal; print(sorted(os.listdir('/proc/self/fd')), signal.sigpending())\n"
               "try: os.wait()\nexcept ChildProcessError: print('no child')"]
    env = {"BATON_HOOKS": f"nobody_{uuid.uuid4().hex}(kind=call,fn=1,arg=2)"}
    carry("key:n=1", *watcher, env=env).ok().quiet().same_output_as(plain(*watcher))


@needs("setpriv")
@test("what was generated and not used for a day is removed, a few at a time; what is younger, or is not ours, stays")
def removes_what_is_old():
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups env".split()  # root's own folder is everybody's
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        kept = Path(folder, "runtime", "baton")
        kept.mkdir(parents=True)
        for owned in kept.parent, kept:
            os.chown(owned, 65534, 65534)
        for part in (LIBRARY, BUILD / "baton-plan"):
            shutil.copy(part, folder)
        settings = [f"XDG_RUNTIME_DIR={kept.parent}", "BATON_CARRY=" + KEY, f"LD_PRELOAD={folder}/libbaton.so"]
        words = [*settings, shutil.copy(program(), folder), "call"]

        def start(number):
            plain(*nobody, f"BATON_HOOKS={HOOKS['BATON_HOOKS']};old_{number}(kind=call,fn=1,arg=2)", *words)

        start(0)
        made = list(kept.glob("*.plan"))
        assert len(made) == 1, made
        # A start looks at the names of one first digit: there is one of each digit, and of each age.
        old, stay = set(), set(made)
        for digit in "0123456789abcdef":
            for name, hours, those in ((15 * "0" + ".so", 25, old), (14 * "0" + "1.so", 23, stay), ("0.so", 25, stay)):
                path = kept / (digit + name)
                shutil.copy(made[0], path)
                os.utime(path, (time.time() - hours * 3600,) * 2)
                os.chown(path, 65534, 65534)
                those.add(path)
        start(1)
        gone = {path for path in old if not path.exists()}
        assert 1 <= len(gone) <= 4, f"removed: {gone} of {len(old)}"
        assert all(path.exists() for path in stay), [path for path in stay if not path.exists()]
