"""The launcher, the installation, the documents and the checks of the source itself."""
import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from compile import installed
from harness import BUILD, LIBRARY, PROGRAMS, ROOT, carry, expect, plain, test
from needs import needs, require, unable

BATON = ROOT / "scripts" / "baton"
TREE_LIBRARY = ROOT / "build" / "libbaton.so"  # what the launcher takes, wherever the tests were built


def baton(*args, **how):
    return plain(str(BATON), *args, **how)


@test("baton run: the exit status is the program's, its arguments arrive unchanged")
def passes_status_and_arguments():
    script = 'printf "<%s>" "$@"; exit 37'
    for dashes in ((), ("--",)):
        baton("run", *dashes, "sh", "-c", script, "x", "a b", "", "*", "--carry").exits(37).quiet() \
            .says("<a b><><*><--carry>")
    baton("run", "--", "sh", "-c", "kill -TERM $$").exits(-15)


@test("baton run: 127 for a missing program, 126 for one that cannot be run, 2 for a wrong command line")
def names_what_is_wrong():
    baton("run", "--", "no-such-program").exits(127).complains("no-such-program: no such program")
    baton("run", "--", "./no-such-program").exits(127).complains("./no-such-program: no such program")
    baton("run", "--", "/etc/passwd").exits(126).complains("/etc/passwd: cannot be run")
    baton("run", "--", "/etc").exits(126)
    baton("run").exits(2).complains("no program given")
    baton("run", "--carry").exits(2).complains("--carry needs a value")
    baton("run", "--carry=", "true").exits(2).complains("--carry needs a value")
    baton("run", "--config", "/no/such/file", "true").exits(2).complains("/no/such/file")
    baton("run", "--nonsense", "true").exits(2).complains("--nonsense")
    baton("run", "--cary", "key:a", "true").exits(2).complains("unknown option --cary; did you mean --carry?")
    baton("nonsense").exits(2).complains("unknown command nonsense")
    baton("rum").exits(2).complains("did you mean run?")
    baton("--carry", "key:a", "true").exits(2).complains("the command comes first")
    baton().exits(2)
    right = "baton run --carry key:a -- /bin/true"
    baton("run", "key:a", "--", "/bin/true").exits(2).complains(f"key:a is an item, and no program: {right}\n")
    baton("run", "key:a", "/bin/true").exits(2).complains(right)
    baton("run", "--carry", "fenv", "key:a", "/bin/true").exits(2).complains("baton run --carry 'fenv;key:a' -- /bin/true")
    baton("run", "/bin/true", "key:a").ok().complains(f"key:a stands behind the program's name, so it is the program's; for baton write: {right}")
    baton("run", "--", "/bin/true", "key:a").ok().quiet()
    behind = "--carry stands behind the --, where the program begins: "
    baton("run", "--", "--carry", "key:a", "/bin/true").exits(2).complains(f"baton: run: {behind}{right}\n")
    baton("run", "--", "--carry", "key:a", "--", "/bin/true").exits(2).complains(f"{behind}{right}\n")
    baton("run", "--auto", "--", "--carry=key:a", "--require", "/bin/true").exits(2) \
        .complains("baton run --auto --carry=key:a --require -- /bin/true\n")
    baton("run", "--", "--carry").exits(2).complains(f"{behind}baton run --carry -- PROGRAM\n")
    baton("check", "--", "--carry", "key:a", "/bin/true").exits(2).complains("baton check --carry key:a -- /bin/true\n")
    baton("run", "--", "--no-such-option").exits(127).complains("--no-such-option: no such program")
    baton("check", "key:a", "env", "/bin/true").exits(2).complains("baton check key:a -- env /bin/true")


@test("baton --help and --version")
def says_what_it_is():
    version = next(line.split(":=")[1].strip() for line in (ROOT / "Makefile").read_text().splitlines()
                   if line.startswith("VERSION"))
    baton("--version").ok().quiet().says(f"baton {version}\n")
    baton("--help").ok().quiet().says("baton run ", "baton report FILE")
    for words in (("--help",), ("run", "--help"), ("check", "--carry", "key:a", "-h"), ("help", "report")):
        text = baton(*words).ok().quiet().out
        expect(max(map(len, text.splitlines())) <= 80, f"--help is wider than a terminal: {text}")
    baton("run", "--help").says("--report FILE ").never_says("baton check")


