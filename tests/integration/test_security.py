"""SECURITY.md: its tests exist; what is looked at is not executed; the fuzzers' first inputs do no harm."""
import os
import re
import subprocess
import tempfile
import unicodedata
from pathlib import Path

from harness import BUILD, ROOT, Failure, call, plain, this_machine_only, test
from needs import needs


@test("SECURITY.md names tests that there are")
def named_tests_exist():
    named = re.findall(r"`(\w+)\.(\w+)`", (ROOT / "SECURITY.md").read_text().split("## What is promised")[1])
    if len(named) < 15:
        raise Failure("the table of promises is not found")
    for room, name in named:
        if room == "unit":
            found = (ROOT / "tests" / "unit" / f"{name}.c").is_file()
        else:
            file = ROOT / "tests" / "integration" / f"test_{room}.py"
            found = file.is_file() and re.search(rf"^def {name}\(", file.read_text(), re.M)
        if not found:
            raise Failure(f"{room}.{name} is in SECURITY.md and nowhere else")


@needs("gcc")
@test("baton check executes nothing of the file: neither the loader that it names nor itself")
def nothing_is_executed():
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        loader, mark = Path(folder) / "loader", Path(folder) / "mark"
        loader.write_text(f"#!/bin/sh\ntouch {mark}\n")
        os.chmod(loader, 0o755)
        source = Path(folder) / "program.c"
        source.write_text("int main(void) { return 0; }\n")
        program = Path(folder) / "program"
        subprocess.run(["gcc", str(source), "-o", str(program), f"-Wl,--dynamic-linker={loader}"], check=True)
        after = plain(BUILD / "baton-plan", "check", program, env={"BATON_CARRY": "key:x"})
        if mark.exists():
            after.fail("the loader that the file names was run")
        after.complains(str(loader))


@needs("gcc")
@test("what baton check says of names in a file has no control characters, and they make no lines", each=("\x1b", "\x7f", "\n", "\x01", "\n\x01", "\u202e"))
def names_are_shown_clean(bad):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "program.c", Path(folder) / "program"
        source.write_text("__thread int request_ZZZnumber; int job_ZZZpost(void) { return request_ZZZnumber; }\nint main(void) { return job_ZZZpost(); }\n")
        subprocess.run(["gcc", str(source), "-o", str(program)], check=True)
        program.write_bytes(program.read_bytes().replace(b"_ZZZ", b"_" + bad.encode().ljust(3, b"_")))
        after = plain(BUILD / "baton-plan", "check", program,
                      env={"BATON_CARRY": "tls:request_number", "BATON_HOOKS": "job_post(kind=call,fn=1,arg=2);*job*post(kind=submit,obj=1)"})
        shown = "".join(f"\\x{byte:02x}" for byte in bad.encode()) + "_" * (3 - len(bad.encode()))
        after.says(f"request_{shown}number in program")
        for line in (after.out + after.err).splitlines():
            if any(unicodedata.category(character) in ("Cc", "Cf") for character in line) or line.startswith(("number", "__number", "post")):
                after.fail("a name is obeyed")


@needs("fuzzers")
@test("the fuzzers end well on the inputs that they begin with", timeout=300)
def fuzzers_pass_their_corpus():
    fuzzers = sorted((ROOT / "build-fuzz").glob("fuzz_*"))
    fuzzers = [path for path in fuzzers if os.access(path, os.X_OK) and not path.suffix]
    for fuzzer in fuzzers:
        corpus = ROOT / "tests" / "fuzz" / "corpus" / fuzzer.name.removeprefix("fuzz_")
        inputs = sorted(str(path) for path in corpus.iterdir())
        done = call([fuzzer, *inputs], limit=250)
        if done.returncode:
            raise Failure(f"{fuzzer.name}: {done.stderr[-2000:]}")
