"""BATON_CARRY=auto and baton run --auto: what is known of libraries is carried, and nothing else."""
import subprocess
import tempfile
from pathlib import Path

from harness import PROGRAMS, ROOT, carry, find_program, idle, plain, run, test
from needs import needs
from test_adapters import ADAPTERS, item
from test_launcher import baton, expect

GLIB = PROGRAMS / "stale_pool_glib"
KNOWN = ROOT / "shim" / "userhooks" / "known.conf"


def entries(text=None):
    """name -> the lines of an entry of known.conf, as (key, value) or (None, item)."""
    found = {}
    for line in (KNOWN.read_text() if text is None else text).splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        key, _, value = line.partition("=")
        if key == "known":
            current = found[value] = []
        else:
            current.append((key, value) if key in ("about", "when", "tried") else (None, line))
    return found


# The program of each entry, which is wrong plain and right with auto alone. Those that hand over only are `POOLS`.
PROGRAMS_OF = {
    "log4cxx": ("adapter_log4cxx",), "log4cplus": ("adapter_log4cplus",), "boost-log": ("adapter_boost_log",),
    "openssl": ("adapter_openssl",), "mpfr": ("adapter_mpfr",), "otel-thread-ctx": ("adapter_otel",),
    "custom-labels": ("adapter_labels",), "locale": ("thread_state", "locale", "return"),
    "fenv": ("thread_state", "fenv", "return"), "gdal": ("known_gdal",), "libxml2": ("known_libxml2",),
    "hdf5": ("known_hdf5",), "cups": ("known_cups",), "gss-krb5": ("known_gss",), "fsuid": ("known_fsuid",),
    "fsgid": ("known_fsuid",), "spdlog": ("known_spdlog",), "cuda": ("known_cuda",),
    "opentelemetry-cpp": ("known_opentelemetry",),
}
# What hands over, of entries whose preset has its own test (test_presets.py).
POOLS = {"gdal-pool", "grpc", "qt", "llvm", "poco", "nginx", "openblas"}


@needs(of=lambda name: ("root",) if name in ("fsuid", "fsgid") else ())
@test("auto: what is known is carried when its library is in the process, and the report says why", each=PROGRAMS_OF)
def carries(name):
    lines = entries()[name]
    for adapter in [text.partition(":")[2] for key, text in lines if not key and text.startswith("adapter:")]:
        item(adapter)  # skips
    program = PROGRAMS_OF[name]
    plain(*program).wrong()
    after = carry("auto", *program).ok().quiet().clean()
    chosen = {entry["name"]: entry for entry in after.reported()["chosen"]}
    expect(name in chosen, f"chosen were {sorted(chosen)}")
    expect(chosen[name]["because"] and chosen[name]["about"], f"no reason: {chosen[name]}")
    for slot in after.reported()["slots"]:
        expect(slot["state"] == "bound", f"{slot}")


@test("auto: every entry of known.conf has a condition, a sentence, and a program or preset that tests it", each=entries())
def entries_are_tested(name):
    lines = entries()[name]
    keys = [key for key, _ in lines]
    expect(keys.count("about") == 1 and "when" in keys and None in keys, f"{lines}")
    items = [text for key, text in lines if not key]
    if name in POOLS:
        expect(all(text.startswith("preset:") for text in items), f"{items}")
        expect(items[0] in {tested for tested, *_ in [*CHOSEN_BY, *CONDITIONS]}, f"nobody looks whether {items[0]} is chosen")
        expect((ROOT / "shim/userhooks/presets" / f"{items[0].partition(':')[2]}.conf").exists(), f"{items}")
    else:
        expect(name in PROGRAMS_OF, f"{name} has no program")
    for text in items:  # no other file is looked through for its functions
        if text.startswith("fn:"):
            expect(all("@" in part for part in text.partition(":")[2].split(",") if "=" in part and "size=" not in part), text)


# Of entries with several conditions: each holds alone. What is chosen, its library if it is not libm, what the program calls.
CONDITIONS = [(item, library, call) for item, library, calls in (
    ("fenv", None, "fesetround fesetenv feenableexcept"),
    ("preset:openblas", "libopenblas.so.0", "fesetround fesetenv feenableexcept"),
    ("adapter:libxml2", "libxml2.so.2", "xmlSetGenericErrorFunc xmlSetStructuredErrorFunc"),
    ("adapter:hdf5", "libhdf5_serial.so.103", "H5Eset_auto2"), ("adapter:hdf5", "libhdf5.so.103", "H5Eset_auto2"),
) for call in calls.split()]


