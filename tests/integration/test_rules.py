"""The remaining rules, each by its number."""
import json
import re
import tempfile
from pathlib import Path

from compile import compiled
from harness import CARRIERS, LIBRARY, PROGRAMS, ROOT, Failure, carry, idle, names_of_tests, plain, test

KEY = CARRIERS["key"]
OWNED = "key:owned_key"


@test("A4: an empty slot stays empty, whatever the worker holds or got when it was made", each=CARRIERS)
def empty_slot(kind):
    for run in (plain, idle):
        run("empty_slot", kind).wrong()
    carry(CARRIERS[kind], "empty_slot", kind).ok().quiet().clean()


@test("A8: what three hundred threads keep in their caches when the program ends is not taken for alive")
def many_at_exit():
    plain("many_at_exit").wrong()
    # All of them still have what they started with.
    carry(KEY, "many_at_exit").ok().quiet().clean(contexts=1)


@test("A5: a second task inside the first gives the first one's values back", each=CARRIERS)
def nested(kind):
    plain("nested", kind).wrong()
    carry(CARRIERS[kind], "nested", kind).ok().quiet().clean()


@test("A5: slots are put back in reverse order of attach", each=("table", "copies"))
def put_back_order(how):
    for run in (plain, idle):
        run("put_back_order").wrong()
    items = "fn:get=one_get,set=one_set;fn:get=two_get,set=two_set;fn:get=three_get,set=three_set"
    if how == "copies":  # with a copy that is freed nothing stands in the table of moves
        items += ",free=three_free"
    carry(items, "put_back_order").ok().quiet().clean()


@test("B13: destructors at a thread's end see what the thread set, nothing of what it inherited", each=CARRIERS)
def last_look(kind):
    for run in (plain, idle):
        run("last_look", kind).wrong()
    carry(CARRIERS[kind], "last_look", kind).ok().quiet().clean()


@test("B12: BATON_INHERIT decides who inherits; workers of a pool do not by default",
      each=[(mode, kind) for mode in (None, "app", "all", "none") for kind in CARRIERS])
def inherit(mode, kind):
    env = {"BATON_INHERIT": mode} if mode else {}
    thread = 0 if mode == "none" else 7
    after = carry(CARRIERS[kind], "inherit", kind, env=env).ok().quiet()
    if mode != "all":  # with all of them GLib's own thread, which never ends, holds one too
        after.clean()
    after.says(f"pthread holds {thread}\n", f"std::thread holds {thread}\n", f"GThread holds {thread}\n",
               f"idle pool worker holds {7 if mode == 'all' else 0}\n")


@test("D17: the destructor of a shared value runs once, after its owner and the last context",
      each=("owner_first", "three_tasks", "owner_last", "replaced", "inherited", "outlived",
            "put_back", "emptied"))
def destructor_once(mode):
    for run in (plain, idle):
        run("key_destructor", mode).wrong()
    carry(OWNED, "key_destructor", mode).ok().quiet().clean()


@test("D17: order and iterations of destructors stay the C library's; exit runs none",
      each=("iterations", "exit"))
def destructors_as_ever(mode):
    before = plain("key_destructor", mode).ok()
    idle("key_destructor", mode).same_as(before)
    carry(OWNED, "key_destructor", mode).same_as(before).clean()


@test("D18: a value that a task sets and leaves is destroyed at detach, once; and what its destructor sets",
      each=("set_by_task", "set_again"))
def left_by_a_task(mode):
    plain("key_destructor", mode).wrong()
    carry(OWNED, "key_destructor", mode).ok().quiet().clean()


@test("D17: a key that is deleted and made again is followed; its number's next user sees nothing")
def key_made_again():
    for how in ((), ("tss",)):
        plain("key_reuse", *how).wrong()
        carry(KEY, "key_reuse", *how).ok().quiet().clean()


@test("E23: a getter or clone function that throws, jumps away or ends its thread leaves no mark",
      each=("throw", "longjmp", "exit"))
def getter_leaves(how):
    for run in (plain, idle):
        run("getter_leaves", how).wrong()
    carry("fn:get=leaves_get,set=leaves_set;key:leaves_key,clone=leaves_clone,free=leaves_free", "getter_leaves", how) \
        .ok().quiet().clean().says("wrong 0 of 12")


@test("E23: nor does a getter that leaves when all is as it was at the last handoff", each=("throw", "longjmp", "exit"))
def getter_leaves_later(how):
    plain("getter_leaves", how, "later").wrong()
    carry("fn:get=leaves_get,set=leaves_set;key:leaves_key", "getter_leaves", how, "later") \
        .ok().quiet().clean().says("wrong 0 of 12")


