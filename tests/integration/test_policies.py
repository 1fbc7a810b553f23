"""Policies (rule D16): values that outlive their request, each ended exactly once."""
import re
import shutil

from compile import compiled
from harness import LIBRARY, PROGRAMS, ROOT, carry, expect, idle, plain, test, this_machine_only
from needs import library as find_library, needs, require, runtime

ITEMS = {"key": "key:item_key", "owned": "key:item_owned", "tls": "tls:item_tls",
         "fn": "fn:get=item_get,set=item_set", "swap": "swap:item_swap"}
POLICIES = {"copy": "copy=24", "string": "string", "clone": "clone=item_clone,free=item_free",
            "ref": "ref=item_ref,unref=item_unref", "weak": "weak"}
EVENTS = ("owner-exits", "owner-frees", "owner-replaces", "owner-cancels", "owner-deletes-key", "unchanged", "twice",
          "task-replaces", "task-frees", "task-writes", "task-exits")
WATCHED = [("fn", "weak"), ("swap", "weak")]  # at the setter, which is patched: with baton run
NUMBER = {"owner-deletes-key": 0, "owner-cancels": -1}  # -1: no task ran


def events(kind):
    return [event for event in EVENTS if event != "owner-deletes-key" or kind in ("key", "owned")]


PAIRS = [(kind, policy) for kind in ITEMS for policy in POLICIES]
COMBINATIONS = [(kind, policy, event) for kind, policy in PAIRS for event in events(kind)]


def seen(policy, event):
    number = NUMBER.get(event, 7)
    return 0 if policy == "weak" and number > 0 and event not in ("unchanged", "task-exits") else number


def settings(kind, policy, **other):
    return f"{ITEMS[kind]},{ {**POLICIES, **other}[policy] }"


def hold(kind, policy, program, *args, before=(), **how):
    """Carries with `policy`; a setter is watched by baton run, which finds libasan by itself."""
    item = settings(kind, policy, copy=how.pop("copy", POLICIES["copy"]))
    if (kind, policy) not in WATCHED:
        return carry(item, program, *args, before=before, **how)
    return carry(item, program, *args, launched=True, **how).slot_is(item, "bound")


@test("D16: owner exits, frees, cancels, replaces, deletes the key; task replaces, frees, writes, exits: ended once",
      each=COMBINATIONS)
def ended_once(kind, policy, event):
    after = hold(kind, policy, "policies", kind, policy, event).ok().quiet().clean()
    after.says(f"{event}: task saw {seen(policy, event)}\n")


ALLOCATORS = ("", "libjemalloc.so.2", "libtcmalloc.so.4")


@needs(of=lambda name: (name,) if name else ())
@test("D16: copy=N takes N bytes of what the allocator does not know; what cannot be read has its reason in report and log",
      each=ALLOCATORS)
def copy_of_an_arena(name):
    program, item = compiled("arena", "-rdynamic", "arena.c"), "tls:request,copy=48"
    before = [find_library(name)] if name else []
    plain(program, before=before).ok().says(" nothing" * 8 + "\n")
    after = carry(item, program, before=before, env={"BATON_LOG": "warn"}).ok().clean()
    after.says(f" below behind mine mine sized-and-longer-than-24-bytes mapped-and-longer-than-16 mine {'short' if name else 'nothing'}\n")
    slot = after.slot_is(item, "bound").slot(item)
    if name:  # which block is shorter is not asked of it, and what can be read is taken
        after.quiet()
    else:
        after.complains(f'BATON_CARRY="{item}": its value is no address of memory that can be read')
        if slot.get("failures") != 1 or "can be read" not in slot.get("reason", ""):
            after.fail("expected one failure with its reason")


@test("D16: string, copy=N: a number, an address of nothing and a string without an end have no copy, and that is said; the others do")
def number_as_string():
    program = compiled("number_string", "-rdynamic", "number_string.c")
    plain(program).ok().says(" 0:nothing" * 8 + "\n")
    for policy in "string", "copy=6":
        item = f"tls:word,{policy}"
        after = carry(f"{item};tls:turn", program, env={"BATON_LOG": "warn"}).ok().clean()
        if policy == "string":
            after.says(" 1:nothing 2:nothing 3:nothing 4:nothing 5:right 6:across 7:across 8:nothing\n")
        else:
            after.says(" 1:nothing 2:nothing 3:nothing 4:nothing 5:right 6:across 7:across 8:")
        slot = after.complains(f'BATON_CARRY="{item}": its value is no address of ').slot(item)
        if slot.get("failures") != (5 if policy == "string" else 4):
            after.fail("expected a failure a wild value")


