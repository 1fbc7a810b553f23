"""thread_local objects of C++ and Rust: never as bytes, but by what knows their type."""
import os
import shutil
import subprocess
import tempfile

from harness import PROGRAMS, ROOT, carry, idle, plain, skip, test

COMPILERS = [path for path in ("/usr/bin/rustc", shutil.which("rustc")) if path and os.path.exists(path)]


def symbol(program, *parts):
    names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.split()
    found = [name for name in names if all(part in name for part in parts) and ("KEY" in name or "VAL" in name)]
    return found[0] if found else skip("this compiler leaves no name for it")


@test("D20: a thread_local of Rust with a Drop is refused, a plain number is carried", each=sorted(set(COMPILERS)) or ["rustc"])
def rust_drop(compiler):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        if not shutil.which(compiler) or subprocess.run(
                [compiler, "-O", "tests/programs/parts/rust_drop.rs", "-o", program], cwd=ROOT, capture_output=True).returncode:
            skip("needs rustc")
        name, number = (f"tls:{symbol(program, 'rust_drop', part)}" for part in ("4NAME", "6NUMBER"))
        plain(program).ok().says("thread sees 0\n", "main has a name that is too long for a word\n")
        result = carry(f"{name};{number}", program).ok().clean().slot_is(name, "refused").slot_is(number, "bound")
        result.says("thread sees 7\n", "main has a name that is too long for a word\n").never_says("thread sees 0")


CODEC = PROGRAMS / "typed_codec.so"
MAP, STRING = "tls:_ZZN3mdc11get_contextB5cxx11EvE7context", "tls:_Z4userB5cxx11"


def check(items):
    """What `baton check` says."""
    return subprocess.run([ROOT / "scripts" / "baton", "check", "--carry", items, PROGRAMS / "typed"],
                          capture_output=True, text=True).stdout


@test("D16: thread_local objects by a codec: tasks, threads, coroutines")
def codec():
    for run in (plain, idle):
        run("typed").wrong()
    map, string = f"{MAP},codec={CODEC}", f"{STRING},codec={CODEC}:text"
    result = carry(f"{map};{string}", "typed").ok().quiet().clean().carried("uv.work").carried("ucontext")
    result.slot_is(map, "bound").slot_is(string, "bound")
    assert check(f"{map};{string}").count(": found in") == 2


@test("D20: an object is refused without a codec, a codec without its functions or its file too", each=[
    (STRING, "codec="), (f"{STRING},codec={CODEC}:other", "lacks PREFIX_construct"),
    (f"tls:wrong_kind,codec={CODEC}", "no loaded module")])
def refused(item, reason):
    result = carry(item, "typed").wrong()
    assert reason in result.slot(item)["reason"], result.slot(item)


@test("G28: baton check refuses an object as the run does")
def check_agrees():
    assert "refused: a C++ object with a constructor or destructor: bytes cannot be shared" in check(STRING)