@test("E23: a setter that throws, jumps away or ends its thread while values are put back leaves no mark, nor a getter before",
      each=[(how, *what) for how in ("throw", "longjmp", "exit")
            for what in (("timer",), ("work",), ("work", "own"), ("work", "get"))])
def setter_leaves(how, *what):
    plain("setter_leaves", how, *what).wrong()
    carry("fn:get=leaves_get,set=leaves_set;key:leaves_key", "setter_leaves", how, *what) \
        .ok().quiet().clean(records=7 if what == ("timer",) else 0).says("wrong 0\n")  # timers that nobody closes


@test("E23: the same with a libuv that baton does not know: what attaches next may have its frame where it left, or below",
      each=("throw", "longjmp", "exit"))
def setter_leaves_unknown(how):
    carry("fn:get=leaves_get,set=leaves_set;key:leaves_key", "setter_leaves", how, "work", env={"LD_PRELOAD": f"{LIBRARY}:{PROGRAMS / 'uv_unknown.so'}"}) \
        .ok().quiet().clean().says("wrong 0\n")


@test("E23: a clone or ref function that throws, jumps away or ends its thread where a handoff begins leaves no mark",
      each=[(how, what) for how in ("throw", "longjmp", "exit") for what in ("timer", "work")])
def lending_leaves(how, what):
    plain("lend_leaves", how, what).wrong()
    lent, clone, ref = "clone=lent_clone,free=lent_free", "clone=left_clone,free=lent_free", "ref=left_ref,unref=left_unref"
    many = [(f"key:lent_key,{lent};key:left_key,{clone}",), (f"key:lent_key,{lent};key:left_key,{ref}", "later"),
            (f"key:lent_key,{lent};key:left_key,{ref};tls:left_word", "later")]
    if how != "longjmp":  # a thread-local variable is put back at the next handoff only
        many.append((f"tls:left_word,{clone};tls:lent_word,{lent}", "words"))
    for items, *more in many:
        carry(items, "lend_leaves", how, what, *more) \
            .ok().quiet().clean(records=1).says("wrong 0, left 0 and 0\n")  # a timer that nobody closes


@test("E23: a free or unref function or a destructor that throws, jumps away or ends its thread where a task is left leaves no mark",
      each=[(how, what) for how in ("throw", "longjmp", "exit") for what in ("timer", "work")])
def freeing_leaves(how, what):
    kinds = {"set": ("key:left_key",), "word": ("tls:left_word,clone=left_clone,free=left_free",),
             "held": ("key:left_key,clone=left_clone,free=left_free", "key:left_key,ref=left_ref,unref=left_unref")}
    for kind, items in kinds.items():
        plain("free_leaves", how, what, kind).wrong()
        for item in items:
            for env, *too in ((None,), (None, "too"), ({"BATON_REPORT": ""},)):
                after = carry(f"key:own_key;{item}", "free_leaves", how, what, kind, *too, env=env).ok().quiet()
                after.says(f"wrong 0, left 0 and 0, destroyed {int(kind == 'set')}\n")
                if not env:
                    after.clean()


@test("E24: a child forked in a task has its context and works on", each=CARRIERS)
def fork_in_a_task(kind):
    plain("fork_in_task", kind).wrong()
    after = carry(CARRIERS[kind], "fork_in_task", kind).ok().quiet().clean()
    after.says(*(f"child {n} ends with 0\n" for n in range(1, 11)))


@test("E24: a child forked in a task executes another program")
def exec_in_a_task():
    carry(KEY, "fork_in_task", "key", "exec").ok().clean()


@test("E24: children forked while other threads hand over never hang", each=CARRIERS)
def fork_storm(kind):
    plain("fork_storm", kind, 5).wrong()
    carry(CARRIERS[kind], "fork_storm", kind, 20, timeout=50).ok().quiet().clean()


@test("E24: children forked while other threads make keys, values and contexts never hang", timeout=90)
def fork_locks():
    plain("fork_locks", 5).wrong()
    carry("key:owned_key;key:no_such_key", "fork_locks", 40, timeout=80).ok().quiet()


@test("E24: handlers of fork that were there before ours may hand work over, and wait for it", each=CARRIERS)
def fork_handlers(kind):
    for run in (plain, idle):
        run("fork_handlers", kind).wrong()
    carry(CARRIERS[kind], "fork_handlers", kind, timeout=40).ok().quiet().clean()


