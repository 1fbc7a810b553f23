"""Settings and items: what is understood, what is refused, and how it is said."""
import re
import subprocess
import tempfile
from pathlib import Path

from harness import PROGRAMS, ROOT, Failure, carry, idle, plain, run, test
from needs import needs
from test_launcher import baton

KEY = "key:request_key"
RIGHT = "task 5 sees 5\n"

# variable, value, the column at which it goes wrong, a word of what is expected there
WRONG = [
    ("BATON_INHERIT", "ap", 1, "app"),
    ("BATON_INHERIT", "app,all", 1, "app"),
    ("BATON_PERIODIC", "maybe", 1, "on"),
    ("BATON_MAX_AGE", "10x", 3, "expected"),
    ("BATON_MAX_HOPS", "-1", 1, "number"),
    ("BATON_MAX_HOPS", "99999999999999999999", None, "expected"),
    ("BATON_LOG", "loud", 1, "debug"),
    ("BATON_DISABLE", "uv.work,no.such.family", 9, "expected"),
    ("BATON_CARY", "key:request_key", None, "BATON_CARRY"),
    ("BATON_CONFIG", "/no/such/file", 1, "file"),
    ("BATON_CARRY", f"{KEY};key:", None, "expected"),
    ("BATON_CARRY", f"{KEY};kee:request_id", None, "expected"),
    ("BATON_CARRY", f"{KEY};tls:request_id,copy=", None, "expected"),
    ("BATON_CARRY", f"{KEY};fn:get=request_get", None, "set"),
    ("BATON_CARRY", f"{KEY};key:n=x", None, "number"),
    ("BATON_CARRY", f"{KEY};tls:main+0x10", None, "expected"),
]


@test("E22: a wrong setting is named once with its value and place; the others still work", each=WRONG)
def wrong_setting(variable, value, column, word):
    env = {"BATON_CARRY": KEY, variable: value}
    after = run("stale_pool_glib", env=env).ok().says(RIGHT).complains(variable, word)
    lines = after.err.splitlines()
    if len(lines) != 1 or not lines[0].startswith("baton: "):
        after.fail("expected exactly one line on stderr, from baton")
    wrong_part = re.split("[;,]" if variable == "BATON_DISABLE" else ";", value)[-1]
    if wrong_part not in lines[0]:
        after.fail(f"expected the value {wrong_part!r} in the message")
    if column and f"column {column}" not in lines[0]:
        after.fail(f"expected column {column} in the message")


@test("E22: BATON_STRICT=1 ends the program with 64 before main", each=[row[:2] for row in WRONG])
def strict(variable, value):
    env = {"BATON_CARRY": KEY, variable: value, "BATON_STRICT": "1"}
    after = run("stale_pool_glib", env=env).exits(64).complains(variable)
    if after.out:
        after.fail("main has run")


@test("E22: a setting that means nothing without another one is said; with it, or at its default, it is not")
def partners():
    idle("true", env={"BATON_LEAK_AGE": "5"}).exits(0).complains("baton: BATON_LEAK_AGE: does nothing without BATON_STRICT=on")
    for env in ({"BATON_LEAK_AGE": "5", "BATON_STRICT": "on"}, {"BATON_LEAK_AGE": "0"}, {"BATON": "/opt/baton"},
                {"BATON_CRASH": "/tmp/%p.crash", "BATON_STACKS": "4"}):
        idle("true", env=env).exits(0).quiet()


@test("E22: BATON_STRICT=1 with right settings changes nothing")
def strict_and_right():
    carry(KEY, "stale_pool_glib", env={"BATON_STRICT": "1"}).ok().quiet().says(RIGHT)


MISSING = [
    ("BATON_CARRY", "tls:no_such_word", "no loaded module"),
    ("BATON_CARRY", "key:no_such_key", "no loaded module"),
    ("BATON_CARRY", "key:by=no_such_function", "no loaded module"),
    ("BATON_CARRY", "fn:get=no_such_get,set=no_such_set", "no loaded module"),
    ("BATON_CARRY", "tls:libc.so+0x10:8", "not carried"),
    ("BATON_HOOKS", "no_such_function(kind=call,fn=1,arg=2)", "matched nothing"),
]


