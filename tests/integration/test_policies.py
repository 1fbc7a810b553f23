"""Policies (rule D16): values that outlive their request, each ended exactly once."""
import shutil
import subprocess

from harness import PROGRAMS, carry, idle, plain, skip, test

ITEMS = {"key": "key:item_key", "owned": "key:item_owned", "tls": "tls:item_tls",
         "fn": "fn:get=item_get,set=item_set", "swap": "swap:item_swap"}
POLICIES = {"copy": "copy=24", "string": "string", "clone": "clone=item_clone,free=item_free",
            "ref": "ref=item_ref,unref=item_unref", "weak": "weak"}
EVENTS = ("owner-exits", "owner-frees", "owner-replaces", "owner-cancels", "owner-deletes-key", "unchanged", "twice",
          "task-replaces", "task-frees", "task-writes", "task-exits")
REFUSED = [("fn", "weak"), ("swap", "weak")]
NUMBER = {"owner-deletes-key": 0, "owner-cancels": -1}  # -1: no task ran


def events(kind):
    return [event for event in EVENTS if event != "owner-deletes-key" or kind in ("key", "owned")]


PAIRS = [(kind, policy) for kind in ITEMS for policy in POLICIES if (kind, policy) not in REFUSED]
COMBINATIONS = [(kind, policy, event) for kind, policy in PAIRS for event in events(kind)]


def seen(policy, event):
    number = NUMBER.get(event, 7)
    return 0 if policy == "weak" and number > 0 and event not in ("unchanged", "task-exits") else number


def settings(kind, policy, **other):
    return f"{ITEMS[kind]},{ {**POLICIES, **other}[policy] }"


@test("D16: owner exits, frees, cancels, replaces, deletes the key; task replaces, frees, writes, exits: ended once",
      each=COMBINATIONS)
def ended_once(kind, policy, event):
    after = carry(settings(kind, policy), "policies", kind, policy, event).ok().quiet().clean()
    after.says(f"{event}: task saw {seen(policy, event)}\n")


@test("D16: without a policy the task has nothing of the request", each=ITEMS)
def plain_run(kind):
    for how in (plain, idle):
        how("policies", kind, "clone", "owner-exits").says("task saw 0\n")


def asan():
    path = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    return path if "/" in path else skip("libasan is not installed")


def saw(after, kind, policy):
    after.ok().clean().says(*(f"{event}: task saw {seen(policy, event)}\n" for event in events(kind)))


@test("D16: each policy and each event, one after the other, under AddressSanitizer, copy= larger than the object",
      each=PAIRS)
def under_asan(kind, policy):
    saw(carry(settings(kind, policy, copy="copy=4096"), "policies_address", kind, policy, *events(kind),
              before=[asan()]).quiet(), kind, policy)


VALGRIND = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite")


@test("D16: each policy and each event, one after the other, under valgrind: nothing lost, nothing freed twice",
      timeout=120, each=PAIRS)
def under_valgrind(kind, policy):
    if not shutil.which("valgrind"):
        skip("no valgrind")
    saw(carry(settings(kind, policy), *VALGRIND, PROGRAMS / "policies", kind, policy, *events(kind), timeout=100),
        kind, policy)


SHAPES = ("repeats", "removed", "parallel", "coroutine")


@test("D16: the policies of a callback that repeats, a source that is removed, a parallel region, a coroutine: ended once",
      each=PAIRS, timeout=100)
def shapes(kind, policy):
    item = settings(kind, policy)
    plain("policy_shapes", kind, policy, "coroutine").says("the coroutine saw 0")
    carry(item, "policy_shapes", kind, policy, *SHAPES).ok().quiet().clean()
    # libasan warns of swapcontext, and hides that libgomp starts the workers.
    after = carry(item, "policy_shapes_address", kind, policy, *SHAPES, before=[asan()], env={"BATON_INHERIT": "none"})
    if "ERROR" in after.ok().clean().err:
        after.fail("AddressSanitizer complains")
    if shutil.which("valgrind"):
        carry(item, *VALGRIND, PROGRAMS / "policy_shapes", kind, policy, *SHAPES, timeout=80).ok().clean()


PLUGIN = PROGRAMS / "policy_codec.so"
PLUGIN_ITEMS = {"key": "key:codec_key", "owned": "key:codec_owned", "tls": "tls:codec_tls",
                "fn": "fn:get=codec_get,set=codec_put"}
PLUGIN_POLICIES = {"share": "share", "copy": "copy=8", "string": "string", "clone": "clone=codec_clone,free=codec_free",
                   "ref": "ref=codec_ref,unref=codec_unref", "weak": "weak"}


def unload(kind, policy, *command, **how):
    """What baton calls or writes to when a task ends stays loaded: destructors, clone and free, functions, variables."""
    if (kind, policy) in REFUSED:
        return
    after = carry(f"{PLUGIN_ITEMS[kind]},{PLUGIN_POLICIES[policy]}", *command, PLUGIN, kind, policy, **how)
    stays = kind != "key" or policy in ("clone", "ref")
    after.ok().quiet().clean().says(f"still loaded {stays:d}\n")


@test("D16: the plugin whose context tasks wait with is closed: what is called later stays loaded, all is ended once",
      each=[(kind, policy) for kind in PLUGIN_ITEMS for policy in PLUGIN_POLICIES])
