"""baton discover: what a program has that could be carried, and what hands it over."""
import json
import subprocess
import tempfile
from pathlib import Path

from harness import PROGRAMS, skip, test
from test_launcher import baton, expect

GLIB = PROGRAMS / "stale_pool_glib"
POOL = Path("/usr/share/cthreadpool/thpool.c")


def pool_program(folder, *flags):
    """A program with C-Thread-Pool compiled in."""
    if not POOL.exists():
        skip("cthreadpool is not installed")
    program = Path(folder, "server")
    subprocess.run(["cc", "-O2", "-pthread", *flags, f"-I{POOL.parent}", "-I/usr/include/cthreadpool",
                    Path(__file__).parents[1] / "programs/parts/hooks_thpool.c", POOL, "-o", program], check=True)
    return program


@test("discover --static lists thread-local variables, families and what is named like a context")
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
def static_submits():
    with tempfile.TemporaryDirectory() as folder:
        program = pool_program(folder, "-g")
        baton("discover", "--static", program).ok().says("by debug information",
                                                         "\n    thpool_add_work(kind=call,fn=2,arg=3)\n")
        subprocess.run(["strip", program], check=True)
        said = baton("discover", "--static", program).ok()
        said.matches(r"\n    main\+0x[0-9a-f]+\(kind=call,fn=2,arg=3\)\n").says("no symbols: install the debug package")
