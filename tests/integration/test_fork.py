"""fork in a program whose other threads are busy (E24): the child finds no lock of ours held."""
import re

from harness import CARRIERS, ROOT, Failure, carry, idle, plain, test
from needs import unable

MODES = {
    "pools": "GLib's pools are made, sorted, freed",
    "sources": "GLib's sources",
    "apr": "APR's pools, whose workers are looked up as those of a library",
    "notices": "timers; the child waits for a message",
    "coroutines": "coroutines",
    "uv": "loops of libuv",
    "events": "libevent with locks",
    "openmp": "regions of libgomp",
    "keys": "keys with destructors, threads",
}


# That no lock is forgotten is every_lock's to say, which needs no luck; here they are seen to work on.
@test("E24: 10 children of a busy program work on, each in the context of its fork", timeout=120,
      each=[(mode, kind) for mode in MODES for kind in ("key", "tls")])
def families(mode, kind):
    for run in (plain, idle):
        run("fork_families", mode, kind, 8 if mode == "sources" else 2).wrong()
    carried = carry(CARRIERS[kind], "fork_families", mode, kind, 10, timeout=110)
    if carried.code == 77 and mode == "sources":
        unable("every child waits for a lock of GLib's own for ever")
    carried.ok().quiet().clean()


@test("E24: a child whose parent's threads were inside the loader uses functions that nobody has called before",
      each=[(mode, kind) for mode in ("other", "self") for kind in ("key", "tls")])
def inside_the_loader(mode, kind):
    for run in (plain, idle):
        run("fork_loader", kind, mode).wrong().says("child hung 0")
    carry(CARRIERS[kind], "fork_loader", kind, mode).ok().quiet().clean()
    # An item that looks at the stack, by libunwind, whenever a key is made.
    carry(CARRIERS[kind] + ";key:by=stander", "fork_loader", kind, mode).ok().clean()


@test("E24: every lock of ours is taken around fork")
def every_lock():
    missing = []
    inside = [f"{path.relative_to(ROOT)}: {line.strip()}" for path in sorted((ROOT / "shim").rglob("*.[ch]"))
              for line in re.findall(r"^ +struct lock \w+;", path.read_text(), re.M)]
    # Maps are in a list, shards in an array; objects that come and go have lock_of.
    if inside != ["shim/base/map.h: struct lock lock;", "shim/userhooks/table_gpr.c: struct lock lock;"]:
        raise Failure("locks in objects: " + ", ".join(inside))
    for path in sorted((ROOT / "shim").rglob("*.c")):
        text = path.read_text()
        taken = "".join(re.findall(r"^void \w+_fork_lock\(void\)\n\{(.*?)^\}", text, re.M | re.S))
        for name in re.findall(r"^(?:static )?struct lock (\w+(?:\[\w+\])?);", text, re.M):
            one = re.sub(r"\[.*", "[i]", name)
            if f"lock_take_for_fork(&{one})" not in taken and f"lock_take(&{one})" not in taken:
                missing.append(f"{name} in {path.relative_to(ROOT)}")
    if missing:
        raise Failure("not taken in a _fork_lock function: " + ", ".join(missing))


@test("E24: at a fork we lock last and unlock first, and not what a handler's own thread holds",
      each=[(way, kind) for way in ("library", "signal") for kind in ("key", "tls")])
def order(way, kind):
    for run in (plain, idle):
        run("fork_order", way, 5).ok().says("done")
    carry({"key": "key:request_key", "tls": "tls:request_word"}[kind], "fork_order", way, 60, timeout=30).ok().says("done")


@test("E24: a forked child's thread destroys its values when it ends, once", each=("plain", "cached"))
def ends(mode):
    before = plain("fork_ends", mode).ok()
    assert before.out == "destroyed V by the child\ndestroyed V by the parent\n", before.out
    carry("key:request_key", "fork_ends", mode).same_as(before).clean()