LENT_AGAIN = [("string", name) for name in ALLOCATORS] + [("clone=strdup,free=free", "")]


@needs(of=lambda name: (name,) if name else ())
@test("D16: string, clone: a worker's next task is lent what it should have, whatever the last one did; each is counted",
      each=LENT_AGAIN)
def lent_again(policy, name):
    program, before = compiled("lent_string", "lent_string.c", "-luv"), [find_library(name)] if name else []
    plain(program, before=before).ok().says(" nothing" * 8 + "\n")
    after = carry(f"key:request_key,{policy}", program, before=before).ok().clean().says(
        " one" * 6 + " much longer than what there was room for until now two\n")
    counts = after.slot(f"key:request_key,{policy}")["counts"]
    expect(counts == {"captured": 8, "empty": 0, "attached": 8}, f"the counts are {counts}")


@test("D16: without a policy the task has nothing of the request", each=ITEMS)
def plain_run(kind):
    for how in (plain, idle):
        how("policies", kind, "clone", "owner-exits").says("task saw 0\n")


def asan():
    require("libasan.so")
    return runtime("libasan.so")


def saw(after, kind, policy):
    after.ok().clean().says(*(f"{event}: task saw {seen(policy, event)}\n" for event in events(kind)))


@test("D16: each policy and each event, one after the other, under AddressSanitizer, copy= larger than the object",
      each=PAIRS)
def under_asan(kind, policy):
    saw(hold(kind, policy, "policies_address", kind, policy, *events(kind), before=[asan()],
             copy="copy=4096").quiet(), kind, policy)


@test("B13: a worker that a sanitizer starts in GLib's place inherits, and keeps nothing when it has ended", each=("locale", "tls:item_tls"))
def ended_worker(item):
    carry(item, "policies_address", "key", "weak", "task-exits", before=[asan()]).ok().quiet().clean().carried("pthread", 3)


VALGRIND = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite")


def under(policy, program, words_of):
    """All kinds in one process, one after the other; words_of(kind): what it does with them."""
    items = ";".join(settings(kind, policy) for kind in ITEMS)
    first = next(iter(ITEMS))
    words = [word for kind in ITEMS for word in (f"kind={kind}", *words_of(kind))]
    after = carry(items, *VALGRIND, PROGRAMS / program, first, policy, *words, timeout=150,
                  before=planned(items, program) if policy == "weak" else [])
    for kind, watched in WATCHED:
        if watched == policy:
            after.slot_is(settings(kind, policy), "bound")
    return after.ok().clean().says(*(f"kind={kind}\n" for kind in ITEMS))


def planned(items, program):
    """What baton run would preload for the program, for a program that is started by another one."""
    after = plain(LIBRARY.parent / "baton-plan", "object", PROGRAMS / program, env={"BATON_CARRY": items})
    return after.ok().quiet().out.split()


@needs("valgrind")
@test("D16: each policy, of every kind, and each event, one after the other, under valgrind: nothing lost, nothing freed "
      "twice", timeout=180, each=POLICIES)
def under_valgrind(policy):
    after = under(policy, "policies", events)
    for kind, said in zip(ITEMS, re.split(r"^kind=.*\n", after.out, flags=re.M)[1:]):
        for event in events(kind):
            if f"{event}: task saw {seen(policy, event)}\n" not in said:
                after.fail(f"{kind}, {event}: expected {seen(policy, event)}")


SHAPES = ("repeats", "removed", "parallel", "coroutine")


@test("D16: the policies of a callback that repeats, a source that is removed, a parallel region, a coroutine: ended once",
      each=PAIRS, timeout=100)
def shapes(kind, policy):
    plain("policy_shapes", kind, policy, "coroutine").says("the coroutine saw 0")
    hold(kind, policy, "policy_shapes", kind, policy, *SHAPES).ok().quiet().clean()
    # libasan warns of swapcontext, and hides that libgomp starts the workers.
    after = hold(kind, policy, "policy_shapes_address", kind, policy, *SHAPES, before=[asan()], env={"BATON_INHERIT": "none"})
    if "ERROR" in after.ok().clean().err:
        after.fail("AddressSanitizer complains")


@needs("valgrind")
@test("D16: the same under valgrind", each=POLICIES, timeout=180)
def shapes_under_valgrind(policy):
    under(policy, "policy_shapes", lambda kind: SHAPES)


PLUGIN = PROGRAMS / "policy_codec.so"
PLUGIN_ITEMS = {"key": "key:codec_key", "owned": "key:codec_owned", "tls": "tls:codec_tls",
                "fn": "fn:get=codec_get,set=codec_put"}
