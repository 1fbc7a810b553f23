"""What tests need that a machine may not have: one table, and what is said where it is missing.

    @needs("valgrind")              above @test: it is skipped without, and has the marker needs_valgrind, so that
                                    pytest -m needs_valgrind runs what has it, and -m "not needs_valgrind" the rest
    @needs(programs=["plugin.so"])  needs programs of tests/programs, whose libraries need not be there either
    @needs(of=lambda compiler: (compiler,))  each of its cases needs something else; named as the test's parameters
    require("clang++")              in what several tests call
    unable("perf may not record")   what only a run can tell (rights, what a kernel refuses): it has been tried, and why not

pytest --markers lists them. Tests call nothing else that skips (a test looks).
"""
import inspect
import os
import re
import shutil
import subprocess
from pathlib import Path

import harness
import pytest

CTHREADPOOL = Path("/usr/share/cthreadpool/thpool.c")


def tools(*names):
    return lambda: all(map(shutil.which, names))


def runtime(name):
    """The path of a library of gcc's own, or None."""
    path = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=False).stdout.strip() \
        if shutil.which("gcc") else ""
    return path if "/" in path else None


def library(name):
    """The path of a library that the loader finds, or None."""
    return next(iter(re.findall(rf"=> (/.*/{re.escape(name)})$", subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout, re.M)), None)


def links(*command):
    """Whether a compiler finds a standard library: its headers, and all that is linked with it."""
    return shutil.which(command[0]) and subprocess.run([*command, "-shared", "-fPIC", "-x", "c++", "-", "-o", os.devnull], input="#include <map>\n",
                                                       text=True, capture_output=True, check=False).returncode == 0


def gcc_version():
    """The first number; 0: no gcc."""
    said = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=False).stdout if shutil.which("gcc") else ""
    return int(said.split(".")[0] or 0)


def libc_version():
    name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
    return tuple(map(int, version.split(".")[:2]))


def is_linked(program, name):
    return name in subprocess.run(["ldd", harness.BUILD / program], capture_output=True, text=True, check=False).stdout


