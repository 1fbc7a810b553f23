"""What comes from the table of options: completion and the manual."""
import os
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import BUILD, ROOT, idle, plain, test
from needs import require
from test_launcher import BATON, baton, expect

GEN_DOCS = str(ROOT / "scripts" / "gen-docs")


def completion(shell, folder):
    text = plain(GEN_DOCS, "--completion", shell).ok().quiet().out
    path = Path(folder, f"baton.{shell}")
    path.write_text(text)
    return path


def bash_completes(path, *words):
    script = (f"source {path}; COMP_WORDS=(baton {' '.join(words)!s}); "
              f"COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _baton; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return plain("bash", "-c", script, env={"PATH": f"{ROOT / 'scripts'}:/usr/bin:/bin"}).ok().quiet().out.splitlines()


@test("bash completes commands, options, and what an option takes")
def completes_in_bash():
    with tempfile.TemporaryDirectory() as folder:
        path = completion("bash", folder)
        expect({"run", "check", "report"} <= set(bash_completes(path, '""')), "the commands")
        expect("--carry" in bash_completes(path, "run", "--ca"), "an option")
        expect("--now" not in bash_completes(path, "run", "--"), "another command's option")
        expect("tls:" in bash_completes(path, "run", "--carry", "t"), "an item")
        expect("/etc/passwd" in bash_completes(path, "report", "/etc/passw"), "a file")
        expect("timeout" in bash_completes(path, "run", "timeou"), "a program")


@test("zsh and fish read their completion, and offer what an option means", each=("zsh", "fish"))
def other_shells(shell):
    require(shell)
    with tempfile.TemporaryDirectory() as folder:
        path = completion(shell, folder)
        plain(shell, "-n", path).ok().quiet()
        if shell == "fish":
            said = plain("fish", "-c", f"source {path}; complete -C 'baton run --ver'", env={"HOME": folder}).ok()
            said.says("--verdict", "saw their submitter's values")


@test("every command and option is in the manual; what DIAGNOSTICS says is what baton says")
def manual_is_whole():
    page = plain(GEN_DOCS, "--man", "baton.1").ok().quiet().out
    for command in re.findall(r"^COMMAND\((\w+)", (ROOT / "scripts/cli/options.def").read_text(), re.M):
        expect(f".SS baton {command}\n" in page, f"{command} is not in the manual")
        help_text = baton(command, "--help").ok().quiet().out
        expect(max(map(len, help_text.splitlines())) <= 80, f"baton {command} --help is wider than 80")
        for option in re.findall(r"^  (--[a-z-]+)", help_text, re.M):
            expect(option == "--help" or option.replace("-", "\\-") in page, f"{option} is not in the manual")
    sources = "".join(path.read_text() for folder in ("scripts/cli", "scripts/plan", "shim/slots")
                      for path in (ROOT / folder).glob("*.c"))
    sources = re.sub(r'"\s*\n\s*"', "", sources)
    said = re.findall(r'^DIAGNOSTIC\("([^"]*)"', (ROOT / "scripts/cli/manual.def").read_text(), re.M)
    expect(len(said) > 8, "no DIAGNOSTICS")
    for text in said:
        words = re.split(r"\b(?:ITEM|N tasks|PROGRAM|FILE)\b", text.replace("NOTHING CARRIED: ITEM", "ITEM"))
        for fixed in words:
            expect(fixed.strip() in sources, f"nothing says {fixed.strip()!r}")


@test("every page of the manual is there, and is roff without a mistake")
def pages():
    sources = sorted((ROOT / "scripts/man").glob("*.in"))
    expect({"baton.1.in", "baton.7.in", "baton-hooks.7.in"} <= {source.name for source in sources}, "a page is missing")
    for source in sources:
        page = plain(GEN_DOCS, "--man", source.stem).ok().quiet().out
        expect(not re.search("@[A-Z]+@", page), f"{source.name}: a table that is not there")
        if shutil.which("groff"):
            checked = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True)
            expect(checked.returncode == 0 and not checked.stderr, checked.stderr)


def grammar_of_hooks():
    """-> (kinds, options) as shim/userhooks/spec.c reads them."""
    source = re.sub(r'"\s*\n\s*"', "", (ROOT / "shim/userhooks/spec.c").read_text())
    kinds = re.search(r'kinds_expected\[\] =\s*"([^"]*)"', source).group(1)
    options = re.search(r'"(kind, fn, [^"]*)"', source).group(1)
    return (set(re.split(r", | or ", text)) for text in (kinds, options))


@test("baton-hooks(7) names every kind and option that the grammar has, with examples that are read without complaint")
def hooks_page_is_whole():
    page = (ROOT / "scripts/man/baton-hooks.7.in").read_text()
    blocks = re.findall(r"^\.EX\n(.*?)^\.EE", page, re.M | re.S)
    kinds, options = grammar_of_hooks()
    expect(len(kinds) > 10 and len(options) > 20, "the grammar is read from spec.c")
    used = {word.partition("=")[0] for block in blocks for row in block.splitlines()
            for word in row[row.rindex("(") + 1:-1].split(",")}
    text = re.sub(r"\\f.", "", page)
    for kind in kinds:
        expect(f"kind={kind}" in text, f"kind={kind} is not in the page")
        expect(any(f"(kind={kind}," in block for block in blocks), f"kind={kind} has no example")
    for option in options:
        expect(re.search(rf"^\.B\w*.*\b{option}\b", text, re.M), f"{option} is not in the page")
        expect(option in used, f"{option} is in no example")
    for block in blocks:
        items = ";".join(block.split("\n")).strip(";")
        idle("empty_slot", "key", env={"BATON_HOOKS": items, "BATON_STRICT": "on"}).quiet()


def processor_ms(*words, **env):
    """The least of some runs, of the program and what it started."""
    best = None
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, env={**os.environ, **env}, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000
        best = spent if best is None else min(best, spent)
    return best


@test("the launcher costs at most 10 ms of processor time, also when auto chooses, over the library alone", timeout=120)
def starts_quickly():
    library = str(BUILD / "libbaton.so")
    alone = processor_ms("/bin/true", LD_PRELOAD=library, BATON_CARRY="auto")
    for words in (("--carry", "key:nobody"), ("--auto",)):
        spent = processor_ms(BUILD / "baton-cli", "run", "--no-verdict", *words, "--", "/bin/true") - alone
        expect(spent <= 10, f"{words}: {spent:.1f} ms")
