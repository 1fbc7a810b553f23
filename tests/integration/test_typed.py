"""thread_local objects of C++ and Rust: never as bytes, but by what knows their type."""
import os
import shutil
import subprocess
import tempfile

from compile import compiled
from harness import BUILD, PROGRAMS, ROOT, call, carry, find_program, idle, plain, test
from needs import needs, unable

COMPILERS = [path for path in ("/usr/bin/rustc", shutil.which("rustc")) if path and os.path.exists(path)]


def symbol(program, *parts):
    names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.split()
    found = [name for name in names if all(part in name for part in parts) and ("KEY" in name or "VAL" in name)]
    return found[0] if found else unable("this compiler leaves no name for it")


@needs("rustc")
@test("D20: a thread_local of Rust with a Drop is refused, a plain number is carried, one that might have is by force", each=sorted(set(COMPILERS)) or ["rustc"])
def rust_drop(compiler):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        call([compiler, "-O", "tests/programs/parts/rust_drop.rs", "-o", program], cwd=ROOT, check=True)
        name, number = (f"tls:{symbol(program, 'rust_drop', part)}" for part in ("4NAME", "6NUMBER"))
        plain(program).ok().says("thread sees 0\n", "main has a name that is too long for a word\n")
        short = "tls:*rust_drop*6NUMBER*", "tls:*rust_drop*4NAME*"
        carry(short[0], program).ok().clean().slot_is(short[0], "bound").says("thread sees 7\n")
        carry(short[1], program).slot_is(short[1], "refused")
        both = carry("tls:*rust_drop*", program).slot("tls:*rust_drop*")["reason"]
        as_in = both.partition("several variables have such a name: give more of it, as in ")[2]
        assert as_in and as_in in subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.split(), both
        assert both in check("tls:*rust_drop*", program) and ": found in" in check(short[0], program)
        result = carry(f"{name};{number}", program).ok().clean().slot_is(name, "refused").slot_is(number, "bound")
        later = "tls:*rust_drop*5LATER*"  # a number beside a state, which might have a Drop
        assert "may have a Drop" in carry(later, program).slot_is(later, "refused").slot(later)["reason"]
        carry(f"{later};{short[0]}", program, env={"BATON_FORCE": "on"}).ok().clean().says("thread sees 807\n")
        result.says("thread sees 7\n", "main has a name that is too long for a word\n").never_says("thread sees 0")


@needs("rustc")
@test("D20: a file descriptor of Rust that may be missing is refused, wherever it lies; numbers beside it are not",
      each=sorted(set(COMPILERS)) or ["rustc"])
def rust_descriptor(compiler, tmp_path):
    program = tmp_path / "program"
    made = call([compiler, "-O", "tests/programs/parts/rust_descriptor.rs", "-o", program], cwd=ROOT)
    if made.returncode:
        unable("this standard library has no OwnedFd")
    items = {part: f"tls:*rust_descriptor*{part}*VAL*" for part in ("6LENDER", "5COUNT", "7NEITHER")}
    after = carry(";".join(items.values()), program).ok().says("thread owns Some")
    assert "may have a Drop" in after.slot_is(items["6LENDER"], "refused").slot(items["6LENDER"])["reason"]
    after.slot_is(items["5COUNT"], "bound").slot_is(items["7NEITHER"], "bound").says("thread sees 7 18446744073709551615\n")
    assert "may have a Drop" in check(items["6LENDER"], program) and ": found in" in check(items["5COUNT"], program)


RUST_SHAPES = """
.section .tbss, "awT", %nobits
.balign 8
.zero 4
.macro variable name
.globl \\name
.type \\name, %tls_object
.size \\name, 8
\\name: .zero 8
.endm
variable _ZN1t4LATE23__RUST_STD_INTERNAL_VAL17h0123456789abcdefE
.balign 8
variable _ZN1t4WORD23__RUST_STD_INTERNAL_VAL17h0123456789abcdefE
.section .note.GNU-stack, "", %progbits
"""


