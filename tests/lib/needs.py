"""What tests need that a machine may not have: one table, and what is said where it is missing.

    @needs("valgrind")              above @test: it is skipped without, and has the marker needs_valgrind, so that
                                    pytest -m needs_valgrind runs what has it, and -m "not needs_valgrind" the rest
    @needs(programs=["plugin.so"])  needs programs of tests/programs, whose libraries need not be there either
    require("clang++")              in a test, where only some of its cases need it

pytest --markers lists them. What only shows when it is tried (rights, a kernel's abilities) is the test's own skip().
"""
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
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
    "rustc": (tools("rustc"), "rustc is not installed"),
    "go": (lambda: shutil.which("go") and not harness.MACHINE, "Go is not installed"),
    "gdb": (tools("gdb", "gcore"), "gdb is not installed"),
    "binutils": (tools("readelf"), "binutils are not installed"),
    "perf": (tools("perf"), "perf is not installed"),
    "pkg-config": (tools("pkg-config"), "pkg-config is not installed"),
    "nginx": (tools("nginx"), "nginx is not installed"),
    "zsh": (tools("zsh"), "zsh is not installed"),
    "fish": (tools("fish"), "fish is not installed"),
    "cross": (tools("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64"),
              "the compilers and the emulator of aarch64 are not installed"),
    "chromium": (tools("chromedriver", "chromium"), "chromium and chromium-driver are not installed"),
    "protobuf": (lambda: find_spec("google") and find_spec("google.protobuf"), "python3-protobuf is not installed"),
    "python3": (Path("/usr/bin/python3").exists, "Debian's Python is not installed"),
    "libasan.so": (lambda: runtime("libasan.so"), "AddressSanitizer's library is not installed"),
    "libubsan.so": (lambda: runtime("libubsan.so"), "UndefinedBehaviorSanitizer's library is not installed"),
    "libtsan.so": (lambda: runtime("libtsan.so"), "ThreadSanitizer's library is not installed"),
    "libjemalloc.so.2": (lambda: library("libjemalloc.so.2"), "libjemalloc2 is not installed"),
    "libtcmalloc.so.4": (lambda: library("libtcmalloc.so.4"), "libgoogle-perftools4 is not installed"),
    "cthreadpool": (CTHREADPOOL.exists, "cthreadpool-dev is not installed"),
    "libdw": (lambda: is_linked("baton-discover", "libdw"), "baton-discover was built without libdw"),
    "checkout": ((harness.ROOT / ".git").exists, "this is no checkout of git"),
    "fuzzers": (lambda: any((harness.ROOT / "build-fuzz").glob("fuzz_*")), "make fuzzers builds them"),
    "root": (lambda: os.geteuid() == 0, "only root can do what it needs"),
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
    return next((f"{path.name} was not built here" for path in built if not path.exists()), None)


def marker_of(name):
    return "needs_" + re.sub(r"\W+", "_", name.replace("++", "xx"))


def needs(*names, programs=()):
    unknown = [name for name in names if name not in NEEDS]
    assert not unknown, f"tests/lib/needs.py does not have {unknown}"

    def mark(function):
        for name in names:
            function = getattr(pytest.mark, marker_of(name))(function)
        return pytest.mark.needs(*names, programs=tuple(programs))(function)
    return mark


def require(*names, programs=(), adapters=()):
    why = missing(names, programs, adapters)
    if why:
        harness.skip(why)