@test("E24: a child owns nothing that other threads of its parent had under way", each=CARRIERS)
def fork_owns(kind):
    plain("fork_owns", kind).wrong()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report"
        after = carry(CARRIERS[kind], "fork_owns", kind, env={"BATON_REPORT": file}).ok().quiet()
        reports = [json.loads(line) for line in file.read_text().splitlines()]
    parent, child = sorted(reports, key=lambda report: report["families"].get("glib.pool", {}).get("carried", 0),
                           reverse=True)
    for report in (parent, child):
        for what in ("contexts_alive", "records_alive", "values_alive"):
            if report[what]:
                after.fail(f"{what} is {report[what]} in {report}")
    if parent["families"]["glib.pool"]["carried"] != 50 or "glib.pool" in child["families"]:
        after.fail(f"the child tells of its parent's handoffs: {child}")


@test("E24: a library's destructor that runs after ours hands over as without us")
def after_teardown():
    library = compiled("liblate.so", "-shared", "-fPIC", "late_library.c")
    program = compiled("late", "-rdynamic", "late_main.c", library, f"-Wl,-rpath,{library.parent}")
    plain(program).ok().says("thread sees 0\nlate thread sees 0, its maker 6")
    carry(KEY, program).ok().quiet().says("thread sees 5\nlate thread sees 0, its maker 6")


@test("E24: a plugin that comes after hundreds of handoffs is looked into", each=("key:plugin_key", "tls:plugin_word"))
def late_plugin(item):
    plain("late_plugin", PROGRAMS / "plugin.so").says("thread sees 0 0, pool sees 0 0")
    after = carry(item, "late_plugin", PROGRAMS / "plugin.so", env={"BATON_OWN": "plugin"}).quiet().slot_is(item, "bound")
    after.says("thread sees 7 0, pool sees 7 0" if item.startswith("key") else "thread sees 0 8, pool sees 0 8")


@test("E24: a word of a library that came later is each task's own, in threads that were there before it, and after "
      "it was closed and opened again beside another")
def late_word():
    libraries = [compiled(f"lib{name}.so", "-shared", "-fPIC", f"-DSTART={start}", "late_word.c")
                 for name, start in (("late", 0), ("other", 55))]
    plain("late_library", *libraries).wrong()
    for items in ("tls:late_word@liblate", "key:no_such_key;tls:late_word@liblate", "tls:late_word@liblate;fenv"):
        after = carry(items, "late_library", *libraries).ok().quiet()
        after.says(" 1 1 2 3 7 7 4 5\n 1 1 2 3 7 7 4 5\n 2 3 7 7\n")


@test("E24: a library that is unloaded is not called, though its successor lies where it was")
def gone():
    folder = compiled("gone", "gone_main.c").parent
    plugins = []
    for name, words in (("one", ["-DWHICH=1"]), ("two", ["-DWHICH=2", "-DOTHER"])):
        library = compiled(f"libgone{name}.so", "-shared", "-fPIC", *words, "gone_library.c", f"-Wl,-soname,libgone{name}.so")
        plugins.append(compiled(f"plugin{name}.so", "-shared", "-fPIC", "gone_plugin.c", library,
                                f"-Wl,-rpath,{library.parent}"))
    before = plain(folder / "gone", *plugins, plugins[0]).ok()
    before.says("plugin 1 calls library 1, ran 1\nplugin 2 calls library 2, ran 1\nplugin 3 calls library 1, ran 1\n")
    for items in ("key:no_such_key", "tls:no_such_word"):
        carry(items, folder / "gone", *plugins, plugins[0]).same_as(before)


@test("E24: handoffs in preinit, constructors, exit handlers and destructors work")
def early_and_late():
    before = plain("early_and_late").wrong()
    idle("early_and_late").same_as(before)
    after = carry(f"{KEY};key:early_key", "early_and_late").ok().quiet()
    after.says("thread of preinit ran: 1", "thread of the constructor sees 2", "thread of main sees 3",
               "thread of an exit handler ran: 1", "thread of a destructor ran: 1")


@test("E24: the first handoff may come late", each=("environ", "signal"))
def first_call(mode):
    before = plain("first_call", mode).wrong()
    idle("first_call", mode).same_as(before)
    carry("tls:request_id", "first_call", mode).ok().quiet().clean().carried("pthread", exactly=1)


@test("E24: the first handoff of a child that was forked before any")
def first_call_in_child():
    plain("first_call", "fork").wrong()
    carry("tls:request_id", "first_call", "fork").ok().quiet().clean().says(
        "the child's thread sees 6", "the thread sees 7")