@test("baton run: options add to the environment and to each other, in order")
def joins_items():
    # An unmatched item is no error; env is a program like any other.
    with tempfile.TemporaryDirectory() as folder:
        said = baton("run", "--carry", "key:b", "--carry=key:c;key:d", "--report", "counts.json", "env",
                     env={"BATON_CARRY": "key:a"}, cwd=folder).ok()
        said.says("BATON_CARRY=key:a;key:b;key:c;key:d\n", f"BATON_REPORT={folder}/counts.json\n")


@needs("libasan.so")
@test("baton run: what the user has in LD_PRELOAD stays, after us; libasan comes first")
def orders_preloads():
    math = "libm.so.6"
    baton("run", "printenv", "LD_PRELOAD").ok().says(f"{TREE_LIBRARY}\n")
    baton("run", "printenv", "LD_PRELOAD", env={"LD_PRELOAD": f"{math} libdl.so.2"}).ok() \
        .says(f"{TREE_LIBRARY}:{math}:libdl.so.2\n")
    baton("run", "printenv", "LD_PRELOAD", env={"LD_PRELOAD": f"{math}:{TREE_LIBRARY}"}).ok() \
        .says(f"{TREE_LIBRARY}:{math}\n")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "a.c"), Path(folder, "a")
        source.write_text('#include <stdio.h>\n#include <stdlib.h>\n'
                          'int main(void) { puts(getenv("LD_PRELOAD")); return 3; }\n')
        subprocess.run(["gcc", "-fsanitize=address", source, "-o", program], check=True)
        baton("run", program).exits(3).quiet().matches(rf"libasan\.so[.0-9]*:{TREE_LIBRARY}$")
        baton("run", program, env={"LD_PRELOAD": "libm.so.6"}).exits(3).quiet() \
            .matches(rf"libasan\.so[.0-9]*:{TREE_LIBRARY}:libm\.so\.6$")


@test("baton run: a value is carried; the report is readable")
def carries_and_reports():
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.json")
        baton("run", "--carry", "key:request_key", "--report", counts, "--",
              PROGRAMS / "stale_pool_glib").ok().says("task 5 sees 5\n") \
            .matches(r"\Abaton: ok: 5 tasks saw their submitter's values\n\Z", "err")
        expect(json.loads(counts.read_text())["schema"] == 1, "the report has no schema")
        baton("report", counts).ok().quiet().says("key:request_key", "bound") \
            .matches(r"^glib\.pool +5 ").matches(r"^alive +0 contexts, 0 records, 0 values$")
        baton("run", "--carry", "key:other_key", "--report", counts, "sh", "-c",
              f"{PROGRAMS / 'stale_pool_glib'}; exit 0").ok().complains("NOTHING CARRIED: key:other_key matched nothing")
        twice = baton("report", counts).ok().quiet().says("key:request_key", "key:other_key")
        expect(twice.out.count("\nprogram  ") >= 1, "a line of the report is a process")
        baton("run", "--no-verdict", "--report", Path(folder, "of-%p.json"), "true").ok().quiet()
        expect(len(list(Path(folder).glob("of-[0-9]*.json"))) == 1, "%p is the process")
        config = Path(folder, "baton.conf")
        config.write_text("# what to carry\nkey:request_key\n")
        baton("run", "--config", "baton.conf", PROGRAMS / "stale_pool_glib", cwd=folder).ok().quiet()


@test("baton report: refuses what is no report")
def report_refuses():
    with tempfile.TemporaryDirectory() as folder:
        for text in ("", "{", '{"a":1}', '{"schema":1', '{"schema":1} x', "[1,2", "all: x", '{"schema":2}'):
            file = Path(folder, "x.json")
            file.write_text(text)
            baton("report", file).exits(1).complains(" a report of ")
        baton("report", folder + "/none").exits(1).complains("cannot read")
        file.write_text('{"schema":1,"program":"\\u001b[31mred","pid":1,"slots":[{"item":"\\u009bx","state":"bound"}]}')
        baton("report", file).ok().quiet().says("\\x1b[31mred", "\\xc2\\x9bx")
        baton("report", file, file).ok().matches(r"(?s)red.*red")
        plain(str(BATON), "report", "-", stdin=file.read_text()).ok().quiet().says("red")
    baton("report").exits(2)