@needs("gcc")
@test("auto: each condition of an entry is enough by itself", each=CONDITIONS)
def conditions(wanted, library, call):
    with tempfile.TemporaryDirectory() as folder:
        def built(name, text, *words):
            subprocess.run(["gcc", "-w", "-x", "c", "-", "-o", name, *words], input=text, text=True, check=True, cwd=folder)
            return Path(folder, name)
        stub = [str(built(library, "" if call.startswith("fe") else f"void {call}(void) {{}}", "-shared", "-fPIC", f"-Wl,-soname,{library}"))] \
            if library else []
        uses = f"void {call}(void); int main(void) {{ {call}(); return 0; }}"
        for text, expected in ((uses, True), ("int main(void) { return 0; }", False)):
            program = built("program", text, "-x", "none", "-Wl,--no-as-needed,-rpath,$ORIGIN", *stub, "-lm")
            said = baton("check", "--auto", program).out
            expect((f"auto chooses {wanted}:" in said) == expected, f"{text}: {said}")


# What hands over only, and what stands for it being in the process: a library of that name, or a function of the program's own.
CHOSEN_BY = [("preset:gdal", "libgdal.so.32"), ("preset:grpc", "libgrpc++.so.1.51"), ("preset:qt", "libQt5Core.so.5"),
             ("preset:qt", "libQt6Core.so.6"), ("preset:llvm", "libLLVM-14.so.1"), ("preset:poco", "libPocoFoundation.so.80"),
             ("preset:nginx", "ngx_thread_task_post")]


@needs("gcc")
@test("auto: a preset is chosen where its library is in the process, and there is something to carry", each=CHOSEN_BY)
def preset_is_chosen(preset, by):
    with tempfile.TemporaryDirectory() as folder:
        def built(name, text, *words):
            subprocess.run(["gcc", "-w", "-x", "c", "-", "-o", name, *words], input=text, text=True, check=True, cwd=folder)
            return Path(folder, name)
        word = "__thread int request_id; int main(void) { return request_id; }"
        if ".so." in by:
            stub = built(by, "", "-shared", "-fPIC", f"-Wl,-soname,{by}")
            program = built("program", word, "-x", "none", "-Wl,--no-as-needed,-rpath,$ORIGIN", str(stub))
        else:
            program = built("program", f"void {by}(void) {{}} {word}", "-rdynamic")
        other = built("other", word)
        says = f"auto chooses {preset}:"
        expect(says in baton("check", "auto;tls:request_id", program).out, "not chosen")
        expect(says not in baton("check", "auto;tls:request_id", other).out, "chosen where it is not")
        if preset != "preset:gdal":  # its thread's options are something
            expect(says not in baton("check", "--auto", program).out, "chosen where there is nothing to carry")


@test("auto: with nothing known the program is as with baton idle, and the report says so", each=(
    ("cat", "/etc/passwd", "/no/such"), ("web_request",)))
def nothing_known(*program):
    words = (find_program(program[0]),) + program[1:]
    before, after = idle(*program), carry("auto", *program)
    if program[0] == "web_request":
        after.quiet()
    else:
        after.same_as(before)
    report = after.reported()
    expect(report["chosen"] == [] and report["slots"] == [] and report["families"] == {}, f"{report}")
    baton("run", "--verdict", "--auto", "--", *words).complains(
        "NOTHING CARRIED: auto knows no library of the program", "baton discover -- ")
    baton("run", "--auto", "--", *words).complains(
        "auto: nothing that baton knows is in", "baton discover -- ")


@needs("libmpfr.so.6")
@test("auto: a library that is opened later is found when something is looked up in it", each=((), ("lazy",), ("lazy", "global")))
def opened_later(*words):
    plain("known_late", *words).wrong()
    after = carry("auto", "known_late", *words).ok().quiet().clean().slot_is("adapter:mpfr", "bound")
    expect([entry["name"] for entry in after.reported()["chosen"]] == ["mpfr"], "mpfr was not chosen")
    # The same where something else is carried from the start.
    after = carry("auto;locale", "known_late", *words).ok().quiet().clean().slot_is("adapter:mpfr", "bound")
    expect({slot["item"] for slot in after.reported()["slots"]} == {"locale", "adapter:mpfr"}, "other items")