@test("E22: a module's name and the part of a name after a * may begin with a digit", each=[
    "tls:request_id@7z.so", "tls:*5state*", "key:7z+0x4010", "tls:3proxy+0x10:8", "key:by=made#2@7z.so"])
def begins_with_a_digit(item):
    slot = carry(item, "race", "clean", "key", env={"BATON_STRICT": "on"}).slot(item)
    assert slot["state"] in ("unmatched", "waiting"), slot


@test("E22: BATON_STRICT=require ends the program with 65 before main when a name is not there", each=MISSING)
def required(variable, item, why):
    run("stale_pool_glib", env={"BATON_CARRY": KEY, variable: item, "BATON_STRICT": "on"}).says("task 5")
    after = run("stale_pool_glib", env={"BATON_CARRY": KEY, variable: item, "BATON_STRICT": "require"}).exits(65)
    after.complains(f'baton: {variable}="{item}"', why)
    if after.out:
        after.fail("main has run")


@test("E22: BATON_STRICT=require: a key that is only not made yet is there, and at exit one that was never made is told; a wrong "
      "setting still ends with 64")
def required_and_there():
    program = PROGRAMS / "stale_pool_glib"
    place = f"key:main+{nm(program)['request_key'] + 4:#x}"
    for item, why in {"key:n=7": "", "key:by=abort": "has made no key yet", place: "no key has been stored in it yet"}.items():
        after = carry(f"{KEY};{item}", program, env={"BATON_STRICT": "require"}).ok().says(RIGHT)
        after.complains(f'baton: BATON_CARRY="{item}": matched nothing: ', why)
        if len(after.err.splitlines()) != 1:
            after.fail("expected one message")
        carry(f"{KEY};{item}", program, env={"BATON_STRICT": "on"}).ok().quiet().says(RIGHT)
    carry("key:late_key", "late_key", "stored", env={"BATON_STRICT": "require"}).ok().quiet().clean()
    run("stale_pool_glib", env={"BATON_CARRY": "kee:x", "BATON_STRICT": "require"}).exits(64)


@test("E22: a name that matches nothing is reported, and the other items work")
def unmatched():
    after = carry(f"key:no_such_key;{KEY};tls:no_such_word", "stale_pool_glib").ok().quiet().says(RIGHT)
    after.slot_is("key:no_such_key", "unmatched").slot_is("tls:no_such_word", "unmatched")
    after.slot_is(KEY, "bound").clean()
    after = carry("key:no_such_key", "stale_pool_glib", env={"BATON_LOG": "warn"})
    after.complains("no_such_key")


@test("E22: a setting that was not understood is not guessed: BATON_INHERIT keeps its default")
def default_is_kept():
    carry(KEY, "inherit", env={"BATON_INHERIT": "nonee"}).says("pthread holds 7", "idle pool worker holds 0")


@test("BATON_CONFIG: settings, items and remarks, one a line")
def config_file():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baton.conf"
        path.write_text("# remark\n\nkey:request_key   # the request\nBATON_INHERIT=none\n")
        after = run("inherit", env={"BATON_CONFIG": path}).ok().quiet()
        after.says("pthread holds 0")
        path.write_text(f"{KEY}\nINHERIT=all\n")
        run("inherit", env={"BATON_CONFIG": path}).ok().quiet().says("idle pool worker holds 7")
        # The environment beats the file.
        run("inherit", env={"BATON_CONFIG": path, "BATON_INHERIT": "none"}).quiet().says("pthread holds 0")


@test("BATON_CONFIG: a mistake names file, line and column; the other lines work")
def config_file_mistakes():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baton.conf"
        path.write_text(f"key:request_key\nINHERIT=nobody\ntls:\n  MAX_HOPS = many\n")
        after = run("stale_pool_glib", env={"BATON_CONFIG": path}).ok().says(RIGHT)
        after.complains(f"{path}:2:9", f"{path}:3:", f"{path}:4:")
        if len(after.err.splitlines()) != 3:
            after.fail("expected three messages")
        run("stale_pool_glib", env={"BATON_CONFIG": path, "BATON_STRICT": "1"}).exits(64)


@test("BATON_HELP=1 lists every setting on stderr and changes nothing else")
def help_lists_settings():
    rows = re.findall(r'^SETTING\(\w+, "(BATON_\w+)"', (ROOT / "shim/base/config.def").read_text(), re.M)
    after = run("true", env={"BATON_HELP": "1"})
    after.ok().complains(*rows)
    if after.out:
        after.fail("expected nothing on stdout")


