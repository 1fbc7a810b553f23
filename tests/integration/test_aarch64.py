"""AArch64 under qemu: the library is built for it, and tests of this suite run there once more.

`make check-aarch64` runs all of them that can be run; here are those of the parts that know the
processor: exported jumps, thunks, pointers, unwinding, thread-local storage, coroutines.
"""
import fcntl
import os
import sys
import tempfile
from pathlib import Path

from compile import compiled
from harness import ROOT, Failure, call, test
from needs import require

CROSS = "aarch64-linux-gnu-"
SYSROOT = "/usr/aarch64-linux-gnu"
PLACE = ROOT / "build-aarch64"
PROGRAMS = "thread_ends task_ends thread_fails generations small_stack ucontext five_universes fork_in_task".split()
# Left out: threads that nobody joins have 50 ms to end, which a busy machine under qemu does not give them.
TESTS = (r"^(hooks\.(matrix|matrix_std_function|linking|calling_convention|counts)\b"
         r"|pthread\.(ends(?!\[detached|\[never)|exception|longjmp|cancelled|generations|small_stack)"
         r"|ucontext\.coroutine\[(switch|link|move|jump|jump_inside|threads) (key|tls)"
         r"|seeds\.five_universes|rules\.fork)")


def build():
    require("this machine", "cross")
    wanted = [str(PLACE / "libbaton.so"), str(PLACE / "baton-plan")]
    wanted += [str(PLACE / "tests" / "programs" / name) for name in PROGRAMS]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / "lock", "w") as lock:  # both tests build in one place
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = make(wanted, environment)
    if made.returncode or "warning" in made.stderr:
        raise Failure(f"does not build for aarch64:\n{made.stdout[-2000:]}{made.stderr[-4000:]}")


def make(wanted, environment):
    return call(["make", "-s", "-C", ROOT, f"B={PLACE.relative_to(ROOT)}", f"CC={CROSS}gcc", f"CXX={CROSS}g++",
                 *[name.replace(f"{ROOT}/", "") for name in wanted]],
                env={**environment, "PKG_CONFIG_LIBDIR": "/nonexistent"}, limit=280)


@test("aarch64: threads, coroutines, unwinding and hooks by pointers carry under qemu", timeout=600, release=True)
def carries():
    build()
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = call([sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider"], limit=580, cwd=ROOT,
                env={**mine, "BATON_TEST_MACHINE": "aarch64", "BATON_TEST_BUILD": str(PLACE), "BATON_TEST_PICK": TESTS})
    last = (done.stdout.strip() or "0").splitlines()[-1]
    if " 0 failed" not in last or int(last.split()[0]) < 60:
        raise Failure(done.stdout[-8000:] + done.stderr[-2000:])


HOOKS = "list_submit(kind=submit,obj=2);task_execute(kind=run,obj=1);call_submit(kind=call,fn=2,arg=3)"


@test("aarch64: the object that baton run writes; functions inside of a program are refused", timeout=300, release=True)
def by_name():
    build()
    # The planner asks the program's loader, which this machine cannot start by itself.
    loader = PLACE / "loader"
    loader.write_text(f'#!/bin/sh\nexec qemu-aarch64 -L {SYSROOT} {SYSROOT}/lib/ld-linux-aarch64.so.1 "$@"\n')
    loader.chmod(0o755)
    pools = compiled("libpools.so", "-O2", "-shared", "-fPIC", "hooks_pools.c", compiler=CROSS + "gcc")
    program = compiled("pools", "-O2", "hooks_main.c", pools, f"-Wl,-rpath,{pools.parent}", compiler=CROSS + "gcc")
    start = ["qemu-aarch64", "-L", SYSROOT]
    settings = {**{name: value for name, value in os.environ.items() if not name.startswith("BATON_")},
                "BATON_TEST_LOADER": str(loader), "BATON_HOOKS": HOOKS, "BATON_CARRY": "key:request_key"}
    made = call([*start, PLACE / "baton-plan", "object", program], env=settings)
    if not made.stdout.strip().endswith(".so") or made.stderr:
        raise Failure(f"no object: {made.stdout}{made.stderr}")
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report"
        done = call([*start, "-E", f"LD_PRELOAD={made.stdout.strip()}:{PLACE}/libbaton.so", program, "call", "list"],
                    env={**settings, "BATON_REPORT": str(report)})
        text = report.read_text() if report.exists() else ""
    if done.stdout != "ran 2000 wrong 0\n" or done.stderr or text.count('"by":"symbol"') != 3:
        raise Failure(f"{done.stdout}{done.stderr}{text}")
    if '"contexts_alive":0,"records_alive":0' not in text:
        raise Failure(text)
    whole = compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c", compiler=CROSS + "gcc")
    checked = call([*start, PLACE / "baton-plan", "check", whole], env=settings)
    if checked.returncode != 1 or checked.stdout.count("patches of code are not supported here") != 3:
        raise Failure(f"exit {checked.returncode}: {checked.stdout}{checked.stderr}")
