"""The examples of the documents, as they stand there: typed by a user, they do what is said."""
import ast
import contextlib
import os
import re
import tempfile
from pathlib import Path

from harness import BUILD, ROOT, Failure, idle, plain, test
from needs import needs, require

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "scripts/man").glob("*.md")), ROOT / "tests/RULES.md"]
README = (ROOT / "README.md").read_text() + (ROOT / "scripts/man/guide.md").read_text()


@contextlib.contextmanager
def checkout():
    """A folder in which the README's commands find what a user has there, and may leave what they make."""
    require("this machine")
    with tempfile.TemporaryDirectory(prefix="baton-documents-") as folder:
        for name in ("Makefile", "include", "scripts", "shim", "tests"):
            os.symlink(ROOT / name, Path(folder, name))
        os.symlink(BUILD, Path(folder, "build"))
        yield folder


def shell(command, folder):
    """As typed after `$`, with an installed launcher."""
    return plain("sh", "-c", command, cwd=folder, timeout=60,
                 env={"PATH": f"{ROOT / 'scripts'}:{os.environ['PATH']}"})


def blocks(kind, word):
    found = [text for text in re.findall(rf"^```{kind}\n(.*?)^```", README, re.M | re.S) if word in text]
    if not found:
        raise AssertionError(f"the README has no {kind} block with {word}")
    return found


def same(said, shown, is_baton):
    """What differs from run to run: processes, folders, and the numbers of who does not carry."""
    pattern = re.escape(shown)
    pattern = re.sub(r"/home/me/baton/build/\S+/(\w+)\\ \\\(pid\\ \d+", r"\\S+/\1\\ \\(pid\\ \\d+", pattern)
    if not is_baton:
        pattern = re.sub(r"(\\ )*\d+", r" *\\d+", pattern)
    return re.fullmatch(pattern, said)


@needs(programs=["web_request"])
@test("the README's examples print what stands there", each=("stitched", "counts.json", "thpool"))
def readme(word):
    if word == "thpool":
        require("cthreadpool")
    with checkout() as folder:
        for block in blocks("console", word):
            for command, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", block, re.M):
                result = shell(command, folder)
                if not same(result.out + result.err, shown, "baton " in command):
                    result.fail(f"the README says\n{shown}")


@needs(programs=["scope_program"])
@test("the README's adapter is built and carries")
def readme_adapter():
    with checkout() as folder:
        plain("scope_program").wrong()
        for block in blocks("sh", "scope_adapter"):
            shell(f"set -e\n{block}", folder).ok().says("RIGHT")


@test("the configuration file of baton(7) is read without complaint")
def manual_configuration():
    page = (ROOT / "scripts" / "man" / "baton.7.in").read_text()
    example = page[page.index(".SS Configuration file"):]
    text = re.search(r"^\.EX\n(.*?)^\.EE", example, re.M | re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "baton.conf")
        path.write_text(text.replace("\\-", "-"))
        idle("empty_slot", "key", env={"BATON_CONFIG": path, "BATON_STRICT": "on"}).quiet()


def anchors(page):
    """What GitHub calls the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@test("every link of the documents leads to a file that is there, and to a heading in it")
def links():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "code", page.read_text())):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                raise AssertionError(f"{page.name}: {target} is not there")
            if anchor and anchor not in anchors(file):
                raise AssertionError(f"{page.name}: {target}: no such heading")


@needs("checkout")
@test("the top level holds what it should, and the README is short")
def top_level():
    tracked = plain("git", "-C", ROOT, "ls-files", env={"PATH": os.environ["PATH"]}).out.split()
    there = {name.partition("/")[0] for name in tracked}
    allowed = {"shim", "include", "tests", "scripts", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "HACKING.md",
               "SECURITY.md"}
    others = {name for name in there - allowed if not name.startswith(".")}
    if others:
        raise AssertionError(f"at the top level: {others}")
    lines = len((ROOT / "README.md").read_text().splitlines())
    if lines >= 200:
        raise AssertionError(f"the README has {lines} lines")


@test("files that comments of the library name are there")
def files_in_comments():
    names = {path.name for folder in ("shim", "include", "scripts", "tests") for path in (ROOT / folder).rglob("*.*")}
    for path in sorted((ROOT / "shim").rglob("*.[ch]")):
        for comment in re.findall(r"/\*.*?\*/", path.read_text(), re.S):
            for name in re.findall(r"(?:see|See) ([a-z_0-9]+\.[ch])\b", comment):
                if name not in names:
                    raise AssertionError(f"{path.relative_to(ROOT)}: see {name}: there is no such file")


@test("what a machine lacks is in one table: no test skips itself but by tests/lib/needs.py")
def skips_are_in_one_table():
    skipping = re.compile(r"\bskip(?:if|unless)?\(|import .*\bskip\b|importorskip")
    found = [f"{path.name}: {line.strip()}" for path in sorted((ROOT / "tests/integration").glob("*.py"))
             for line in path.read_text().splitlines() if skipping.search(line) and "skipping = " not in line]
    if found:
        raise Failure("\n".join(found))


@test("no test waits by a limit of its own: limits grow with the machine's load (patience.py)")
def limits_grow():
    waits = {"run", "check_output", "check_call", "call", "communicate", "wait", "urlopen", "create_connection"}
    found, seen = [], 0
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and "python3" in path.read_text()[:30]]
    for path in sorted([*(ROOT / "tests").rglob("*.py"), *scripts]):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in waits:
                continue
            seen += 1
            owner = getattr(node.func.value, "id", "")
            if node.func.attr in ("run", "call") and owner != "subprocess":
                continue
            has_limit = node.func.attr == "wait" and node.args or any(
                word.arg == "timeout" and getattr(word.value, "id", "") != "CONNECTION_S" for word in node.keywords)
            if has_limit and owner != "patience" and path.name not in ("patience.py", "stages"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    for path in (ROOT / "tests/programs").glob("*.c*"):
        for word in re.findall(r"\balarm\((\d+)\)", path.read_text()):
            if 0 < int(word) < 600:
                found.append(f"{path.name}: alarm({word})")
    if found or seen < 50:
        raise Failure(f"limits that do not grow: {' '.join(found) or 'no call was found'}")


@test("make bench-check T=NAME counts the rows that have NAME in their names, and refuses one that none has")
def picks_budgets():
    require("this machine")
    words = "import sys; sys.path.insert(0, 'tests/bench'); import check, instr; every = instr.load_budgets(); " \
            "some = check.pick(every, 'START of'); print(some['startup'] == every['startup'], some['rows'])"
    plain("python3", "-B", "-c", words, cwd=ROOT).ok().says("True []")
    plain("python3", "-B", "tests/bench/check.py", "--only", "no such row", cwd=ROOT).exits(2).says("no budget has")
