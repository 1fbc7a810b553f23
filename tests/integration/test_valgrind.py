"""Every family's program under valgrind's memcheck: nothing of ours is used after its end."""

from harness import CARRIERS, PROGRAMS, ROOT, carry, find_program, plain, test
from needs import needs

# For each program the modes where memory goes early, late or in another thread. Left out: sigevent's lookup and
# queue, where memcheck finds fault with glibc itself, coroutines inside of coroutines, whose stacks it
# takes for one another's with and without us, and modes that only repeat these.
MODES = {
    "glib_source": ("ways", "replace", "nested", "dropped"),
    "gio_task": ("thread", "dbus", "cancel"),
    "uv_work": ("cancel", "freed"),
    "uv_handle": ("ways", "nested", "async"),
    "uv_request": ("fs", "cancel"),
    "sigevent": ("timer", "delete_in_callback", "aio", "aio_cancel", "list"),
    "gomp": ("split", "copy", "detach", "taskloop", "cancel"),
    "gomp_target": ("wide", "cancel"),
    "apr": ("cancel", "destroy"),
    "ldap_pool": ("retract", "destroy"),
    "vips_workers": ("pool", "generate"),
    "ucontext": ("switch", "move", "reuse", "fortified"),
    "openssl_async": ("turns", "threads"),
    "openmp_llvm": ("tasks", "cancel"),
    "glib_pool": ("drop", "exclusive"),
    "libev": ("ways", "nested", "destroy"),
    "ares": ("cancel", "destroy"),
    "nng": ("ways_out",),
    "sdevent": ("ways", "dropped"),
    "libevent": ("ways", "deleted", "finalize", "free_elsewhere"),
    "libevent_evbuffer": ("remove", "deferred"),
    "libevent_http": ("fails", "dropped"),
    "libevent_dns": ("cancel", "dropped"),
}
IN_TURN = PROGRAMS / "in_turn.so"  # preloaded: modes of a program in children of one process
ENV = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "OMP_CANCELLATION": "true"}


def in_turn(modes):
    return ["".join(f"{mode}," for mode in modes)]


@needs("valgrind")
@test("memcheck finds nothing in any family", timeout=200, each=MODES)
def memcheck(name):
    after = carry(CARRIERS["key"], "valgrind", "-q", "--error-exitcode=9", "--leak-check=no", find_program(name),
                  *in_turn(MODES[name]), "key", env=ENV, timeout=180, before=[IN_TURN])
    if after.code == 9:
        after.fail("valgrind complains")
    after.ok().says(*(f"{mode}: exit 0\n" for mode in MODES[name]))


SUPPRESSIONS = ROOT / "scripts" / "valgrind" / "baton.supp"


@needs("valgrind")
@test("helgrind and drd know our locks by the file that is shipped, and still see the program's own races",
      timeout=100, each=[("helgrind", "key"), ("drd", "tls")])
def races(tool, kind):
    plain("race", "clean", kind).wrong()
    under = "valgrind", "-q", f"--tool={tool}", "--error-exitcode=9", f"--suppressions={SUPPRESSIONS}"
    after = carry(CARRIERS[kind], *under, find_program("race"), "clean", kind, timeout=80)
    after.ok()
    assert not after.err, after.err
    assert " work " in carry(CARRIERS[kind], *under, find_program("race"), "race", kind, timeout=80).err
