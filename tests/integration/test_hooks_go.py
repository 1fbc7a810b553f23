"""BATON_HOOKS and programs that the Go linker has made."""
import os

from compile import SOURCES, compiled
from harness import BUILD, ROOT, Failure, call, carry, plain, test
from needs import require

KEY = "key:request_key"
POOL = "call_submit(kind=call,fn=2,arg=3)"


def built(name, cgo):
    """A program of one Go file, with libpools.so when it has C."""
    require("go")
    pools = compiled("libpools.so", "-O2", "-shared", "-fPIC", "hooks_pools.c")
    folder = BUILD / "tests" / "go"
    folder.mkdir(parents=True, exist_ok=True)
    made = call(["go", "build", "-o", folder / name, SOURCES / f"{name}.go"], limit=300,
                env={**os.environ, "GO111MODULE": "off", "GOCACHE": str(folder / "cache"), "GOFLAGS": "",
                     "CGO_ENABLED": str(int(cgo)), "CGO_CFLAGS": f"-O2 -I{SOURCES}",
                     "CGO_LDFLAGS": f"-L{pools.parent} -lpools -Wl,-rpath,{pools.parent}"})
    if made.returncode:
        raise Failure(made.stderr)
    return folder / name


def check(*words):
    return call([ROOT / "scripts" / "baton", "check", *words])


@test("a C thread pool under a Go program carries; Go's own threads start empty", timeout=300)
def c_pool():
    program = built("hooks_go_cgo", cgo=True)
    plain(program).wrong().says("ran 1001 wrong 1000\n")
    after = carry(KEY, program, env={"BATON_HOOKS": POOL}, launched=True).ok().quiet().carried("named", exactly=1000)
    after.says("ran 1001 wrong 0\n")
    # The pool's three workers are a library's, and the runtime's threads nobody's: they start empty.
    after.carried("pthread", exactly=0)


@test("functions of a Go program are refused, in Go and in its C part, by check and by run", timeout=300)
def inside():
    program = built("hooks_go_cgo", cgo=True)
    for item in ("main.submit(kind=call,fn=1,arg=2)", "main.submit(kind=call,fn=1,arg=2,unsafe)",
                 "inside_submit(kind=call,fn=1,arg=2,unsafe)"):
        result = check(item, program)
        if result.returncode != 1 or "is a Go program: its functions run on stacks of their own" not in result.stdout:
            raise Failure(f"exit {result.returncode}: {result.stdout}{result.stderr}")
        after = carry(KEY, program, env={"BATON_HOOKS": item}, launched=True).wrong().complains("is a Go program")
        after.says("ran 1001 wrong 1000\n")


@test("a static Go program: nothing can be loaded with it, and it runs as ever", timeout=300)
def static():
    program = built("hooks_go_static", cgo=False)
    result = check("main.submit(kind=call,fn=1,arg=2)", program)
    if result.returncode != 1 or "statically linked: no library can be loaded with it" not in result.stderr:
        raise Failure(f"exit {result.returncode}: {result.stdout}{result.stderr}")
    carry(KEY, program, env={"BATON_HOOKS": "main.submit(kind=call,fn=1,arg=2)"},
          launched=True).ok().says("ran\n").complains("statically linked")