@test("BATON_REPORT=stderr writes the report there, as one JSON object")
def report_on_stderr():
    after = run("stale_pool_glib", env={"BATON_CARRY": KEY, "BATON_REPORT": "stderr"}).ok()
    after.matches(r'^\{"baton":', "err").matches(r'"contexts_alive": ?0', "err")


@test("BATON_REPORT: the report says which program, which slots, which families")
def report_is_complete():
    report = carry(KEY, "stale_pool_uv").ok().clean().reported()
    for field in ("baton", "schema", "pid", "program", "families", "slots", "hooks"):
        if field not in report:
            raise Failure(f"the report has no {field!r}: {report}")
    if not report["program"].endswith("stale_pool_uv") or report["schema"] != 1:
        raise Failure(f"unexpected program or schema: {report}")
    family = report["families"]["uv.work"]
    if family["carried"] != 5 or family["empty"] != 0 or sum(family["bare"].values()) != 0:
        raise Failure(f"unexpected counts: {family}")


@test("a report that cannot be written is said, and the program ends as it would")
def report_nowhere():
    after = run("stale_pool_glib", env={"BATON_CARRY": KEY, "BATON_REPORT": "/no/such/folder/report"}).ok()
    after.complains("BATON_REPORT")


NAMES = [
    ("key:_ZL10hidden_key", "hidden_key 1"),
    ("key:_ZL10hidden_key@names", "hidden_key 1"),
    ("key:_ZL10hidden_key@main", "hidden_key 1"),
    ("tls:_ZL11hidden_word", "hidden_word 2"),
    ("tls:_ZL11hidden_word@main", "hidden_word 2"),
    ("tls:_ZN3app15current_requestE", "app::current_request 3"),
    ("tls:_ZN3app8settings5levelE", "app::settings::level 4"),
    ("key:_ZN3app18request_key_of_appE", "app::request_key_of_app 5"),
    ("key:by=make_request_key", "heap_key 6"),
    ("tls:_ZL11shared_name#same_name_a.c", "shared_name a 8 b 0"),
    ("tls:_ZL11shared_name@main#same_name_b.c", "shared_name a 0 b 9"),
]


@test("names: static, hidden, in a namespace, by creator, by file", each=NAMES)
def difficult_names(item, line):
    before = plain("names").ok()
    if line + "\n" in before.out:
        before.fail("the plain run is right already")
    after = carry(item, "names").ok().quiet().says(line + "\n").slot_is(item, "bound").clean()
    changed = [new for old, new in zip(before.out.splitlines(), after.out.splitlines()) if old != new]
    if changed != [line]:
        after.fail(f"more than {line!r} has changed: {changed}")


@test("names: all at once")
def all_names():
    items = [item for item, _ in NAMES if "@" not in item]
    after = carry(";".join(items), "names").ok().quiet().clean()
    after.says("hidden_key 1\n", "hidden_word 2\n", "app::current_request 3\n", "app::settings::level 4\n",
               "app::request_key_of_app 5\n", "heap_key 6\n", "shared_name a 8 b 0\n")


@test("names: of several keys that a function makes the first is carried, and it is said how to name the others; #N does")
def keys_of_one_function(tmp_path):
    source, program = tmp_path / "keys.c", tmp_path / "keys"
    source.write_text(KEYS)
    subprocess.run(["gcc", "-w", "-O1", "-g", "-rdynamic", "-pthread", source, "-o", program], check=True)
    said = 'BATON_CARRY="key:by=make_keys": its function made 3 keys, of which the first is carried: by=make_keys#1 to #3'
    for how in (plain, idle):
        how(program).ok().says("0 0 0, again 0 0\n")
    after = carry("key:by=make_keys", program, env={"BATON_WARN": "on"}).ok().clean().says("1 0 0, again 4 0\n").complains(said)
    if "by=make_keys#1 to #3" not in after.slot("key:by=make_keys")["reason"]:
        after.fail("the report does not say it")
    for item, line in {"key:by=make_keys#1": "1 0 0, again 4 0", "key:by=make_keys#2@main": "0 2 0, again 0 5",
                       "key:by=make_keys#3;key:by=make_keys#1": "1 0 3, again 4 0"}.items():
        carry(item, program).ok().quiet().clean().says(line + "\n")
        if ";" not in item:
            baton("check", item, program).exits(0)
    after = carry("key:by=make_keys#4", program).ok().clean().says("0 0 0, again 0 0\n")
    if "fewer keys than #N says" not in after.slot_is("key:by=make_keys#4", "unmatched").slot("key:by=make_keys#4")["reason"]:
        after.fail("the report does not say why")
    baton("check", "key:by=make_kei#1", program).exits(1).says("near: make_keys")


