"""The cookbook: what is typed there is run, what is a file there is used as such."""
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from compile import compiled, installed
from harness import BUILD, PROGRAMS, ROOT, Failure, plain, run, test
from needs import missing, needs, require
from test_documents import checkout

PAGE = ROOT / "scripts" / "man" / "baton-cookbook.7.md"
THPOOL = "/usr/share/cthreadpool/thpool.c"
# What the page's programs are here.
TOOLS = {"gdb": "gdb", "strace": "strace", "perf": "perf", "nm": "binutils"}
STANDS_FOR = {"server": "web_request", "logger": "adapter_log4cplus", "solver": "adapter_mpfr", "viewer": "preset_qt5",
              "client": "preset_grpc"}


def blocks(kind):
    """The blocks of one language, each with the heading that it stands under."""
    found, head = [], ""
    for match in re.finditer(r"^## ([^\n]*)$|^```(\w+)\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        head = match.group(1) or head
        if match.group(2) == kind:
            found.append((head, match.group(3)))
    return found


def commands():
    """(heading, command, what it prints) of each line that is typed."""
    return [(head, command, shown) for head, block in blocks("console")
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M)]


def make_programs(folder):
    for name, program in STANDS_FOR.items():
        if (PROGRAMS / program).exists():
            shutil.copy(PROGRAMS / program, Path(folder, name))
            os.symlink(PROGRAMS / program, Path(folder, program))
    if Path(THPOOL).exists():
        shutil.copy(compiled("thpool", "-O2", "-I/usr/include/cthreadpool", "hooks_thpool.c", THPOOL), Path(folder, "indexer"))
    shutil.copy(Path(folder, "server"), Path(folder, "stripped"))
    subprocess.run(["strip", Path(folder, "stripped")], check=True)


def pattern_of(shown):
    """What stands below a command: `...` is whatever comes there, names of programs are those here."""
    lines = []
    for line in shown.splitlines():
        lines.append("(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + "\n")
    text = "".join(lines)
    return text.replace("web_request", "(?:web_request|server)")


def type_commands(heading, are_long):
    """Those that take several seconds, or the others."""
    require(programs=["web_request"])
    with checkout() as folder:
        make_programs(folder)
        ran, lacking = 0, ()
        for head, command, shown in commands():
            if head != heading or ("ffmpeg" in command) != are_long:
                continue
            words = shlex.split(command)
            tool = next((word for word in words if word in TOOLS), None)
            needed = [TOOLS.get(word, word) for word in words if word in (*TOOLS, "nginx", "curl", "ffmpeg")]
            needed += ["cthreadpool"] * ("./indexer" in words)
            programs = [STANDS_FOR[word[2:]] for word in words if word[2:] in STANDS_FOR and word.startswith("./")]
            found = re.fullmatch(r"cat (\S+\.found)", command)
            if missing(needed, programs) or found and not Path(folder, found[1]).exists():
                lacking = lacking or (needed, programs)
                continue
            result = plain("sh", "-c", command, cwd=folder, timeout=60,
                           env={"PATH": f"{ROOT / 'scripts'}:{os.environ['PATH']}", "XDG_CONFIG_HOME": folder})
            ran += 1
            if tool in ("strace", "perf") and result.code and re.search("ermission|ermitted|upported", result.err):
                continue  # not allowed here
            if result.code and "./" in command and "baton check" not in command and not tool:
                result.exits(0)
            if not re.fullmatch(pattern_of(shown), result.out + result.err):
                result.fail(f"the cookbook says\n{shown}")
        if not ran:
            require(*lacking[0], programs=lacking[1])
            raise Failure("nothing of this could be typed")


@test("cookbook: every command that is typed does what stands below it", each=sorted({head for head, _, _ in commands()}))
def typed(heading):
    type_commands(heading, False)


@test("cookbook: and those that take several seconds", release=True)
def typed_long():
    type_commands("What baton discover says", True)


@needs("binutils")
@test("cookbook: the commands that ask for rights do what they are for: the package of debug symbols has the name found")
def typed_with_rights():
    ran = {}
    for _, block in blocks("sh"):
        with tempfile.TemporaryDirectory() as folder:
            server, debug = Path(folder, "server"), Path(folder, "server.debug")
            shutil.copy(PROGRAMS / "web_request", server)
            for words in (("objcopy", "--only-keep-debug", server, debug), ("strip", server),
                          ("objcopy", f"--add-gnu-debuglink={debug}", server)):
                subprocess.run(words, check=True)
            debug.rename(Path(folder, "package"))
            # The package manager puts a file in its place; bpftrace is looked at in test_stacks.py.
            for name, text in (("sudo", 'exec "$@"'), ("bpftrace", '[ "$1" = -e ] && [ $# = 2 ]'),
                               ("apt-get", f'[ "$*" = "install server-dbgsym" ] && cp {folder}/package {debug}')):
                Path(folder, name).write_text(f"#!/bin/sh\n{text}\n")
                Path(folder, name).chmod(0o755)
            env = {"PATH": f"{folder}:{ROOT / 'scripts'}:{os.environ['PATH']}"}
            plain("baton", "check", "key:request_key", server, cwd=folder, env=env).exits(1).says("stripped")
            for line in block.splitlines():
                ran[line] = plain("sh", "-c", line, cwd=folder, env=env).ok().out
    found = [out for line, out in ran.items() if line.startswith("baton check key:request_key")]
    if len(found) != 1 or "request_key: found" not in found[0] or not any("bpftrace" in line for line in ran):
        raise Failure(f"{ran}")


@test("cookbook: the drop-in of systemd, as a command line and as an environment")
def systemd():
    units = [block for _, block in blocks("ini")]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "baton.json"
        line = re.findall(r"^ExecStart=(.+)$", units[0], re.M)[-1]
        words = shlex.split(line.replace("/usr/local/bin/baton", str(ROOT / "scripts/baton"))
                            .replace("/var/log/server/baton.json", str(report))
                            .replace("/usr/sbin/server", str(PROGRAMS / "adapter_mpfr")))
        plain(*words).ok()
        if not json.loads(report.read_text())["chosen"]:
            raise Failure("nothing was chosen")
        report.unlink()
        env = dict(shlex.split(value)[0].split("=", 1) for value in re.findall(r"^Environment=(.+)$", units[1], re.M))
        env["LD_PRELOAD"] = env["LD_PRELOAD"].replace("/usr/local/lib/baton", str(BUILD))
        env["BATON_REPORT"] = str(report)
        run("web_request", env=env, preload=False).ok()
        slots = json.loads(report.read_text())["slots"]
        if [slot["state"] for slot in slots if slot["item"] == "key:request_key"] != ["bound"]:
            raise Failure(f"{slots}")


@test("cookbook: what the Dockerfile copies is what is installed, and its entry point runs what follows")
def dockerfile():
    text = next(block for _, block in blocks("dockerfile"))
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.M).group(1))
    place = installed()
    for path in re.findall(r"^COPY --from=baton (\S+)", text, re.M):
        if not Path(f"{place}{path}").exists():
            raise Failure(f"{path} is not installed")
    plain(f"{place}{entry[0]}", *entry[1:], PROGRAMS / "adapter_mpfr").ok().says("RIGHT")