@needs("gcc")
@test("D20: eight bytes of Rust that do not lie as a word does are four and a state, and refused; a word is not")
def rust_four_and_state(tmp_path):
    (tmp_path / "a.s").write_text(RUST_SHAPES)
    (tmp_path / "b.c").write_text("int main(void) { return 0; }")
    call(["gcc", tmp_path / "a.s", tmp_path / "b.c", "-o", tmp_path / "program"], check=True)
    result = carry("tls:*4LATE*;tls:*4WORD*", tmp_path / "program").ok()
    assert "may have a Drop" in result.slot_is("tls:*4LATE*", "refused").slot("tls:*4LATE*")["reason"]
    result.slot_is("tls:*4WORD*", "bound")


CODEC = PROGRAMS / "typed_codec.so"
MAP, STRING, OBJECT = "tls:_ZZN3mdc11get_contextB5cxx11EvE7context", "tls:_Z4userB5cxx11", "tls:_ZL7current"
KNOWN = {"typed": (MAP, STRING, OBJECT), "typed_libcxx": ("tls:_ZZN3mdc11get_contextEvE7context", "tls:user", "tls:current")}


def known(program):
    return [f"{name},codec={codec}" for name, codec in zip(KNOWN[program], ("map-string-string", "string", "shared_ptr"))]




def check(items, program="typed"):
    """What `baton check` says."""
    return subprocess.run([ROOT / "scripts" / "baton", "check", "--carry", items, PROGRAMS / program],
                          capture_output=True, text=True).stdout


@test("D16: thread_local objects by a codec: tasks, threads, coroutines")
def codec():
    for run in (plain, idle):
        run("typed").wrong()
    map, string = f"{MAP},codec={CODEC}", f"{STRING},codec={CODEC}:text"
    result = carry(f"{map};{string};{OBJECT},codec=shared_ptr", "typed").ok().quiet().clean().carried("uv.work").carried("ucontext")
    result.slot_is(map, "bound").slot_is(string, "bound")
    assert check(f"{map};{string}").count(": found in") == 2


@test("D16: string, shared_ptr and map of both standard libraries need no codec file; no memory, a thread's last destructors",
      each=[(program, mode) for program in KNOWN for mode in ("", "ends", "memory")])
def known_types(program, mode):
    words = [mode] if mode else []
    plain(program, *words).wrong()
    items = known(program)
    result = carry(";".join(items), program, *words).ok().quiet().clean()
    for item in items:
        result.slot_is(item, "bound")
    if mode == "memory":
        assert result.slot(items[1])["failures"] == 2, result.slot(items[1])
    assert check(";".join(items), program).count(": found in") == 3


@needs("valgrind")
@test("D16: with them valgrind has nothing to say", each=[(program, mode) for program in KNOWN for mode in ("", "ends")])
def known_types_valgrind(program, mode):
    carry(";".join(known(program)), "valgrind", "-q", "--error-exitcode=9", "--show-mismatched-frees=no", "--leak-check=full",
          "--errors-for-leak-kinds=definite", find_program(program), *[mode] if mode else [], timeout=60).ok().clean()


@test("D20: a standard type of another size, of the older kind, or of a library that nobody can see is refused, by check too", each=[
    ("typed", f"{STRING},codec=shared_ptr", "of another size"), ("typed", f"{MAP},codec=string", "of another size"),
    ("typed_old", "tls:saved,codec=map-string-string", "the older std::string"),
    ("typed_static", "tls:_Z5savedB5cxx11,codec=map-string-string", "linked to neither")])
def known_refused(program, item, reason):
    assert reason in carry(item, program).slot(item)["reason"]
    assert f"refused: " in check(item, program) and reason in check(item, program)