KEYS = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static pthread_key_t *keys;
static long saw[3];
__attribute__((noinline)) void make_keys(int count)
{
    keys = malloc(3 * sizeof *keys);
    for (int i = 0; i < count; i++)
        pthread_key_create(&keys[i], 0);
}
static void *look(void *count)
{
    for (long i = 0; i < (long)count; i++)
        saw[i] = (long)pthread_getspecific(keys[i]);
    return 0;
}
static void hand_over(long count, long first)
{
    pthread_t thread;
    for (long i = 0; i < count; i++)
        pthread_setspecific(keys[i], (void *)(first + i));
    pthread_create(&thread, 0, look, (void *)count);
    pthread_join(thread, 0);
}
int main(void)
{
    pthread_key_t other;
    pthread_key_create(&other, 0);
    make_keys(3);
    hand_over(3, 1);
    printf("%ld %ld %ld, again", saw[0], saw[1], saw[2]);
    for (int i = 0; i < 3; i++)
        pthread_key_delete(keys[i]);
    make_keys(2);
    hand_over(2, 4);
    printf(" %ld %ld\n", saw[0], saw[1]);
    return 0;
}
"""


@test("names: keys by the order of their creation")
def key_by_order():
    plain("five_universes").wrong()
    carry("key:n=1", "five_universes").ok().quiet().clean()
    carry("key:n=2", "five_universes", "tss").ok().quiet().clean()
    carry("key:n=2", "five_universes", "key").wrong().clean()


@test("names: two variables of one name in two files are not guessed between")
def ambiguous():
    after = carry("tls:_ZL11shared_name", "names").ok().says("shared_name a 0 b 0\n")
    after.complains("not carried", "#FILE").slot_is("tls:_ZL11shared_name", "refused")


def nm(path):
    lines = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[-1]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}


@test("names: a stripped program by MODULE+OFFSET")
def by_offset():
    symbols = nm(PROGRAMS / "names")
    key, word = symbols["_ZL10hidden_key"], symbols["_ZL11hidden_word"]
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "names"
        subprocess.run(["strip", "-o", str(stripped), str(PROGRAMS / "names")], check=True)
        gone = carry("key:_ZL10hidden_key;tls:_ZL11hidden_word", str(stripped)).ok().quiet()
        gone.says("hidden_key 0\n", "hidden_word 0\n").slot_is("key:_ZL10hidden_key", "unmatched")
        for module in ("main", "names"):
            after = carry(f"key:{module}+{key:#x};tls:{module}+{word:#x}:8", str(stripped)).ok().quiet()
            after.says("hidden_key 1\n", "hidden_word 2\n").clean()


@test("names: a stripped program with its debug file beside it")
def by_debug_file():
    with tempfile.TemporaryDirectory() as folder:
        stripped, debug = Path(folder) / "names", Path(folder) / "names.debug"
        subprocess.run(["objcopy", "--only-keep-debug", str(PROGRAMS / "names"), str(debug)], check=True)
        subprocess.run(["strip", "-o", str(stripped), str(PROGRAMS / "names")], check=True)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", str(stripped)], check=True)
        after = carry("key:_ZL10hidden_key;tls:_ZL11hidden_word", str(stripped)).ok().quiet()
        after.says("hidden_key 1\n", "hidden_word 2\n").clean()


REFUSED = [
    ("tls:_Z9user_nameB5cxx11", "names"),  # a C++ object with a constructor
    ("tls:held_ticket", "names"),          # has a destructor
    ("tls:libc.so+0x10:8", "names"),       # the C library's own
    ("tls:libbaton+0x0:8", "names"),       # ours
]


@test("D20: state that must never be shared is refused with a reason", each=REFUSED)
def refused(item, program):
    before = plain(program)
    after = carry(item, program).exits(before.code).says(before.out).complains(item, "not carried")
    after.slot_is(item, "refused")
    if not after.slot(item).get("reason"):
        after.fail("no reason was given")


PROCESS_WIDE = {"fn:get=geteuid,set=seteuid": "swap:setfsuid", "swap:umask": "fchmod", "fn:get=geteuid,set=chdir": "openat",
                "fn:get=pthread_getconcurrency,set=pthread_setconcurrency": "does nothing", "swap:re_set_syntax": "regcomp", "swap:sbrk": "heap",
                "swap:textdomain": "dgettext", "fn:get=random,set=srand48": "srand48_r"}


@test("D20: a function that acts on the whole process is refused, by the run and by check, with what a thread can have",
      each=PROCESS_WIDE)
def process_wide(item):
    carry(item, "names").complains(item, "acts on the whole process", PROCESS_WIDE[item]).slot_is(item, "refused")
    run(str(ROOT / "scripts/baton"), "check", item, PROGRAMS / "names", preload=False).exits(1) \
        .says("refused: acts on the whole process", PROCESS_WIDE[item])
    carry(item, "names", env={"BATON_FORCE": "1"}).slot_is(item, "bound")
    carry("swap:setfsuid", "names").quiet().slot_is("swap:setfsuid", "bound")


@test("D20: BATON_FORCE=1 carries what was refused")
def forced():
    carry("tls:held_ticket", "names").says("held_ticket 1\n")
    after = carry("tls:held_ticket", "names", env={"BATON_FORCE": "1"}).ok().quiet().clean()
    after.says("held_ticket 10\n").slot_is("tls:held_ticket", "bound")


@test("a key that is made after many handoffs is carried from then on, no other one before",
      each=("direct", "stored"))
def late_key(how):
    plain("late_key", how).wrong()
    carry("key:late_key", "late_key", how).ok().quiet().clean().slot_is("key:late_key", "bound")


@test("BATON_LOG=debug tells what was found, on stderr only")
def log_debug():
    before = plain("true")
    after = run("true", env={"BATON_CARRY": KEY, "BATON_LOG": "debug"}).ok()
    if after.out != before.out or not all(line.startswith("baton: ") for line in after.err.splitlines()):
        after.fail("expected lines of baton on stderr only")


@test("E22: BATON_DISCOVER without the library that obeys it says so")
def not_without_its_library():
    idle("true", env={"BATON_DISCOVER": "/tmp/x.%p"}).exits(0).complains("BATON_DISCOVER", "baton discover -- PROGRAM")


@needs(programs=["five_universes"])
@test("names: a program that is started through its loader is no loader")
def through_the_loader():
    program = PROGRAMS / "five_universes"
    said = subprocess.run(["readelf", "-lW", str(program)], capture_output=True, text=True, check=True).stdout
    loader = said.partition("interpreter: ")[2].partition("]")[0]
    plain(loader, program, "key").wrong()
    carry("key:request_key", loader, program, "key").ok().quiet().clean()


OTHERS = {"BATON_CARY": "x", "BATON_STRICT": "require", "BATON_HOOKS": "preset:none", "BATON_REPORT": "/nonexistent/report",
          "BATON_TRACE": "/nonexistent/trace"}


@test("BATON_DISABLE=all: as if the library were not loaded: no name of it is bound, nothing carried, said or written")
def all_disabled():
    plain("stale_pool_glib").wrong()
    carry(KEY, "stale_pool_glib").ok().says(RIGHT)
    carry(KEY, "stale_pool_glib", env={"BATON_DISABLE": "all"}).wrong().quiet()
    carry(KEY, "stale_pool_glib", env={"BATON_DISABLE": "all", **OTHERS}).wrong().quiet()
    hooked = r"to \S*libbaton\.so \S*: normal symbol `g_thread_pool_push'"
    for disabled, is_bound in (("uv", True), ("all", False)):
        after = carry(KEY, "stale_pool_glib", env={"BATON_DISABLE": disabled, "LD_DEBUG": "bindings", "LD_BIND_NOW": "1"})
        if bool(re.search(hooked, after.err)) is not is_bound:
            after.fail(f"BATON_DISABLE={disabled}: g_thread_pool_push bound to baton: {not is_bound}")