PLUGIN_POLICIES = {"share": "share", "copy": "copy=8", "string": "string", "clone": "clone=codec_clone,free=codec_free",
                   "ref": "ref=codec_ref,unref=codec_unref", "weak": "weak"}


# No plugin is patched: weak_unwatched.
PLUGIN_PAIRS = [(kind, policy) for kind in PLUGIN_ITEMS for policy in PLUGIN_POLICIES if (kind, policy) not in WATCHED]


def stays(kind, policy):
    """What baton calls or writes to when a task ends stays loaded: destructors, clone and free, functions, variables."""
    return f"still loaded {kind != 'key' or policy in ('clone', 'ref'):d}\n"


def unload(kind, policy, *command, **how):
    after = carry(f"{PLUGIN_ITEMS[kind]},{PLUGIN_POLICIES[policy]}", *command, PLUGIN, kind, policy, **how)
    after.ok().quiet().clean().says(stays(kind, policy))


@test("D16: the plugin whose context tasks wait with is closed: what is called later stays loaded, all is ended once",
      each=PLUGIN_PAIRS)
def owner_closes(kind, policy):
    plain("policy_unload", PLUGIN, kind, policy).says("still loaded 0\n", "task saw 0")
    unload(kind, policy, "policy_unload")
    # libasan takes some blocks of __tls_get_addr for those of glibc 2.19, and hides who starts a thread.
    unload(kind, policy, "policy_unload_address", before=[asan()],
           env={"ASAN_OPTIONS": "intercept_tls_get_addr=0", "BATON_INHERIT": "none"})


@needs("valgrind")
@test("D16: the same under valgrind, the kinds one after the other, each with a plugin of its own", timeout=120,
      each=PLUGIN_POLICIES)
def owner_closes_under_valgrind(policy, tmp_path):
    kinds = [kind for kind in PLUGIN_ITEMS if (kind, policy) in PLUGIN_PAIRS]
    items, words = [], []
    for kind in kinds:
        plugin = shutil.copy(PLUGIN, tmp_path / f"codec_of_{kind}.so")
        items.append(re.sub(r"(codec_\w+)", rf"\1@codec_of_{kind}", f"{PLUGIN_ITEMS[kind]},{PLUGIN_POLICIES[policy]}"))
        words += [plugin, kind, policy]
    after = carry(";".join(items), *VALGRIND, PROGRAMS / "policy_unload", *words, timeout=100).ok().quiet().clean()
    found = re.findall("still loaded.*\n", after.out)
    expect(found == [stays(kind, policy) for kind in kinds], after.out)
    expect(after.out.count("task saw 7\n") == sum("1" in line and policy != "weak" for line in found), after.out)


REMADE = [(kind, who, before) for kind in ("key", "owned") for who in ("task", "other", "thread")
          for before in ("untouched", "set", "taken")]
REMADE_ITEMS = {"shared": "key:item_key", "copied": "key:item_key,copy=8"}


@test("A1, D18: a key that is deleted and made again while a task runs is empty in it, and then its own", each=REMADE)
def key_remade(*case):
    for how, item in REMADE_ITEMS.items():
        carry(item, "key_remade", how, *case).ok().quiet().clean()
        # libasan hides that GLib starts the worker
        carry(item, "key_remade_address", how, *case, before=[asan()]).ok().quiet()


@needs("valgrind")
@test("A1, D18: the same under valgrind, one case after the other", each=REMADE_ITEMS)
def key_remade_under_valgrind(how):
    after = carry(REMADE_ITEMS[how], *VALGRIND, PROGRAMS / "key_remade", how, *(word for case in REMADE for word in case))
    after.ok().quiet().clean().says(*(" ".join(case) + "\n" for case in REMADE))


@test("E22: a policy that cannot be is refused with its place", each=(
    ("key:item_key,clone=item_clone", "expected free=FUNCTION too: clone=F,free=F"),
    ("key:item_key,free=item_free", "expected clone=FUNCTION before free=: clone=F,free=F"),
    ("key:item_key,ref=,unref=item_unref", "the name of a function"),
    ("key:item_key,copy=0", "a number of bytes from 1 to 1048576"),
    ("key:item_key,deep", "expected native, share, copy=N, string, clone=F,free=F, ref=F,unref=F or weak"),
    ("key:item_key,move", "expected another policy: move is for fn: only"),
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


PLUGIN_WEAK = {"fn": PLUGIN_ITEMS["fn"], "swap": "swap:codec_put"}
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
          ("cleared", f"{name},weak", "1"), ("replaced", name, "0"))])