@test("cookbook: the init container's command copies a library that the environment below it loads")
def kubernetes():
    text = next(block for _, block in blocks("yaml"))
    command = json.loads(re.search(r"command: (\[.*\])", text).group(1))
    env = {name: value.strip('"') for name, value in re.findall(r"\{name: (\w+), value: ([^}]+)\}", text)}
    place = installed()
    with tempfile.TemporaryDirectory() as folder:
        volume = Path(folder) / "volume"
        volume.mkdir()
        plain(*[word.replace("/usr/local/lib/baton/.", f"{place}/usr/local/lib/baton/.").replace("/baton/", f"{volume}/")
                if word.startswith("/baton") else word.replace("/usr/local", f"{place}/usr/local") for word in command]).ok()
        env = {name: value.replace("/baton/", f"{volume}/") for name, value in env.items()}
        run("web_request", env=env, preload=False).ok()
        reports = list(volume.glob("report-*.json"))
        if not reports or json.loads(reports[0].read_text())["slots"][0]["state"] != "bound":
            raise Failure("no report")


@test("cookbook, limits: each is a man page and a page for browsers, without a warning")
def pages():
    for name in ("baton-cookbook.7", "baton-limits.7"):
        if shutil.which("groff"):
            plain("sh", "-c", f"{ROOT}/scripts/gen-docs --man {name} | groff -man -Tutf8 -ww -z").ok().quiet()
    for name in ("baton-cookbook.7", "baton-limits.7", "guide"):
        page = plain(ROOT / "scripts" / "gen-docs", "--html", name).ok().out
        for tag in ("pre", "p", "ul", "ol", "table", "h2", "code", "strong", "li"):
            opened, closed = len(re.findall(rf"<{tag}[ >]", page)), page.count(f"</{tag}>")
            if opened != closed:
                raise Failure(f"{name}: {opened} <{tag}>, {closed} </{tag}>")
        body = re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", page, flags=re.S)
        if "`" in body or "**" in body or "](" in body:
            raise Failure(f"{name}: Markdown is left: {re.search(r'.*(`|[*][*]|[]][(]).*', body).group(0)}")
