"""Policies (rule D16): values that outlive their request, each ended exactly once."""
import shutil
import subprocess

from harness import PROGRAMS, carry, idle, plain, run, skip, test

ITEMS = {"key": "key:item_key", "owned": "key:item_owned", "tls": "tls:item_tls",
         "fn": "fn:get=item_get,set=item_set"}
POLICIES = {"copy": "copy=24", "string": "string", "clone": "clone=item_clone,free=item_free",
            "ref": "ref=item_ref,unref=item_unref", "weak": "weak"}
EVENTS = ("exits", "owner-replaces", "owner-cancels", "owner-deletes-key", "unchanged", "twice",
          "task-replaces", "task-frees", "task-writes", "task-exits")
NUMBER = {"owner-deletes-key": 0, "owner-cancels": None}


def combinations():
    for event in EVENTS:
        for kind in ITEMS:
            for policy in POLICIES:
                if policy == "weak" and (kind == "fn" or event == "task-exits"):
                    continue  # fn: refused; a thread that started before the owner let go has its value
                if event == "owner-deletes-key" and kind in ("tls", "fn"):
                    continue
                yield kind, policy, event


def seen(policy, event):
    number = NUMBER.get(event, 7)
    return 0 if policy == "weak" and event not in ("unchanged", "owner-cancels") else number


def settings(kind, policy, **other):
    return f"{ITEMS[kind]},{ {**POLICIES, **other}[policy] }"


@test("D16: owner exits, cancels, replaces, deletes the key; task replaces, frees, writes, exits: ended once",
      each=list(combinations()))
def ended_once(kind, policy, event):
    after = carry(settings(kind, policy), "policies", kind, policy, event).ok().quiet().clean()
    if seen(policy, event) is not None:
        after.says(f"task saw {seen(policy, event)}\n")


@test("D16: without a policy the task has nothing of the request", each=ITEMS)
def plain_run(kind):
    for how in (plain, idle):
        how("policies", kind, "clone", "exits").says("task saw 0\n")


def asan():
    path = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    return path if "/" in path else skip("libasan is not installed")


@test("D16: the same under AddressSanitizer, with copy= larger than the object", each=list(combinations()))
def under_asan(kind, policy, event):
    after = carry(settings(kind, policy, copy="copy=4096"), "policies_address", kind, policy, event,
                  before=[asan()]).ok().quiet().clean()
    if seen(policy, event) is not None:
        after.says(f"task saw {seen(policy, event)}\n")


@test("D16: the same under valgrind: nothing lost, nothing freed twice", timeout=120,
      each=[(kind, policy, event) for kind, policy, event in combinations()
            if kind == "owned" or (kind == "tls" and event in ("exits", "task-replaces", "task-frees"))])
def under_valgrind(kind, policy, event):
    if not shutil.which("valgrind"):
        skip("no valgrind")
    after = run("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
                PROGRAMS / "policies", kind, policy, event, env={"BATON_CARRY": settings(kind, policy)}, timeout=60)
    after.ok()
    if seen(policy, event) is not None:
        after.says(f"task saw {seen(policy, event)}\n")


@test("D16: a library whose functions clone and free is kept loaded")
def unload():
    plugin = PROGRAMS / "policy_codec.so"
    plain("policy_unload", plugin).says("still loaded 0\n", "task saw 0\n")
    for policy, *args in (("clone=codec_clone,free=codec_free",), ("ref=codec_ref,unref=codec_unref", "referenced")):
        after = carry(f"key:codec_key,{policy}", "policy_unload", plugin, *args).ok().quiet().clean()
        after.says("still loaded 1\n", "task saw 7\n")


@test("D16: a library that holds nothing of the policy goes; what tasks wait with is ended all the same",
      each=("copy=8", "string", "weak", "share"))
def unload_for_good(policy):
    carry(f"key:codec_key,{policy}", "policy_unload", PROGRAMS / "policy_codec.so").ok().quiet().clean()


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
    after = carry(item, "policies", "key", "copy", "exits").ok().says("task saw 0\n")
    after.complains("BATON_CARRY=", expected)


@test("E22: a policy's function that is not there leaves the slot empty and says so")
def function_missing():
    after = carry("key:item_key,clone=item_copy,free=item_free", "policies", "key", "clone", "exits").ok().quiet().clean()
    after.says("task saw 0\n").slot_is("key:item_key,clone=item_copy,free=item_free", "unmatched")


@test("E23: a clone that cannot be made leaves the slot empty, and is counted")
def clone_fails():
    item = "key:item_key,clone=item_get,free=item_free"  # answers NULL: nothing is behind it
    after = carry(item, "policies", "key", "clone", "exits").ok().quiet().clean().says("task saw 0\n")
    if after.slot(item).get("failures") != 1:
        after.fail("expected one failure of the slot")


@test("strict: a value that is replaced while handoffs hold it is said, with slot, place, count and what to do",
      each=(("replaced", "replaced"), ("cleared", "set to NULL")))
def dangling(mode, word):
    after = carry("key:item_key", "dangling", mode, env={"BATON_STRICT": "1"}).ok().clean()
    after.complains(f'BATON_CARRY="key:item_key": a value was {word} while 3 handoffs still hold it, handed over in '
                    "serve_request+0x", "of dangling", "clone=F,free=F")
    if after.err.count("handoffs still hold") != 1 or after.slot("key:item_key").get("dangling") != 1:
        after.fail("said once, and counted")


@test("strict: nothing is said of a value that nobody holds, of a number, of a copy, or without strict", each=(
    ("waits", "key:item_key", "1"), ("number", "key:item_key", "1"), ("replaced", "key:item_key,copy=8", "1"),
    ("cleared", "key:item_key,weak", "1"), ("replaced", "key:item_key", "0")))
def not_dangling(mode, item, strict):
    carry(item, "dangling", mode, env={"BATON_STRICT": strict}).ok().quiet().clean()