def not_dangling(mode, item, strict, kind):
    is_watched = item.endswith(",weak") and (kind, "weak") in WATCHED
    carry(item, "dangling", mode, kind, env={"BATON_STRICT": strict}, launched=is_watched).ok().quiet().clean()


@test("D16: weak: a value whose owner runs another task meanwhile is still there", each=DANGLING)
def weak_aside(kind):
    plain("dangling", "aside", kind).wrong()
    carry(f"{DANGLING[kind]},weak", "dangling", "aside", kind, launched=(kind, "weak") in WATCHED).ok().quiet().clean()


@test("D16: weak on functions: baton check says how the setter is watched, and when it cannot be", each=("fn", "swap"))
def weak_checked(kind):
    check = [ROOT / "scripts" / "baton", "check", "--carry"]
    setter = {"fn": "item_set", "swap": "item_swap"}[kind]
    plain(*check, f"{DANGLING[kind]},weak", PROGRAMS / "policies").ok().says(
        f"{setter} in policies is watched for weak by a patch of its entry", "inlined")
    plain(*check, f"{DANGLING[kind]}", PROGRAMS / "policies").ok().never_says("watched")
    plain(*check, f"{PLUGIN_WEAK[kind]},weak", PROGRAMS / "policy_unload").wrong().says("to be watched for weak, is not hooked")


@test("D16: weak on functions: another item that hooks the setter already, or a library that comes later: refused",
      each=("fn", "swap"))
def weak_unwatched(kind):
    this_machine_only()
    item = f"{DANGLING[kind]},weak"
    setter = {"fn": "item_set", "swap": "item_swap"}[kind]
    after = carry(item, "policies", kind, "weak", "unchanged", launched=True,
                  env={"BATON_HOOKS": f"{setter}(kind=submit,obj=1,how=patch);item_get(kind=run,obj=1,how=patch)"})
    after.ok().says("task saw 0\n").complains(f'BATON_CARRY="{item}"', "another item names this function already")
    after.slot_is(item, "refused")
    item = f"{PLUGIN_WEAK[kind]},weak"
    carry(item, "policy_unload", PLUGIN, "fn", "weak", launched=True).complains(item, "baton run").slot_is(item, "refused")


@test("D16: a value that is held is each task's own, as it was when it was handed over, beside a word, too", each=("string", "copy=8"))
def beside_word(policy):
    one_worker = {"UV_THREADPOOL_SIZE": "1"}
    plain("held_beside_word", env=one_worker).says("0 none\n0 none\n0 none\nown two\n")
    after = carry(f"key:text_key,{policy};tls:request_word", "held_beside_word", env=one_worker)
    after.says("1 one\n1 two\n1 two\nown two\n").clean()


@test("D16, E21: a value whose memory is unmapped since is no crash where copies are made",
      each=[(policy, memory) for policy in ("copy=64", "string") for memory in ("block", "mapping", "heap")])
def freed_and_unmapped(policy, memory):
    plain("copy_freed", memory).wrong()
    carry(f"key:request_key,{policy}", "copy_freed", memory).ok().clean()


ALONE = {"GC_MARKERS": "1"}  # no threads of the collector's own, which are still there at exit
KEEPING = {"copy=32": "most", "string": "most", "clone=request_clone,free=request_free": "most", "ref=request_ref,unref=request_unref": "none"}


@test("D16: a collector's value that only a context holds is gone with share, nothing with weak, the task's own where it is kept")
def collected():
    plain("collected", "dropped").ok().says("own 0 none 64 other 0\nmost collected\nall ended\n")
    carry("key:request_key", "collected", "dropped", env=ALONE).wrong()
    carry("key:request_key,weak", "collected", "dropped", env=ALONE).says("own 0 none 64 other 0\nmost collected\nall ended\n").clean()
    carry("key:request_key", "collected", "kept", env=ALONE).says("own 64 none 0 other 0\nnone collected\nall ended\n").clean()
    carry("key:request_key,weak", "collected", "kept", env=ALONE).says("own 1 none 63 other 0\nnone collected\nall ended\n").clean()


@test("D16: a collector's value is each task's own when its copy, or its root, is kept as the guide says", each=tuple(KEEPING))
def collected_and_kept(policy):
    plain("collected", "dropped").says("own 0 none 64 other 0\nmost collected\nall ended\n")
    after = carry(f"key:request_key,{policy}", "collected", "dropped", env=ALONE)
    after.says(f"own 64 none 0 other 0\n{KEEPING[policy]} collected\nall ended\n").clean()