NEEDS = {  # name: whether it is here, and what is said if not
    "valgrind": (tools("valgrind"), "valgrind is not installed"),
    "gcc": (tools("gcc"), "gcc is not installed"),
    "g++": (tools("g++"), "g++ is not installed"),
    "clang": (tools("clang"), "clang is not installed"),
    "clang++": (tools("clang++"), "clang++ is not installed"),
    "musl-gcc": (tools("musl-gcc"), "musl-tools are not installed"),
    "lld": (tools("ld.lld-14"), "lld is not installed"),
    "libc++": (lambda: links("clang++", "-stdlib=libc++"), "libc++-dev or libc++abi-dev is not installed"),
    "rustc": (tools("rustc"), "rustc is not installed"),
    "go": (lambda: shutil.which("go") and not harness.MACHINE, "Go is not installed"),
    "gdb": (tools("gdb", "gcore"), "gdb is not installed"),
    "binutils": (tools("readelf"), "binutils are not installed"),
    "perf": (tools("perf"), "perf is not installed"),
    "pkg-config": (tools("pkg-config"), "pkg-config is not installed"),
    "nginx": (tools("nginx"), "nginx is not installed"),
    "git": (tools("git"), "git is not installed"),
    "bash": (tools("bash"), "bash is not installed"),
    "node": (tools("node"), "nodejs is not installed"),
    "openssl": (tools("openssl"), "openssl is not installed"),
    "xz": (tools("xz"), "xz-utils are not installed"),
    "curl": (tools("curl"), "curl is not installed"),
    "ffmpeg": (tools("ffmpeg"), "ffmpeg is not installed"),
    "strace": (tools("strace"), "strace is not installed"),
    "stress-ng": (tools("stress-ng"), "stress-ng is not installed"),
    "glib's tests": (Path("/usr/share/installed-tests/glib").exists, "libglib2.0-tests is not installed"),
    "python's tests": (Path("/usr/lib/python3.11/test/test_context.py").exists, "libpython3.11-testsuite is not installed"),
    "zsh": (tools("zsh"), "zsh is not installed"),
    "fish": (tools("fish"), "fish is not installed"),
    "cross": (tools("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64"),
              "the compilers and the emulator of aarch64 are not installed"),
    "chromium": (tools("chromedriver", "chromium"), "chromium and chromium-driver are not installed"),
    "python3": (Path("/usr/bin/python3").exists, "Debian's Python is not installed"),
    "libasan.so": (lambda: runtime("libasan.so"), "AddressSanitizer's library is not installed"),
    "libubsan.so": (lambda: runtime("libubsan.so"), "UndefinedBehaviorSanitizer's library is not installed"),
    "libtsan.so": (lambda: runtime("libtsan.so"), "ThreadSanitizer's library is not installed"),
    "libjemalloc.so.2": (lambda: library("libjemalloc.so.2"), "libjemalloc2 is not installed"),
    "libtcmalloc.so.4": (lambda: library("libtcmalloc.so.4"), "libgoogle-perftools4 is not installed"),
    "libmpfr.so.6": (lambda: library("libmpfr.so.6"), "libmpfr6 is not installed"),
    "libuv.so.1": (lambda: library("libuv.so.1"), "libuv1 is not installed"),
    "libglib-2.0.so.0": (lambda: library("libglib-2.0.so.0"), "libglib2.0-0 is not installed"),
    "libgomp.so.1": (lambda: library("libgomp.so.1"), "libgomp1 is not installed"),
    "libevent-2.1.so.7": (lambda: library("libevent-2.1.so.7"), "libevent-2.1-7 is not installed"),
    "cthreadpool": (CTHREADPOOL.exists, "cthreadpool-dev is not installed"),
    "libdw": (lambda: is_linked("baton-discover", "libdw"), "baton-discover was built without libdw"),
    "Zydis": (lambda: is_linked("baton-discover", "libZydis"), "baton was built without Zydis, which reads code (libzydis-dev)"),
    "glibc 2.34": (lambda: libc_version() >= (2, 34), "the C library is older than 2.34, with a libpthread of its own"),
    "checkout": ((harness.ROOT / ".git").exists, "this is no checkout of git"),
    "fuzzers": (lambda: any((harness.ROOT / "build-fuzz").glob("fuzz_*")), "make fuzzers builds them"),
    "root": (lambda: os.geteuid() == 0, "only root can do what it needs"),
    "prlimit": (lambda: shutil.which("prlimit") and (os.geteuid() or shutil.which("setpriv")),
                "util-linux's prlimit and setpriv are not installed"),
    "setpriv": (lambda: os.geteuid() == 0 and shutil.which("setpriv"), "only root, with setpriv, can become another user"),
    "x86-64": (lambda: not harness.MACHINE and os.uname().machine == "x86_64", "it knows x86-64 only"),
    "this machine": (lambda: not harness.MACHINE, f"not for {harness.MACHINE}"),
}


def missing(names=(), programs=(), adapters=()):
    """The first thing that is not here, in words; None: all is."""
    for name in names:
        is_here, why = NEEDS[name]
        if not is_here():
            return why
    built = [harness.PROGRAMS / program for program in programs]
    built += [harness.BUILD / "adapters" / f"{adapter}.so" for adapter in adapters]
    return next((harness.not_built(path) for path in built if not path.exists()), None)


def marker_of(name):
    return "needs_" + re.sub(r"\W+", "_", name.replace("++", "xx"))


def is_known(names):
    unknown = [name for name in names if name not in NEEDS]
    assert not unknown, f"tests/lib/needs.py does not have {unknown}"


def needs(*names, programs=(), of=None):
    is_known(names)

    def mark(function):
        for name in names:
            function = getattr(pytest.mark, marker_of(name))(function)
        return pytest.mark.needs(*names, programs=tuple(programs), of=of)(function)
    return mark


def mark_case(item):
    """What this case of a test needs, by its parameters."""
    for marker in list(item.iter_markers("needs")):
        if marker.kwargs.get("of") and hasattr(item, "callspec"):
            of = marker.kwargs["of"]
            names = of(*(item.callspec.params[name] for name in inspect.signature(of).parameters))
            is_known(names)
            item.add_marker(pytest.mark.needs(*names))
            for name in names:
                item.add_marker(marker_of(name))


def require(*names, programs=(), adapters=(), of=None):  # `of`: mark_case has seen to it
    why = missing(names, programs, adapters)
    if why:
        harness.skip(why)


def unable(why):
    """It was tried here, and this machine refused: nothing that could be asked before."""
    harness.skip(f"tried here: {why}")