@test("baton check: knows the adapters, and that functions of the C library may be called")
def checks_what_run_takes():
    program = PROGRAMS / "stale_pool_glib"
    for item in ("key:request_key,clone=strdup,free=free", "swap:setfsuid"):
        baton("check", item, program).ok().quiet().never_says("refused")
    baton("check", "adapter:nonesuch", program).exits(1).complains("adapter:nonesuch")
    baton("check", "tls:errno@libc", program).exits(1).says("refused")


@test("make install: the installed launcher finds the installed library and the man pages are there")
def installs():
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "opt/b")  # wherever it is put, and moved to: it knows no path
        shutil.copytree(installed() / "usr/local", top, symlinks=True)
        link = Path(folder, "baton-link")
        link.symlink_to(top / "bin/baton")
        for launcher in (top / "bin/baton", link):
            plain(str(launcher), "run", "printenv", "LD_PRELOAD", cwd="/").ok().quiet() \
                .says(f"{top}/lib/baton/libbaton.so\n")
            plain(str(launcher), "--version", cwd="/").ok().same_as(baton("--version"))
            plain(str(launcher), "--help", cwd="/").ok().says("baton run ")
        for page in ("man1/baton.1", "man7/baton.7"):
            text = (top / "share/man" / page).read_text()
            expect(text.startswith(".TH BATON") and "@" + "SETTINGS" not in text, f"{page} is not filled")
        for file in ("bash-completion/completions/baton", "zsh/site-functions/_baton", "fish/vendor_completions.d/baton.fish"):
            expect("--carry" in (top / "share" / file).read_text() or "-l carry" in (top / "share" / file).read_text(), file)
        expect("BATON_CARRY" in (top / "share/man/man7/baton.7").read_text(), "no settings in baton(7)")


@test("baton run: a path that LD_PRELOAD cannot hold is said, not silently ignored")
def refuses_spaces():
    with tempfile.TemporaryDirectory(prefix="baton test ") as folder:
        shutil.copytree(ROOT / "scripts", Path(folder, "scripts"))
        launcher = Path(folder, "scripts", "baton")
        plain(str(launcher), "run", "true").exits(1).complains("cannot find", "run make first")
        Path(folder, "build").mkdir()
        shutil.copy(ROOT / "build" / "baton-cli", Path(folder, "build"))
        plain(str(launcher), "run", "true").exits(1).complains("cannot find", "libbaton.so")
        Path(folder, "build", "libbaton.so").touch()
        plain(str(launcher), "run", "true").exits(1).complains("space or colon")


@test("scripts/setup: does nothing when all is there, names the packages when it cannot install")
def setup_is_quiet():
    first = plain(str(ROOT / "scripts/setup"))
    if first.code != 0:
        unable("packages are missing")
    first.quiet()
    expect(first.out == "", f"setup said: {first.out}")
    with tempfile.TemporaryDirectory() as folder:
        for tool in ("sh", "awk", "sed", "dirname", "cat"):
            os.symlink(shutil.which(tool), Path(folder, tool))
        plain(str(ROOT / "scripts/setup"), env={"PATH": folder}).exits(1) \
            .complains("no apt-get here", "libuv1-dev")


@needs("root")
@test("scripts/setup: takes a package by its name in the release, names what the release has not, and then calls no apt")
def setup_of_releases():
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for tool in ("sh", "awk", "sed", "cat", "tr", "sort", "env", "id", "mktemp", "tail", "rm"):
            os.symlink(shutil.which(tool), place / tool)
        fakes = {"dpkg-query": "cat $0.list", "apt-get": f"echo $* >>{place}/calls",
                 # Every package but two, one of them under its other name.
                 "apt-cache": 'for name in "$@"; do case $name in libldap-dev | libuv1-dev | madison) ;; *) echo "$name | 1";; esac; done'}
        for name, script in fakes.items():
            (place / name).write_text(f"#!/bin/sh\n{script}\n")
            (place / name).chmod(0o755)
        there = place / "dpkg-query.list"
        there.touch()
        setup = str(ROOT / "scripts/setup")
        plain(setup, env={"PATH": folder}).ok().quiet().says("this release has no libuv1-dev\n", " libldap2-dev ")
        update, install = (place / "calls").read_text().splitlines()
        names = install.partition("--no-install-recommends ")[2].split()
        expect(update.endswith(" update") and {"gcc", "libldap2-dev"} <= set(names), install)
        expect(not {"libldap-dev", "libuv1-dev"} & set(names) and not any("|" in name for name in names), install)
        there.write_text("".join(f"{name} installed\n" for name in names))
        expect(plain(setup, env={"PATH": folder}).ok().quiet().out == "", "what is not to be had is said once")
        expect(len((place / "calls").read_text().splitlines()) == 2, "apt-get is called although nothing can be installed")


