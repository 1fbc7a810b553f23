"""The remaining rules, each by its number."""
import re

from harness import CARRIERS, ROOT, Failure, carry, idle, plain, test

KEY = CARRIERS["key"]
OWNED = "key:owned_key"


@test("A4: an empty slot stays empty, whatever the worker holds or got when it was made", each=CARRIERS)
def empty_slot(kind):
    for run in (plain, idle):
        run("empty_slot", kind).wrong()
    carry(CARRIERS[kind], "empty_slot", kind).ok().quiet().clean()


@test("A5: a second task inside the first gives the first one's values back", each=CARRIERS)
def nested(kind):
    plain("nested", kind).wrong()
    carry(CARRIERS[kind], "nested", kind).ok().quiet().clean()


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


@test("D18: a value that a task sets and leaves is destroyed at detach, once")
def left_by_a_task():
    plain("key_destructor", "set_by_task").wrong()
    carry(OWNED, "key_destructor", "set_by_task").ok().quiet().clean()


@test("D17: a key that is deleted and made again is followed; its number's next user sees nothing")
def key_made_again():
    for how in ((), ("tss",)):
        plain("key_reuse", *how).wrong()
        carry(KEY, "key_reuse", *how).ok().quiet().clean()


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
    plain("fork_storm", kind, 20).wrong()
    carry(CARRIERS[kind], "fork_storm", kind, 100, timeout=50).ok().quiet().clean()


@test("E24: handoffs in preinit, constructors, exit handlers and destructors work")
def early_and_late():
    before = plain("early_and_late").wrong()
    idle("early_and_late").same_as(before)
    after = carry(KEY, "early_and_late").ok().quiet()
    after.says("thread of preinit ran: 1", "thread of the constructor sees 2", "thread of main sees 3",
               "thread of an exit handler ran: 1", "thread of a destructor ran: 1")


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
      each=sorted(path.stem for path in (ROOT / "tests" / "programs").glob("prototypes*.c")))
def prototypes(program):
    plain(program).ok()


@test("every family of hooks.def is compared with a header somewhere")
def prototypes_complete():
    rows = (ROOT / "shim" / "handoffs" / "hooks.def").read_text()
    programs = (ROOT / "tests" / "programs").glob("prototypes*.c")
    wanted = set(re.findall(r"^#define WANT_(\w+) 1", "\n".join(path.read_text() for path in programs), re.M))
    missing = set(re.findall(r"^HOOK\((\w+),", rows, re.M)) - wanted
    if missing:
        raise Failure(f"no prototypes program has WANT_ of {sorted(missing)}")


@test("several items of different kinds travel together")
def several_items():
    carry("key:request_key;tls:request_id;swap:request_swap", "stale_pool_glib", "tls").ok().quiet().clean()
    carry("key:request_key;tls:request_id;swap:request_swap", "stale_pool_uv", "swap").ok().quiet().clean()


@test("E24: names are looked for while others hold the loader's lock and make keys")
def loader_callback():
    before = plain("loader_callback").ok().says("done")
    carry("key:no_such_key;tls:no_such_word;fn:get=no_get,set=no_set", "loader_callback").same_as(before)