@test("D20: an object is refused without a codec, a codec without its functions or its file too", each=[
    (STRING, "codec="), (f"{STRING},codec={CODEC}:other", "lacks PREFIX_construct"),
    (f"{STRING},codec={CODEC}", "of another size"), (f"tls:wrong_kind,codec={CODEC}", "no loaded module")])
def refused(item, reason):
    result = carry(item, "typed").wrong()
    assert reason in result.slot(item)["reason"], result.slot(item)
    assert reason in check(item) or reason == "no loaded module" and "not found" in check(item), check(item)


@test("G28: baton check refuses an object as the run does")
def check_agrees():
    assert "refused: a C++ object with a constructor or destructor: bytes cannot be shared" in check(STRING)


@test("D20: the compiler's guard of a variable is refused, by the name of what it guards; by check too, which suggests none")
def guards():
    names = subprocess.run(["nm", PROGRAMS / "typed"], capture_output=True, text=True).stdout.split()
    guard = next(name for name in names if name.startswith("_ZGVZN3mdc"))
    reason = f"the compiler's guard, which says whether _Z{guard[4:]} is constructed"
    assert carry(f"tls:{guard}", "typed").slot(f"tls:{guard}")["reason"] == reason
    assert reason in check(f"tls:{guard}"), check(f"tls:{guard}")
    assert "_ZGV" not in check("tls:contex"), check("tls:contex")


OPENTELEMETRY = "tls:_ZZN13opentelemetry2v17context25ThreadLocalContextStorage8GetStackEvE6stack_,codec="


@needs("valgrind")
@test("D16: with OpenTelemetry's stack of contexts valgrind has nothing to say")
def opentelemetry_valgrind():
    carry(f"{OPENTELEMETRY}{BUILD}/codecs/opentelemetry.so", "valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
          "--errors-for-leak-kinds=definite", find_program("known_opentelemetry"), timeout=60).ok().clean()


@test("D16: where OpenTelemetry's contexts are std::shared_ptr, auto leaves them, its codec copies none and says so, and carries "
      "them when built with the program's headers")
def opentelemetry_standard():
    words = ("-std=c++17", "-O2", "-DOPENTELEMETRY_STL_VERSION=2017")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "glib-2.0"], capture_output=True, text=True).stdout.split()
    program = compiled("opentelemetry", *words, ROOT / "tests/programs/known_opentelemetry.cc", *flags, compiler="c++")
    plain(program).wrong()
    carry("auto", program).wrong()
    after = carry(f"{OPENTELEMETRY}{BUILD}/codecs/opentelemetry.so", program).wrong().clean()
    failures = after.slot(f"{OPENTELEMETRY}{BUILD}/codecs/opentelemetry.so")["failures"]
    assert failures > 10, failures
    own = compiled("own.so", *words, "-DOPENTELEMETRY_HEADERS", "-shared", "-fPIC", "-I", ROOT / "include",
                   ROOT / "shim/adapters/codecs/opentelemetry.cc", compiler="c++")
    carry(f"{OPENTELEMETRY}{own}", program).ok().quiet().clean()


@test("a codec whose library is here by halves, headers and nothing to link with, is left out: the build goes on")
def left_out():
    with tempfile.TemporaryDirectory() as folder:
        halves = os.path.join(folder, "clang++")
        with open(halves, "w") as file:
            file.write('#!/bin/sh\ncase " $* " in *" -E "*|*" --version "*) exit 0 ;; esac\necho cannot find -lc++abi >&2\nexit 1\n')
        os.chmod(halves, 0o755)
        codec = f"{folder}/build/codecs/libc++.so"
        made = plain("make", "-s", "-C", ROOT, f"B={folder}/build", codec, env={"PATH": f"{folder}:{os.environ['PATH']}"}).ok()
        made.says("LEFT", "codecs/libc++.so (not here to build with)")
        assert os.listdir(f"{folder}/build/codecs") == [], os.listdir(f"{folder}/build/codecs")