@test("the sources keep their layers, the library its exports and imports, the README its tables")
def keeps_its_plan():
    plain(str(ROOT / "scripts/check-layers"), str(LIBRARY)).ok().quiet()
    plain(str(ROOT / "scripts/gen-docs"), "--check").ok().quiet()


OFFENCES = {
    "a lower room that includes a higher one":
        ("shim/base/bad.c", '#include "context/context.h"\n', "must not include context/"),
    "a framework header":
        ("shim/families/bad/bad.c", "#include <glib.h>\n", "is not of libc"),
    "a path that is not seen from shim/":
        ("shim/base/bad.c", '#include "log.h"\n', "as seen from shim/"),
    "a family that includes another":
        ("shim/families/bad/bad.c", '#include "families/worse/worse.h"\n',
         "family bad must not include the family worse"),
    "the architecture in a common file":
        ("shim/base/bad.c", "#ifdef __x86_64__\n#endif\n", "depends on the machine"),
}


@test("scripts/check-layers finds", each=list(OFFENCES))
def check_layers_can_fail(offence):
    name, text, complaint = OFFENCES[offence]
    with tempfile.TemporaryDirectory() as folder:
        for part in ("scripts", "shim", "include"):
            if (ROOT / part).exists():
                shutil.copytree(ROOT / part, Path(folder, part))
        bad = Path(folder, name)
        bad.parent.mkdir(parents=True, exist_ok=True)
        bad.write_text(text)
        plain(str(Path(folder, "scripts/check-layers"))).exits(1).complains(name, complaint)


# Sources that are compiled: what they call is seen in the objects only.
PLANTED = {
    "an upward call through a declaration of its own":
        ({"slots/bad.c": "extern void high(void); void bad(void) { high(); }", "context/high.c": "void high(void) {}"},
         "shim/slots/bad.c: slots/ must not call context/: high of context/high.c"),
    "an upward call through a weak declaration":
        ({"base/bad.c": "void high(void) __attribute__((weak)); void bad(void) { if (high) high(); }",
          "interpose/high.c": "void high(void) {}"},
         "shim/base/bad.c: base/ must not call interpose/: high of interpose/high.c"),
    "upward data":
        ({"elf/bad.c": "extern int high; int *bad(void) { return &high; }", "slots/high.c": "int high = 1;"},
         "shim/elf/bad.c: elf/ must not call slots/: high"),
    "a family that calls another":
        ({"families/bad/bad.c": "void worse(void); void bad(void) { worse(); }",
          "families/worse/worse.c": "void worse(void) {}"},
         "shim/families/bad/bad.c: the family bad must not call the family worse: worse"),
    "a circle of three files":
        ({"base/a.c": "void b(void); void a(void) { b(); }", "base/b.c": "void c(void); void b(void) { c(); }",
          "base/c.c": "void a(void); void c(void) { a(); }"},
         "a circle: base/a -> base/b (b) -> base/c (c) -> base/a (a)"),
}


@test("scripts/check-layers finds in the objects", each=list(PLANTED))
def check_layers_reads_objects(offence):
    sources, complaint = PLANTED[offence]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "scripts", Path(folder, "scripts"))
        for name, text in sources.items():
            source, place = Path(folder, "shim", name), Path(folder, "build/shim", name).with_suffix(".o")
            for path in (source, place):
                path.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(text)
            subprocess.run(["gcc", "-w", "-fPIC", "-c", source, "-o", place], check=True)
        plain(str(Path(folder, "scripts/check-layers"))).exits(1).complains(complaint)
        # What the sources do not have any more counts no more, although its object may still lie there.
        for name in sources:
            Path(folder, "shim", name).unlink()
        plain(str(Path(folder, "scripts/check-layers"))).ok().quiet()


