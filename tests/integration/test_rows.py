"""Every row of hooks.def is driven by a test program."""
import re
import subprocess

from harness import PROGRAMS, ROOT, Failure, test
from needs import require

# Called by a library for the program, or found by dlsym: the program that makes it do so.
BY_LIBRARY = {
    "__pthread_key_create": "libstdc++ and libgcc, in every C++ program",
    "__pthread_getspecific": "libstdc++ and libgcc",
    "__pthread_setspecific": "libstdc++ and libgcc",
    "g_object_new": "libgio, in gio_task",
    "g_timeout_add_seconds_once": "newer than what is installed, in newer_names",
    "uv_pipe_connect2": "newer than what is installed, in newer_names",
    "isc_work_enqueue": "the same",
    "isc_async_run": "the same",
    "ompt_start_tool": "libomp, in openmp_llvm",
    "ldap_pvt_thread_pool_close": "libldap at ldap_pvt_thread_pool_destroy, in ldap_pool",
    "evthread_set_lock_callbacks": "libevent_pthreads, in libevent",
    "evconnlistener_new": "libevent at evconnlistener_new_bind, in libevent_buffer",
    "event_mm_free_": "libevent wherever it frees, in libevent_evbuffer and libevent_http",
    "evhttp_connection_fail_": "libevent when a server leaves, in libevent_http",
}


def rows():
    """(family, name) of each row."""
    text = (ROOT / "shim/interpose/hooks.def").read_text()
    found = re.findall(r"^HOOK\((\w+),\s*[^()]*?\b(\w+),\s*\(", text, re.M)
    if len(found) != len(re.findall(r"^HOOK\(", text, re.M)):
        raise Failure("some rows of hooks.def cannot be read")
    return found


@test("every hooked function is called by some test program")
def driven():
    names = {path.name.rpartition(".")[0] for path in (ROOT / "tests/programs").glob("*.c*")}
    names = {name for name in names if not name.startswith("prototypes")}
    missing = sorted(name for name in names if not (PROGRAMS / name).exists())
    listed = subprocess.run(["nm", "-D", "--undefined-only", *(PROGRAMS / name for name in names - set(missing))],
                            capture_output=True, text=True)
    called = set(re.findall(r"^ +[Uw] (\w+)", listed.stdout, re.M)) | BY_LIBRARY.keys()
    undriven = [f"{name} ({family})" for family, name in rows() if name not in called]
    if undriven:
        require(programs=missing)
        raise Failure("no test program calls " + ", ".join(undriven))


@test("no hooked function is called as what compilers have every module refer to (early_references.c passes over those)")
def not_the_compilers():
    bad = [name for _, name in rows() if re.match("_I|__[cg]", name)]
    if bad:
        raise Failure("is_compilers takes them for the compiler's: " + ", ".join(bad))