@test("auto combines with items, of which those that the user names are the user's")
def combines():
    item("mpfr")
    carry("auto;key:request_key", GLIB, "key").ok().quiet().slot_is("key:request_key", "bound")
    carry("tls:nope;auto", "adapter_mpfr").ok().slot_is("adapter:mpfr", "bound").slot_is("tls:nope", "unmatched")
    after = carry("adapter:mpfr;auto", "adapter_mpfr").ok().quiet().clean()
    expect(len(after.reported()["slots"]) == 1, "twice")
    carry("auto,copy=3", GLIB, "key").complains('BATON_CARRY="auto,copy=3"')
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "c.conf")
        config.write_text("auto\n")
        run("adapter_mpfr", env={"BATON_CONFIG": config}).ok().quiet()
    baton("run", "--verdict", "--auto", PROGRAMS / "adapter_mpfr").ok().complains("ok: ")


@test("auto: a file of the user adds to what is known, replaces by name, and takes away; a wrong line is told")
def users_file():
    item("mpfr")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "baton").mkdir()
        file, env = Path(folder) / "baton" / "known.conf", {"XDG_CONFIG_HOME": folder}
        file.write_text("known=mpfr\n")
        carry("auto", "adapter_mpfr", env=env).wrong().quiet()
        file.write_text("known=mine\nabout=Mine\nwhen=exports:request_key\nwhen=has:request_key\nkey:request_key\n")
        after = carry("auto", GLIB, "key", env=env).ok().quiet().slot_is("key:request_key", "bound")
        expect([entry["name"] for entry in after.reported()["chosen"]] == ["mine"], "mine was not chosen")
        carry("auto", "adapter_mpfr", env=env).ok().quiet().slot_is("adapter:mpfr", "bound")
        baton("check", "--auto", GLIB, env=env).ok().says("auto chooses key:request_key: Mine", "has request_key")
        for line, expected in (("key:x", "known=NAME before it"), ("known=a\nwhen=is:x", "expected MODULE, uses:SYMBOL"),
                               ("known=a\nknown=a", "expected each name once"), ("known=", "expected a name after known="),
                               ("known=a\nwhen=main:x", "expected MODULE")):
            file.write_text(line + "\n")
            carry("auto", GLIB, "key", env=env).complains("known.conf:" + str(1 + line.count("\n")), expected)
        file.write_text("known=bad\nwhen=libglib\nabout=x\nkay:oops\n")
        carry("auto", GLIB, "key", env=env).complains("known.conf:4", "kay:oops")


@test("auto: check chooses as the run does, suggests what is named like a context, and never carries that by itself")
def check_agrees():
    item("mpfr")
    after = baton("check", "--auto", PROGRAMS / "adapter_mpfr").ok().says(
        "auto chooses adapter:mpfr: MPFR: default precision", "libmpfr.so.6 is in the process", "found libmpfr.so.6",
        "not chosen, because only you know", "tls:request_id in adapter_mpfr")
    after.never_says("tls:behind_functions")
    baton("check", "auto", GLIB).exits(1).says("auto chooses nothing", "baton discover -- ", "tls:request_id")
    baton("check", "auto;key:request_key", GLIB).ok().says("auto chooses nothing", "key:request_key\n    request_key: found")


@test("auto: reports as tables say what was chosen and why")
def tables():
    item("mpfr")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "counts.json"
        baton("run", "--auto", "--report", report, PROGRAMS / "adapter_mpfr").ok()
        baton("report", report).ok().matches(r"^chosen by auto +why\nadapter:mpfr +libmpfr\.so\.6 is in the process \(MPFR")
        report.unlink()
        baton("run", "--auto", "--report", report, PROGRAMS / "web_request")
        baton("report", report).ok().matches(r"^nothing +no library that baton knows was in the process")


@needs(programs=["preset_gdal"])
@test("auto: a preset whose library is in the process hands over, with and without the launcher, and is asked of nobody")
def presets():
    items = "auto;tls:request_id"
    plain("preset_gdal").wrong()
    for launched in (False, True):
        after = carry(items, "preset_gdal", launched=launched).ok()
        expect("preset:gdal" in [entry["items"] for entry in after.reported()["chosen"]], "not chosen")
    baton("run", "--verdict", "--carry", items, PROGRAMS / "preset_gdal").ok().complains("baton: ok: ")