@test("scripts/check-layers shows the rooms, and whom each uses")
def check_layers_prints_rooms():
    plain(str(ROOT / "scripts/check-layers"), str(LIBRARY)).ok().quiet() \
        .says("base ", " files -> nothing", "elf ", " files -> base ", "slots ", "context ", "families ", "libuv ")


@needs("glibc 2.34")
@test("scripts/check-layers finds a library that exports, imports or needs what it must not")
def check_layers_reads_the_library():
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "a.c"), Path(folder, "a.so")
        source.write_text("#include <stdlib.h>\n#include <math.h>\n"
                          "void *stray(double x) { return malloc((size_t)sin(x)); }\n")
        subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
        plain(str(ROOT / "scripts/check-layers"), library).exits(1) \
            .complains("exports stray", "imports malloc", "needs libm.so.6")
        source.with_name("b.c").write_text("#include <stdio.h>\nint sem_post(void *sem) { return puts(sem); }\nint stray;\n")
        subprocess.run(["gcc", "-fno-builtin", "-w", "-shared", "-fPIC", source.with_name("b.c"), "-o", Path(folder, "libbaton-waits.so")], check=True)
        plain(str(ROOT / "scripts/check-layers"), library).exits(1).complains(
            "libbaton-waits.so: exports stray", "libbaton-waits.so: imports puts", "libbaton-waits.so: does not export cnd_wait of calls.h")
        # What came after Debian 11's C library stops every program there.
        source.write_text("int aio_error(void *); int stray(void *x) { return aio_error(x); }\n")
        subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library], check=True)
        newer = plain(str(ROOT / "scripts/check-layers"), library).exits(1)
        if platform.machine() == "x86_64":
            newer.complains("aio_error@GLIBC_2.34: needs a glibc above 2.31")


@test("what the loader has to do for the library: one version to compare, no pointer but those that it calls itself, "
      "one offset of thread-local variables")
