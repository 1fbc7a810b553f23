"""Libraries that say that they are newer than any that was read; libuv and oneTBB have tests of their own."""
from harness import CARRIERS, LIBRARY, PROGRAMS, carry, idle, test

NEWER = {"LD_PRELOAD": f"{LIBRARY}:{PROGRAMS / 'versions_newer.so'}", "BATON_LOG": "info"}


def untried(after, library, version, then):
    """The report and one line of the log have it."""
    told = after.reported().get("untried", ())
    if [(row["library"], row["version"]) for row in told] != [(library, version)] or then not in told[0]["then"]:
        after.fail(f"expected {library} {version} to be untried: {told}")
    if after.err.count(f"{library} {version} has not been tried: ") != 1:
        after.fail(f"expected one line about {library}")


@test("G30: a libevent that nobody has read: all ways carried by its functions, and it is said", each=CARRIERS)
def libevent(kind):
    after = carry(CARRIERS[kind], "libevent", "ways", kind, env=NEWER).ok().clean().carried("libevent", exactly=12)
    untried(after, "libevent", "2.255.0", "not looked into")


@test("G30: a Qt that nobody has read is left alone, counted as bare, and it is said",
      each=[(program, mode, family) for program in ("qt5", "qt6") for mode, family in (("start", "qt.pool"), ("notifier", "qt.notifier"))])
def qt(program, mode, family):
    idle(program, mode, "tls").wrong()
    after = carry(CARRIERS["tls"], program, mode, "tls", env=NEWER).wrong().clean().carried(family, exactly=0).bare(family)
    untried(after, "Qt", "7", "left alone")
