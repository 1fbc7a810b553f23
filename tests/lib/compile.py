"""What several tests use and one of them makes: programs built in many ways, the installation."""
import fcntl
import hashlib
import os
import shutil

import harness
import patience
from needs import NEEDS, require

SOURCES = harness.ROOT / "tests" / "programs" / "parts"
PLACE = harness.BUILD / "tests" / "compiled"


def not_o2(*case):
    """Of a matrix of compilers and levels: what only .ci/run has. Every run has -O2 of each compiler."""
    return "-O2" not in case


def by_clang(*case):
    """Of a matrix of compilers and whatever else: what only .ci/run has. Every run has gcc's."""
    return any(str(word).startswith("clang") for word in case)


def compiled(name, *words, compiler="cc"):
    """The path of what `compiler WORDS -o NAME` makes; built once, and again when a source is newer.
    A word that names a file in tests/programs/parts is that file."""
    if harness.MACHINE:
        compiler = {"cc": "gcc", "c++": "g++"}.get(compiler, compiler)
        if compiler not in ("gcc", "g++"):
            harness.skip(f"{compiler} is not there for {harness.MACHINE}")
        compiler = f"{harness.MACHINE}-linux-gnu-{compiler}"
    if compiler in NEEDS:
        require(compiler)
    elif not shutil.which(compiler):
        harness.skip(f"{compiler} is not installed")
    command = [compiler, "-Wall", "-g1", "-pthread", "-I", str(SOURCES)]
    newest = 0
    for word in words:
        source = SOURCES / str(word)
        command.append(str(source) if source.is_file() else str(word))
        for file in (source, harness.Path(str(word))):
            if file.is_file():
                newest = max(newest, file.stat().st_mtime)
    if "-c" not in words:
        command += ["-Wl,--as-needed", "-ldl", "-lrt"]  # parts of the C library of their own before glibc 2.34
    folder = PLACE / hashlib.sha1(" ".join(command).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists() or target.stat().st_mtime < newest:
            made = patience.call(command + ["-o", target], limit=120, env={**os.environ, "LC_ALL": "C"})
            if made.returncode:
                raise harness.Failure(f"$ {' '.join(command)} -o {target}\n{made.stderr}")
    return target


def installed():
    """Where `make install` has put everything, below usr/local; nobody may change it. Made once, and again when
    something that it takes is newer."""
    place, made = PLACE.parent / "installed", PLACE.parent / "installed.made"
    files = [harness.ROOT / "Makefile", *harness.BUILD.glob("*"), *harness.BUILD.glob("adapters/*"), *harness.BUILD.glob("codecs/*")]
    for folder in ("include", "scripts", "shim/userhooks"):
        files += (harness.ROOT / folder).rglob("*")
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{made}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or made.stat().st_mtime < newest:
            shutil.rmtree(place, ignore_errors=True)
            done = patience.call(["make", "-s", "-C", harness.ROOT, "install", f"B={harness.BUILD}", f"DESTDIR={place}",
                                  "PREFIX=/usr/local"], limit=120)
            if done.returncode:
                raise harness.Failure(f"make install failed:\n{done.stdout}{done.stderr}")
            made.touch()
    return place
