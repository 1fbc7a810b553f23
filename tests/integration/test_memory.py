"""What a process keeps resident, in bytes: a thread that lives, contexts that are gone, many submitters."""
import ctypes

from harness import carry, expect, idle, plain, test

PAGE = 4096
KEYS = ";".join(f"key:request_{n // 8}{n % 8}" for n in range(64))
NO_REPORT = {"BATON_REPORT": ""}  # it counts by thread, in memory of its own


def figure(result, name="bytes"):
    return next(int(line.split()[1]) for line in result.out.splitlines() if line.startswith(name + " "))


@test("a live thread has nothing more while nothing is configured, and a page while it carries")
def threads():
    before = figure(plain("memory_kept", "threads").wrong())
    for done, more in ((idle("memory_kept", "threads").wrong(), 0),
                       (carry(KEYS, "memory_kept", "threads", env=NO_REPORT).ok(), PAGE)):
        now = figure(done.quiet())
        expect(now <= before + more + PAGE // 4, f"{before} bytes a thread, {now} with baton")


@test("contexts that changed before each submit are the system's again a second after the drain, at rest and at work",
      each=("drained", "drained_busy"))
def drained(mode):
    plain("memory_kept", mode).wrong()
    done = carry(KEYS, "memory_kept", mode).ok().quiet().clean()
    peak, left = figure(done, "peak"), figure(done)
    expect(peak > 60000 * 64 * 8, f"no context was in flight: {peak} bytes")
    expect(left <= peak // 20, f"{left} bytes of {peak} are still there")


def chunk():
    """Where a request of libuv has no words of ours each submitter has a chunk of records, too."""
    return 0 if ctypes.CDLL("libuv.so.1").uv_version() >> 8 == 0x012c else 8192


@test("256 threads that submit with 64 keys need at most as much again as they do plain; 40 kB each where all change each time",
      each=("submitters", "submitters_changed"))
def submitters(mode):
    before = figure(plain("memory_kept", mode).wrong())
    after = figure(carry(KEYS, "memory_kept", mode, env=NO_REPORT).ok().quiet())
    expect(after <= (2 * before if mode == "submitters" else before + 256 * 40000) + 256 * chunk(),
           f"{before} bytes resident, {after} with baton")