@test("E24: the first handoff after all destructors passes through, and the report has been written")
def first_call_after_all():
    before = plain("first_call", "exit").ok()
    idle("first_call", "exit").same_as(before)
    after = carry("tls:request_id;tls:no_such_name", "first_call", "exit").same_as(before)
    after.slot_is("tls:request_id", "bound").slot_is("tls:no_such_name", "unmatched")


@test("E24: ending while workers are busy", each=("exit", "quick", "abort", "return", "pthread_exit"))
def exit_while_busy(way):
    before = plain("exit_busy", way)
    idle("exit_busy", way).same_as(before)
    for kind, item in CARRIERS.items():
        carry(item, "exit_busy", way, kind).same_as(before)


@test("E23: without memory every task still runs, and what was lost is counted", each=CARRIERS)
def no_memory(kind):
    after = carry(CARRIERS[kind], "no_memory", kind, 200000, timeout=50).ok().quiet().clean()
    family = after.reported()["families"]["uv.work"]
    told = family["carried"] + sum(family.get("bare", {}).values())
    if told < 200001 or not sum(family.get("bare", {}).values()):
        after.fail("tasks without context were not counted")


@test("E21: errno, signal masks and open files stay as they are", each=CARRIERS)
def errno_kept(kind):
    before = plain("errno_kept", kind).ok()
    idle("errno_kept", kind).same_as(before)
    carry(CARRIERS[kind], "errno_kept", kind).same_as(before).clean()


@test("E21: errno after libevent's calls, GLib's sources and queues, and in their callbacks", each=CARRIERS)
def errno_libevent(kind):
    before = plain("errno_libevent", kind).ok()
    idle("errno_libevent", kind).same_as(before)
    carry(CARRIERS[kind], "errno_libevent", kind, env={"BATON_HOOKS": "preset:g_async_queue"}).same_as(before)


@test("E23: a getter that hands work over while it is asked: that runs bare, is counted, and nothing is lost")
def getter_hands_over():
    plain("getter_hands_over").wrong()
    after = carry("fn:get=request_get,set=request_set", "getter_hands_over").ok().quiet().clean()
    after.bare("glib.pool")


@test("E23: a key whose setting fails for want of memory: the tasks still run")
def key_without_memory():
    plain("key_no_memory", "fail").says("ran 100")
    after = carry("key:high_key", "key_no_memory", "fail").quiet().clean().says("ran 100")
    if after.code not in (0, 1):
        after.fail("expected the program's own exit code")
    carry("key:high_key", "key_no_memory").ok().quiet().clean().says("saw 100")


@test("A1-A8: four threads hand over in four ways at once", each=CARRIERS, timeout=120)
def storm(kind):
    plain("storm", kind, 1000).wrong()
    carry(CARRIERS[kind], "storm", kind, 20000, timeout=100).ok().quiet().clean()


@test("A2: a thread that jumps out of a callback and ends lets the callback's context go", each=CARRIERS)
def jump_and_end(kind):
    plain("jump_and_end", kind).wrong()
    for inherit in ("none", "app"):
        after = carry(CARRIERS[kind], "jump_and_end", kind, env={"BATON_INHERIT": inherit}).ok().quiet().clean()
        after.carried("uv.work", exactly=20)


@test("every test that RULES.md names is there, and every rule is in it")
def rules_have_tests():
    names = names_of_tests() | {f"unit.{path.stem}" for path in (ROOT / "tests").glob("unit/*.c")}
    rules = {}
    for row in re.findall(r"^\| ([A-F]\d+) \|(.*)", (ROOT / "tests" / "RULES.md").read_text(), re.M):
        rules[row[0]] = re.findall(r"`([a-z_]+\.[a-z_0-9]+)`", row[1].split("|")[1])
    numbers = sorted(int(rule[1:]) for rule in rules)
    if numbers != list(range(1, 27)):
        raise Failure(f"the rules are {numbers}")
    missing = {name for tests in rules.values() for name in tests} - names
    if missing or not all(rules.values()):
        raise Failure(f"no such tests: {sorted(missing)}")


@test("A10: what is handed over while carrying is suppressed sees nothing, and leaves nothing", each=CARRIERS)
def suppressed(kind):
    for run in (plain, idle):
        run("suppressed", kind).wrong()
    carry(CARRIERS[kind], "suppressed", kind).ok().quiet().clean()