def owner_closes(kind, policy):
    plain("policy_unload", PLUGIN, kind, policy).says("still loaded 0\n", "task saw 0")
    unload(kind, policy, "policy_unload")
    # libasan takes some blocks of __tls_get_addr for those of glibc 2.19, and hides who starts a thread.
    unload(kind, policy, "policy_unload_address", before=[asan()],
           env={"ASAN_OPTIONS": "intercept_tls_get_addr=0", "BATON_INHERIT": "none"})


@test("D16: the same under valgrind", timeout=120,
      each=[(kind, policy) for kind in PLUGIN_ITEMS for policy in PLUGIN_POLICIES])
def owner_closes_under_valgrind(kind, policy):
    if not shutil.which("valgrind"):
        skip("no valgrind")
    unload(kind, policy, *VALGRIND, PROGRAMS / "policy_unload", timeout=100)


REMADE = [(kind, who, before, *copied) for kind in ("key", "owned") for who in ("task", "other", "thread")
          for before in ("untouched", "set", "taken") for copied in ((), ("copied",))]


@test("A1, D18: a key that is deleted and made again while a task runs is empty in it, and then its own", each=REMADE)
def key_remade(*how):
    item = "key:item_key,copy=8" if "copied" in how else "key:item_key"
    carry(item, "key_remade", *how).ok().quiet().clean()
    carry(item, "key_remade_address", *how, before=[asan()]).ok().quiet()  # libasan hides that GLib starts the worker
    if shutil.which("valgrind"):
        carry(item, *VALGRIND, PROGRAMS / "key_remade", *how, timeout=50).ok().quiet().clean()


@test("E22: a policy that cannot be is refused with its place", each=(
    ("key:item_key,clone=item_clone", "both clone=FUNCTION and free=FUNCTION"),
    ("key:item_key,free=item_free", "clone=FUNCTION before free=FUNCTION"),
    ("key:item_key,ref=,unref=item_unref", "the name of a function"),
    ("key:item_key,copy=0", "a number of bytes from 1 to 1048576"),
    ("key:item_key,deep", "expected share, copy=N, string, clone=F,free=F, ref=F,unref=F, move or weak"),
    ("key:item_key,move", "move with fn: only"),
    ("fn:get=item_get,set=item_set,weak", "another policy"),
    ("fn:get=item_get,set=item_set,free=item_free,string", "either free=FUNCTION"),
))
def refused(item, expected):
    after = carry(item, "policies", "key", "copy", "owner-exits").ok().says("task saw 0\n")
    after.complains("BATON_CARRY=", expected)


@test("E22: a policy's function that is not there leaves the slot empty and says so")
def function_missing():
    after = carry("key:item_key,clone=item_copy,free=item_free", "policies", "key", "clone", "owner-exits").ok().quiet().clean()
    after.says("task saw 0\n").slot_is("key:item_key,clone=item_copy,free=item_free", "unmatched")


@test("E23: a clone that cannot be made leaves the slot empty, and is counted")
def clone_fails():
    item = "key:item_key,clone=item_get,free=item_free"  # answers NULL: nothing is behind it
    after = carry(item, "policies", "key", "clone", "owner-exits").ok().quiet().clean().says("task saw 0\n")
    if after.slot(item).get("failures") != 1:
        after.fail("expected one failure of the slot")


@test("E24: weak: a child of fork looks for nothing in threads that it does not have")
def fork_weak():
    plain("fork_weak").wrong()
    carry("tls:item_tls,weak", "fork_weak").ok().quiet().clean()


DANGLING = {"key": "key:item_key", "tls": "tls:item_tls", "fn": "fn:get=item_get,set=item_set", "swap": "swap:item_swap"}


@test("strict: a value that is replaced while handoffs hold it is said, with slot, place, count and what to do",
      each=[(mode, word, kind) for mode, word in (("replaced", "replaced"), ("cleared", "set to NULL"))
            for kind in DANGLING])
def dangling(mode, word, kind):
    item = DANGLING[kind]
    after = carry(item, "dangling", mode, kind, env={"BATON_STRICT": "1"}).ok().clean()
    after.complains(f'BATON_CARRY="{item}": a value was {word} while 3 handoffs still hold it, handed over in '
                    "serve_request+0x", "of dangling", "clone=F,free=F")
    if after.err.count("handoffs still hold") != 1 or after.slot(item).get("dangling") != 1:
        after.fail("said once, and counted")


@test("strict: nothing is said of a value that nobody holds, of a number, of a copy, of one whose owner runs something "
      "else meanwhile, or without strict",
      each=[(mode, item, strict, kind) for kind, name in DANGLING.items() for mode, item, strict in (
          ("waits", name, "1"), ("number", name, "1"), ("aside", name, "1"), ("replaced", f"{name},copy=8", "1"),
          ("cleared", f"{name},weak", "1"), ("replaced", name, "0")) if (kind, "weak") not in REFUSED or "weak" not in item])
def not_dangling(mode, item, strict, kind):
    carry(item, "dangling", mode, kind, env={"BATON_STRICT": strict}).ok().quiet().clean()


@test("D16: weak: a value whose owner runs another task meanwhile is still there", each=("key", "tls"))
def weak_aside(kind):
    plain("dangling", "aside", kind).wrong()
    carry(f"{DANGLING[kind]},weak", "dangling", "aside", kind).ok().quiet().clean()
