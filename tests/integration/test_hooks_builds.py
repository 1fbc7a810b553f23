"""BATON_HOOKS and the ways in which programs are built: linkers, hardening, link-time optimisation."""
from compile import by_clang, compiled, not_o2
from harness import ROOT, Failure, call, carry, plain, test, this_machine_only
from needs import unable
from test_hooks import HOOKS, KEY, hooked, library

BUILDS = {
    "gold": ("gcc", "-O2", "-fuse-ld=gold"),
    "gold folding": ("gcc", "-O2", "-ffunction-sections", "-fuse-ld=gold", "-Wl,--icf=all,--gc-sections"),
    "lld": ("clang", "-O2", "-fuse-ld=lld"),
    "lld folding": ("clang", "-O2", "-ffunction-sections", "-fuse-ld=lld", "-Wl,--icf=all"),
    "no build-id": ("gcc", "-O2", "-Wl,--build-id=none"),
    "bound now": ("gcc", "-O2", "-Wl,-z,now"),
    "large model": ("gcc", "-O2", "-mcmodel=large"),
    "return thunks": ("gcc", "-O2", "-mfunction-return=thunk", "-mindirect-branch=thunk"),
    "hardened": ("gcc", "-O2", "-fstack-clash-protection", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2",
                 "-fcf-protection=full", "-Wl,-z,ibt,-z,shstk"),
    "packed relocations": ("gcc", "-O2", "-Wl,-z,pack-relative-relocs"),
    "no branch targets": ("gcc", "-O2", "-fcf-protection=none", "-fomit-frame-pointer"),
    "this processor": ("gcc", "-O2", "-ftree-vectorize", "-march=native"),
}


def build(compiler, *words, name="whole"):
    this_machine_only()
    sources = ["hooks_main.c", "hooks_pools.c"] if name == "whole" else []
    try:
        return compiled(name, *words, *sources, compiler=compiler)
    except Failure as failure:
        if any(word in str(failure) for word in ("cannot find 'ld'", "invalid linker name", "unrecognized", "unknown")):
            unable(f"{compiler} here cannot do {words}")
        raise


@test("code inside programs of all linkers and ways of hardening is patched", each=BUILDS)
def built(way):
    program = build(*BUILDS[way])
    for mode in ("call", "ring"):
        plain(program, mode).wrong()
        hooked(carry(KEY, program, mode, env={"BATON_HOOKS": HOOKS[mode]}, launched=True).ok().quiet().clean(),
               by="patch")


LTO = [(compiler, level) for compiler in ("gcc", "clang") for level in ("-O0", "-O1", "-O2", "-O3", "-Os")]


# (With the option unsafe it is right for all but clang from -O2 on, which leaves the callback out.)
@test("link-time optimisation makes functions static: refused with the reason, or hooked and right", each=LTO,
      release=not_o2)
def optimised_at_link(compiler, level):
    program = build(compiler, level, "-flto")
    after = carry(KEY, program, "call", env={"BATON_HOOKS": HOOKS["call"]}, launched=True)
    hook = after.reported()["hooks"][0]
    if hook["state"] == "hooked":
        hooked(after.ok().clean(), by="patch")
    else:
        after.wrong().says("ran 1000 wrong 1000")
        if not hook["reason"]:
            after.fail("no reason why it is not hooked")


def check(*words):
    return call([ROOT / "scripts" / "baton", "check", *words]).stdout


@test("hidden functions, whichever linker made them local", each=[(compiler, linker, place)
                                                                  for compiler in ("gcc", "clang")
                                                                  for linker in ("bfd", "gold", "lld")
                                                                  for place in ("program", "library")],
      release=by_clang)
def hidden(compiler, linker, place):
    words = ["-O2", f"-fuse-ld={linker}", '-DPOOL=__attribute__((noinline,visibility("hidden")))', "hooks_single.c"]
    if place == "library":
        inside = build(compiler, *words, "-shared", "-fPIC", "-DLIBRARY", name="libinside.so")
        program = build(compiler, "hooks_library_main.c", inside, f"-Wl,-rpath,{inside.parent}", name="inside")
    else:
        program = build(compiler, *words, name="inside")
    plain(program, "call").wrong()
    hooked(carry(KEY, program, "call", env={"BATON_HOOKS": HOOKS["call"]}, launched=True).ok().quiet().clean(), by="patch")


@test("functions of the same code that the linker folded: one item hooks both, which check says; two are refused")
def folded():
    program = build("clang", "-O1", "-ffunction-sections", "-fuse-ld=lld", "-Wl,--icf=all", "hooks_twins.c",
                    name="twins")
    first, second = "first_submit(kind=call,fn=2,arg=3)", "second_submit(kind=call,fn=2,arg=3)"
    said = check(first, program)
    if "note: calls of second_submit are hooked too: it is the same code" not in said:
        raise Failure(said)
    said = check(first, second, program)
    if "it is the same code as first_submit, which another item names already" not in said:
        raise Failure(said)
    after = carry(KEY, program, env={"BATON_HOOKS": f"{first};{second}"}, launched=True).ok()
    after.says("task one\ntask two\n").complains("the same code as first_submit")