def little_for_the_loader():
    said = subprocess.run(["readelf", "-drW", LIBRARY], capture_output=True, text=True, check=True).stdout
    kinds = re.findall(r"^[0-9a-f]{16}  [0-9a-f]{16} R_\w+?_(\w+) ", said.partition("'.rela.plt'")[0], re.M)
    said = dict(re.findall(r"^ 0x\w+ \((.+?)\) +(.+)$", said, re.M))
    shown = kinds[len(kinds) - int(said["RELASZ"].split()[0]) // 24:]
    expect(int(said["RELACOUNT"]) <= 3 and len(kinds) - len(shown) > 100, f"pointers: {said}")
    expect(len([kind for kind in shown if "TP" in kind]) == 1 < len([kind for kind in kinds if "TP" in kind]), f"offsets: {shown}")
    expect(said["VERNEEDNUM"] == "1" and said["NEEDED"] == "Shared library: [libc.so.6]", f"versions: {said}")


@test("a library that the program's C library is too old for: the program runs without it, and one line says so")
def library_from_the_future():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("baton-cli", "libbaton.so", "baton-plan"):
            shutil.copy(BUILD / name, folder)
        library = Path(folder, "libbaton.so")
        library.write_bytes(re.sub(rb"\0GLIBC_2\.\d\d\0", lambda found: found[0][:-3] + b"99\0", library.read_bytes()))
        plain("/bin/echo", "hello", env={"LD_PRELOAD": str(library)}).exits(1).complains("GLIBC_2.99' not found")
        for report in ((), ("--report", f"{folder}/counts.json")):
            run = plain(f"{folder}/baton-cli", "run", "--carry", "key:nothing", *report, "--", "/bin/echo", "hello").ok().says("hello")
            run.matches(r"\Abaton: /bin/echo: its C library .* has no GLIBC_2.99, which .*; it runs without\n\Z", "err")
        plain(f"{folder}/baton-cli", "run", "--require", "--carry", "key:nothing", "--", "/bin/echo", "hello").exits(65).never_says("hello")


PRELOADED = """
#include <stdio.h>
#include <stdlib.h>
int main(void) { return puts(getenv("LD_PRELOAD")) < 0; }
"""


@needs("glibc 2.34")
@test("who waits is noted only where the C library has libpthread in it: elsewhere a program would find a sem_post that is not there")
def waits_of_the_library_itself(tmp_path):
    program, loader, libc = tmp_path / "program", tmp_path / "ld.so", tmp_path / "libc.so.6"
    compiled = subprocess.run(["gcc", "-x", "c", "-", f"-Wl,--dynamic-linker={loader}", "-o", program], input=PRELOADED, text=True)
    expect(compiled.returncode == 0, "does not compile")
    real = Path(re.search(r"interpreter: (/[^]]+)", subprocess.run(["readelf", "-lW", "/bin/true"], capture_output=True, text=True).stdout)[1])
    shutil.copy(real, loader)
    there = real.resolve().with_name("libc.so.6").read_bytes()
    for version in (b"34", b"98"):  # of glibc 2.31, as far as its versions say; the loader takes the system's all the same
        libc.write_bytes(there.replace(b"\0GLIBC_2.34\0", b"\0GLIBC_2." + version + b"\0"))
        said = baton("run", "--verdict", "--", program).ok().says("libbaton.so")
        expect(("libbaton-waits.so" in said.out) == (version == b"34"), said.out)


def known_of(folder):
    """The answers of baton-plan that were kept and name the folder: those of one test alone."""
    root = "/run/baton" if os.geteuid() == 0 else f"/tmp/baton-{os.geteuid()}"
    found = subprocess.run(["grep", "-lrsF", "--include=*.known", folder, root], capture_output=True, text=True)
    return [Path(path) for path in found.stdout.splitlines()]


@test("baton-plan is asked once: its answer holds until a file that it was drawn from is another, or one comes")
def asks_once():
    with tempfile.TemporaryDirectory() as folder:
        program, debug = Path(folder, "program"), Path(folder, "program.debug")
        for name in ("baton-cli", "libbaton.so", "baton-plan"):
            shutil.copy(BUILD / name, folder)
        shutil.copy(ROOT / "shim/userhooks/known.conf", folder)
        shutil.copy("/bin/true", program)
        subprocess.run(["objcopy", "-R", ".gnu_debuglink", program], check=True)
        debug.write_text("x")
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", program], check=True)
        debug.unlink()

        def run(words=("--auto",), **env):
            return plain(f"{folder}/baton-cli", "run", *words, "--", program,
                         env={"XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": folder, **env}).ok()

        def ask(why):
            """Whether the file of the answer is read shows when it is changed: 0 says nothing."""
            for _ in range(50):  # what has changed this very moment is not kept
                run().complains("auto: nothing that baton knows")
                if any("answer 3 " in path.read_text() for path in known_of(folder)):  # not the one from before
                    break
            expect(len(known_of(folder)) == 1, f"{len(known_of(folder))} answers {why}")
            known = known_of(folder)[0]
            known.write_text(known.read_text().replace("answer 3 ", "answer 0 ", 1))
            run().quiet()
            return known

        known = ask("at first")
        known.chmod(0o666)
        run().complains("auto: nothing that baton knows")
        known = ask("after one that others could write to")
        program.chmod(0o700)
        ask("after the program has changed")
        debug.write_text("x")
        ask("after its debug file has come")
        Path(folder, "baton").mkdir()
        Path(folder, "baton/known.conf").write_text("")
        ask("after the user's own known.conf has come")
        for left in known_of(folder):
            left.unlink()


@test("the demo's programs: log4cxx names the request, MPFR keeps precision and rounding")
def demo_programs():
    config = ROOT / "tests/programs/demo_log4cxx.conf"
    plain("demo_log4cxx").ok().never_says("request=17")
    baton("run", "--config", config, PROGRAMS / "demo_log4cxx").ok().quiet() \
        .says("request=17 card", "request=18 card", "request=19 card")
    down, up = "0.666666666666666666666666666666140", "0.66666666666666666666666666666692"
    plain("demo_mpfr").ok().never_says(down, up)
    carry("tls:__gmpfr_default_fp_bit_precision;tls:__gmpfr_default_rounding_mode", "demo_mpfr") \
        .ok().quiet().clean().says("24 bits, to nearest  0.666666686534", down, up)


@test("the library has one segment to read and one to write, and the flags of whoever builds it are kept")
def built_as_asked():
    segments = plain("readelf", "-lW", LIBRARY).ok().out.count("  LOAD ")
    expect(segments == 2, f"the library has {segments} segments")
    with tempfile.TemporaryDirectory() as folder:
        asked = plain("make", "-n", "V=1", "-C", ROOT, f"B={folder}/build", "CFLAGS=-O0 -DUSER_FLAG", "LDFLAGS=-Wl,-z,now",
                      f"{folder}/build/libbaton.so").ok()
        commands = asked.out.replace("\\\n", "").splitlines()
        compiled = [line for line in commands if " -c shim/base/log.c" in line]
        linked = [line for line in commands if "-soname,libbaton.so" in line]
        expect(len(compiled) == 1 and "-DUSER_FLAG" in compiled[0], f"compiled by {compiled}")
        expect(len(linked) == 1 and "-DUSER_FLAG" in linked[0] and "-Wl,-z,now" in linked[0], "the user's flags are lost")


@test("what is built again is replaced at once: whoever starts a program meanwhile finds the old one whole")
def replaced_whole():
    names = ["baton-cli", "baton-plan", "baton-discover", "libbaton.so", "libbaton-discover.so", "libbaton-waits.so"]
    with tempfile.TemporaryDirectory() as folder:
        asked = plain("make", "-n", "V=1", "-C", ROOT, f"B={folder}/build", *(f"{folder}/build/{name}" for name in names)).ok()
        commands = asked.out.replace("\\\n", "").splitlines()
        for name in names:
            made = f"{folder}/build/{name}"
            linked = [line for line in commands if re.search(rf" -o {re.escape(made)}(\.new)? ", line)]
            expect(len(linked) == 1 and f"-o {made}.new " in linked[0], f"{name} is written where it stands")
            expect(any(f"mv -f {made}.new {made}" in line for line in commands), f"{name} is not put there")


# As distributions have them; and what is not enough for the library, or too much, is put right.
FLAGS = {"gcc": ("-O0 -flto -Werror -DUSER_FLAG", "-Wl,-z,relro -Wl,-z,now"), "clang": ("-O1 -Werror -DUSER_FLAG", "")}


@test("the library builds without a warning, with the user's flags kept, in its layout, by", each=FLAGS, timeout=300, release=True)
def builds_without_warning(compiler):
    require(compiler)
    with tempfile.TemporaryDirectory() as folder:
        words = ("make", "-C", ROOT, f"B={folder}/build", f"CC={compiler}", f"CFLAGS={FLAGS[compiler][0]}",
                 f"LDFLAGS={FLAGS[compiler][1]}")
        # C only: the adapters of C++ are mostly their libraries' headers. .ci/run builds them by both.
        words += tuple(f"{folder}/build/{name}" for name in ("libbaton.so", "baton-plan", "baton-cli"))
        words += tuple(f"{folder}/build/adapters/{path.stem}.so" for path in (ROOT / "shim/adapters").glob("*.c"))
        built = plain(*words, "V=1", timeout=300).ok().quiet()
        built.says("-DUSER_FLAG")
        library = Path(folder, "build/libbaton.so")
        expect(library.exists(), "no library was built")
        plain(*words).ok().never_says("CC ", "LD ")
        segments = plain("readelf", "-lW", library).ok().out.count("  LOAD ")
        expect(segments == 2, f"the library has {segments} segments, not one to read and one to write")
        plain("ucontext", "longjmp", "key", env={"LD_PRELOAD": library, "BATON_CARRY": "key:request_key"}).ok().quiet()


@test("folders of launchers that a signal has ended are removed by the next; what is younger, in use, a link or another's is not",
      each=("run", "discover"))
def folders_left(command, tmp_path):
    old, young, used, other = (tmp_path / f"baton-{name}" for name in (f"{command}-OLDOLD", f"{command}-YOUNGY", f"{command}-INUSE1", "other-OLDOLD"))
    for folder in old, young, used, other:
        folder.mkdir()
        (folder / "7").write_text("x")
        if folder != young:
            os.utime(folder, (1, 1))
    (tmp_path / f"baton-{command}-LINKED").symlink_to(other)
    held = os.open(used, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    words = ["run", "--verdict", "--carry", "key:request_key"] if command == "run" else ["discover"]
    baton(*words, "--", PROGRAMS / "stale_pool_glib", env={"TMPDIR": tmp_path})
    os.close(held)
    left = {path.name for path in tmp_path.iterdir()}
    expect(left == {young.name, used.name, other.name, f"baton-{command}-LINKED"}, left)
