"""The two public headers: strict compilers, every function explained, found by pkg-config after make install."""
import os
import re
import subprocess
import tempfile
from pathlib import Path

from compile import by_clang
from harness import BUILD, PROGRAMS, ROOT, Failure, run, test
from needs import needs, require

STANDARDS = ("c89", "c99", "c11", "c2x", "c++98", "c++11", "c++17", "c++20")


def command(*words, **how):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **how)
    if done.returncode or done.stderr:
        raise Failure(f"$ {' '.join(str(word) for word in words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


@test("baton.h and baton_adapter.h compile without a word, with fixed and with free addresses",
      each=[(header, standard, compiler) for header in ("baton.h", "baton_adapter.h") for standard in STANDARDS
            for compiler in ("gcc", "clang")], release=by_clang)
def strict(header, standard, compiler):
    language = "c++" if "+" in standard else "c"
    compiler = {"gcc c++": "g++", "clang c++": "clang++"}.get(f"{compiler} {language}", compiler)
    require(compiler)
    for place in ("-fpie", "-fno-pie"):
        command(compiler, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", place, "-fsyntax-only",
                f"-I{ROOT}/include", "-x", language, ROOT / "include" / header)


@test("baton.h says of every function what it does")
def explained():
    lines = (ROOT / "include" / "baton.h").read_text().splitlines()
    public = [(before, line) for before, line in zip(lines, lines[1:])
              if line.startswith("BATON_INTERNAL") and "baton_internal_" not in line]
    if len(public) < 20:
        raise Failure(f"only {len(public)} functions found")
    for before, line in public:
        if not before.rstrip().endswith("*/"):
            raise Failure(f"no comment: {line}")


@needs("pkg-config")
@test("make install: pkg-config finds header and library; a program and an adapter are built and run with what is installed",
      timeout=200)
def installed():
    with tempfile.TemporaryDirectory(prefix="baton-install-") as prefix:
        made = subprocess.run(["make", "-s", "-C", str(ROOT), "install", f"B={BUILD}", f"PREFIX={prefix}"],
                              capture_output=True, text=True)
        if made.returncode:
            raise Failure(made.stdout[-2000:] + made.stderr[-2000:])
        environment = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}

        def ask(*words):
            return command("pkg-config", *words, "baton", env=environment)
        version = re.search(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.M).group(1)
        if ask("--modversion") != version:
            raise Failure(f"pkg-config says version {ask('--modversion')}")
        flags, preload = ask("--cflags").split(), ask("--variable=preload")
        program, adapter = Path(prefix) / "program", Path(prefix) / "adapter.so"
        command("c++", "-pthread", *flags, ROOT / "tests/programs/contextvars_cxx.cc", "-o", program)
        command("c++", "-std=c++17", "-shared", "-fPIC", *flags, ROOT / "tests/programs/scope_adapter.so.cc", "-o", adapter)
        run(program, preload=False).says("outside 2 inside 0")
        run(program, preload=False, env={"LD_PRELOAD": preload}).ok().says("outside 1 inside 2")
        run(PROGRAMS / "scope_program", preload=False,
            env={"LD_PRELOAD": preload, "BATON_CARRY": f"adapter:{adapter}"}).ok().quiet()
        run(PROGRAMS / "adapter_mpfr", preload=False,
            env={"LD_PRELOAD": preload, "BATON_CARRY": "adapter:mpfr"}).ok().quiet()
