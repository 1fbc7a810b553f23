"""Every family's program under valgrind's memcheck: nothing of ours is used after its end."""

import subprocess

from harness import CARRIERS, PROGRAMS, ROOT, carry, find_program, plain, run, test
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
    "tbb": ("cancel", "exception", "suspend"),
    "qt5": ("take", "clear", "exception"),
    "qt6": ("take", "clear", "exception", "then"),
    "boost_context": ("unwound", "exception", "coroutine"),
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


# Calls a condition as a C++ run time does for a program, from a frame with words that nobody has written.
RUNTIME = """#include <pthread.h>
void cxx_wait(pthread_cond_t *cond, pthread_mutex_t *lock) { char room[256]; __asm__ volatile("" :: "r"(room) : "memory");
    pthread_cond_wait(cond, lock); __asm__ volatile("" :: "r"(room) : "memory"); }
"""
POOL = """#include <pthread.h>
#include <sched.h>
pthread_mutex_t lock; pthread_cond_t cond; int waits, is_there; pthread_key_t key;
void cxx_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
__attribute__((noinline)) void submit(void (*run)(void *), void *arg) { __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" :: "r"(run), "r"(arg) : "memory"); }
static void task(void *arg) { (void)arg; }
static void *work(void *arg)
{
    pthread_mutex_lock(&lock);
    waits = 1;
    while (!is_there)
        cxx_wait(&cond, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}
int main(void)
{
    pthread_t thread;
    pthread_key_create(&key, 0);
    pthread_setspecific(key, &key);
    submit(task, 0);
    pthread_create(&thread, 0, work, 0);
    pthread_mutex_lock(&lock);
    while (!waits) {
        pthread_mutex_unlock(&lock);
        sched_yield();
        pthread_mutex_lock(&lock);
    }
    is_there = 1;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&lock);
    return pthread_join(thread, 0);
}
"""


@needs("gcc", "valgrind")
@test("a program under valgrind is told nothing that is not its own: whose threads wait, what a hook was given", timeout=60)
def complains_of_nothing(tmp_path):
    runtime, program = tmp_path / "libc++.so.1", tmp_path / "pool"
    for source, *options in ((RUNTIME, "-shared", "-fPIC", "-o", runtime), (POOL, "-pthread", "-rdynamic", "-o", program, runtime)):
        subprocess.run(["gcc", "-O1", "-w", "-xc", "-", "-xnone", *options], input=source, text=True, check=True)
    after = run(ROOT / "scripts/baton", "run", "--verdict", "--carry", "key:key", "--hook", "submit(kind=call,fn=1,arg=2)", "--",
                "valgrind", program, preload=False, timeout=50)
    after.complains("ERROR SUMMARY: 0 errors")
    assert "sigprocmask" not in after.err and "not hooked" not in after.err, after.err


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