@test("A11: BATON_MAX_HOPS and BATON_MAX_AGE end chains", each=("key", "tls"))
def chains(kind):
    item = CARRIERS[kind]
    plain("chain", 100, 0, kind).says("with value 0 last 0")
    carry(item, "chain", 100, 0, kind).ok().quiet().clean()
    after = carry(item, "chain", 100, 0, kind, env={"BATON_MAX_HOPS": "10"}).quiet().clean()
    after.says("links 100 with value 10 last 10")
    after = carry(item, "chain", 40, 20, kind, env={"BATON_MAX_AGE": "0.2"}).quiet().clean()
    after.matches(r"links 40 with value ([3-9]|1\d) last ([3-9]|1\d)$")


@test("E23: more kinds of pools than the table holds: the rest runs bare and is counted")
def too_many_pools():
    plain("many_kinds", "pools").says("ran 100", "with value 0")
    after = carry(KEY, "many_kinds", "pools").ok().quiet().clean()
    after.carried("glib.pool", at_least=64).bare("glib.pool")
    carried = after.reported()["families"]["glib.pool"]["carried"]
    after.says(f"with value {carried}\n")


@test("E23: more destructors than the table holds: a key that cannot be guarded is refused, all are called")
def too_many_destructors():
    plain("many_kinds", "keys").ok()
    after = carry("key:last_key", "many_kinds", "keys").ok().clean()
    if after.slot("key:last_key")["state"] == "bound":
        after.fail("a key was carried whose destructor is not guarded")


@test("two hundred items at once", each=(100, 10))
def many_items(count):
    items = [f"key:many_key_{n}" for n in range(count)] + [f"tls:many_word_{n}" for n in range(count)]
    plain("many_slots").wrong()
    after = carry(";".join(items), "many_slots").quiet().clean()
    if count == 100:
        after.ok()


@test("E23: more items than there is room for: the rest is told, the program runs")
def too_many_items():
    items = [f"tls:no_such_word_{n}" for n in range(300)] + ["key:request_key"]
    after = carry(";".join(["key:request_key"] + items), "stale_pool_glib").ok().clean()
    after.says("task 5 sees 5")


@test("A4: a thread-local variable with an initial value: never set is that value, zero is a value")
def initial_value():
    plain("tls_initial").wrong()
    after = carry("tls:level;tls:user", "tls_initial").ok().quiet().clean()
    after.says("users <alice in a long coat> <nobody> <>\n")


@test("fn: a getter that copies: every copy is freed once, by its own function",
      each=("fn:get=tag_get,set=tag_set,free=tag_free", "fn:get=tag_get,set=tag_take,free=tag_free,move"))
def copying_getter(item):
    plain("tag_functions").wrong()
    carry(item, "tag_functions").ok().quiet().clean()


@test("the rows of hooks.def have the types of the libraries' own headers",
      each=sorted(path.stem for path in (ROOT / "tests" / "programs").glob("prototypes*.c*")))
def prototypes(program):
    plain(program).ok()


@test("every family of hooks.def is compared with a header somewhere")
def prototypes_complete():
    rows = (ROOT / "shim" / "interpose" / "hooks.def").read_text()
    programs = (ROOT / "tests" / "programs").glob("prototypes*.c*")
    wanted = set(re.findall(r"^#define WANT_(\w+) 1", "\n".join(path.read_text() for path in programs), re.M))
    # A mangled name of C++ says its parameters' types itself, and is looked up by them.
    # What libisc's function takes has changed within 9.20, and its row takes either: isc.c tells them apart, isc_work.c calls it.
    missing = {family for family, name in re.findall(r"^HOOK\((\w+),[^,]*, (\w+),", rows, re.M)
               if not name.startswith("_Z")} - wanted - {"ISC", "SANDBOX"}  # prctl, declared with "...": its five are taken as they come
    if missing:
        raise Failure(f"no prototypes program has WANT_ of {sorted(missing)}")


@test("several items of different kinds travel together")
def several_items():
    carry("key:request_key;tls:request_id;swap:request_swap", "stale_pool_glib", "tls").ok().quiet().clean()
    carry("key:request_key;tls:request_id;swap:request_swap", "stale_pool_uv", "swap").ok().quiet().clean()


@test("keys beside plain words, which take the quick way together",
      each=[(kind, program) for kind in ("key", "tls")
            for program in ("stale_pool_glib", "stale_pool_uv", "storm", "nested")])
def key_and_words(kind, program):
    carry("key:request_key;tls:request_id", program, kind).ok().quiet().clean()


@test("E24: names are looked for while others hold the loader's lock and make keys")
def loader_callback():
    before = plain("loader_callback").ok().says("done")
    carry("key:no_such_key;tls:no_such_word;fn:get=no_get,set=no_set", "loader_callback").same_as(before)