@test("programs that check what they call: a callback that is replaced would fail, so it is not", each=("", ",unsafe"))
def checked_calls(option):
    program = build("clang", "-O1", "-flto", "-fvisibility=hidden", "-fsanitize=cfi-icall", "-fuse-ld=lld", "-rdynamic",
                    "-fno-inline", "-DPOOL=__attribute__((noinline,visibility(\"default\")))", "hooks_single.c",
                    name="cfi")
    plain(program, "call").wrong()
    hook = HOOKS["call"].replace("arg=3", f"arg=3{option}")
    after = carry(KEY, program, "call", env={"BATON_HOOKS": hook}, launched=True)
    if option:
        after.exits(-4)  # what the refusal is for: an illegal instruction of the program's own check
    else:
        after.wrong().complains("checks what it calls (cfi-icall)")
        keyed = carry(KEY, program, "ring", env={"BATON_HOOKS": HOOKS["ring"]}, launched=True).ok().quiet().clean()
        hooked(keyed, by="patch")


@test("a program of musl runs without baton, and is told so")
def musl():
    this_machine_only()
    program = compiled("twins", "-O1", "hooks_twins.c", compiler="musl-gcc")
    carry(KEY, program, launched=True).ok().says("task one\ntask two\n").complains("made for musl")
    carry(KEY, program, env={"BATON_HOOKS": "first_submit(kind=call,fn=2,arg=3)"}, launched=True).ok().complains("musl")


@test("a callback that runs again although it was said to run once: it runs bare, and that is said", each=("key", "tls"))
def again(carrier):
    program = compiled("again", "-O1", "hooks_again.c")
    hook = "five_times(kind=call,fn=1,arg=2)"
    after = carry(KEY if carrier == "key" else "fenv", program, env={"BATON_HOOKS": hook}, launched=True).ok()
    after.clean().says("ran 5000 wrong 0").complains("the option repeat is for such").bare("named", at_least=4000)
    if "the option repeat" not in after.reported()["hooks"][0]["reason"]:
        after.fail("the report must say it")
    repeated = hook.replace("arg=2", "arg=2,repeat")
    hooked(carry(KEY, program, env={"BATON_HOOKS": repeated}, launched=True).ok().quiet().says("ran 5000 wrong 0"))


@test("a submit function hands on to another that is named too: handed over once; the worker has its own again after each, "
      "and the program what is in its vector registers", each=("key", "tls", "key inherited", "tls inherited"))
def relay(words):
    program = compiled("relay", "-O2", "hooks_relay.c")
    words = words.split()
    items = KEY if "key" in words else "tls:request_id;tls:request_more"
    hooks = ";".join(f"{name}(kind=call,fn=1,arg=2)" for name in ("relay_submit", "inner_submit", "leaf_submit"))
    plain(program, *words).wrong()
    after = carry(items, program, *words, env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    hooked(after.says("wrong 0 lost 0 registers 0").carried("named", exactly=1500), by="patch")


@test("the same with objects: the worker has its own again, and the program what is in its vector registers", each=("key", "tls"))
def relay_objects(carrier):
    program = compiled("relay", "-O2", "hooks_relay.c")
    items = KEY if carrier == "key" else "tls:request_id;tls:request_more"
    hooks = "inner_submit(kind=submit,obj=2);leaf_submit(kind=submit,obj=2);task_run(kind=run,obj=1)"
    plain(program, carrier, "object").wrong()
    after = carry(items, program, carrier, "object", env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    hooked(after.says("wrong 0 lost 0 registers 0").carried("named", exactly=1500), by="patch")


@test("a signal handler that sets the key, after any instruction of a submit: the object runs with what was handed over",
      each=("", "inherited"))
def handler(words):
    this_machine_only()
    program = compiled("handler", "-O2", "hooks_handler.c")
    plain(program, *words.split()).wrong()
    hooks = "item_submit(kind=submit,obj=1);item_run(kind=run,obj=1)"
    after = carry(KEY, program, *words.split(), env={"BATON_HOOKS": hooks}, launched=True).ok().quiet().clean()
    hooked(after.says("wrong 0 enough 1"), by="patch")


@test("a profiler that looks at every stack meets the thunks and islands", each=("got", "symbol", "patch"))
def profiled(path):
    if path == "patch":
        program = compiled("profiled", "-O2", "hooks_profiled.c", "hooks_pools.c")
    else:
        pools = library()
        program = compiled("profiled", "-O2", "hooks_profiled.c", pools, f"-Wl,-rpath,{pools.parent}")
    for items in (KEY, f"{KEY};fenv"):
        after = carry(items, program, env={"BATON_HOOKS": HOOKS["call"]}, launched=path != "got", timeout=60).ok()
        hooked(after.quiet().clean(), by=path).says("ran 200000 wrong 0, looked at")
