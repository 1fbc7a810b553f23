"""check and the run agree about every form of item and hook: what it says of each is what becomes of it."""
import json
import shutil
import tempfile
from pathlib import Path

from compile import compiled
from harness import ROOT, call, expect, run, test
from needs import needs
from test_launcher import baton

# Of the program's own functions: F, one that is there; G, another one.
HOOKS = ["F(kind=call,fn=2,arg=3)", "F(kind=call,fn=2,arg=3,cbarg=2,repeat)", "F@main(kind=call,fn=2,arg=3)",
         "F@libnone(kind=call,fn=2,arg=3)", "F@libc(kind=call,fn=2,arg=3)", "F#none.c(kind=call,fn=2,arg=3)",
         "F(kind=call,fn=2,arg=3,how=got)", "F(kind=call,fn=2,arg=3,how=symbol)", "F(kind=call,fn=2,arg=3,how=patch)",
         "F(kind=call,fn=2,arg=3,outside)", "F(kind=call,fn=2,arg=3,unsafe)", "Fx(kind=call,fn=2,arg=3)",
         "nope(kind=call,fn=2,arg=3)", "nope(kind=call,fn=2,arg=3,how=symbol)", "F(kind=field,obj=1,off=8)",
         "F(kind=stdfunction,obj=2)", "F(kind=virtual,obj=2,slot=2)", "F(kind=virtual,obj=2,slot=2,slot=3,end=0,end=1)",
         "F(kind=submit,obj=2);G(kind=run,obj=1)", "F(kind=submit,obj=2);nope(kind=run,obj=1)",
         "nope(kind=submit,obj=2);G(kind=run,obj=1)", "F(kind=put,item=2);G(kind=get,item=ret)",
         "F(kind=put,item=2,queue=1,fifo,ok=0);G(kind=get,item=*1,ok=0)", "F(kind=submit,obj=2);F(kind=run,obj=1)",
         "F(kind=call,fn=2,arg=3);F(kind=call,fn=2,arg=3)", "F(kind=call,fn=2)", "F(kind=call,fn=2,arg=2)", "F(kind=cal,fn=2,arg=3)",
         "F", "F(kind=run,obj=1)", "malloc(kind=call,fn=1,arg=2)", "pthread_create(kind=call,fn=3,arg=4)",
         "qsort(kind=call,fn=4,arg=1)", "memcpy(kind=put,item=1);G(kind=get,item=ret)", "main(kind=call,fn=1,arg=2)",
         "preset:nope", "preset:apr_queue", "preset:std-future", "*nope*(kind=call,fn=2,arg=3)", "F*(kind=call,fn=2,arg=3)",
         "nope::nope(kind=call,fn=2,arg=3)", "main+0x10(kind=call,fn=1,arg=2)", "errno(kind=call,fn=1,arg=2)"]
# V: a thread-local word; O: an object of C++, or what may have a Drop; K: a key.
ITEMS = ["tls:V", "tls:V@main", "tls:V@libnone", "tls:V@libc", "tls:V#none.c", "tls:Vx", "tls:nope", "tls:F", "tls:O", "tls:O,codec=string",
         "tls:V,codec=string", "tls:O,codec=/nowhere.so", "tls:V,codec=nope", "tls:errno", "tls:*nope*", "tls:main+0x0:8",
         "tls:main+0x100000:8", "tls:libnone+0:8", "key:K", "key:V", "key:nope", "key:F", "key:by=nope", "key:by=F@libnone", "key:K,copy=8",
         "key:K,clone=nope,free=nope", "fn:get=F,set=nope", "fn:get=nope,set=nope", "fn:get=V,set=V", "fn:get=F", "swap:nope", "swap:V",
         "swap:setfsuid", "swap:setuid", "fn:get=geteuid,set=seteuid", "locale", "locale,dup", "fenv", "name", "ioprio", "umask", "adapter:nope",
         "adapter:mpfr", "adapter:log4cxx", "auto", "tls:V;tls:nope", "tls:V;fenv", "tls:", "key:", "fenv;fenv", "key:by=main", "key:by=F"]


def of_c(folder):
    return compiled("whole", "-O2", "hooks_main.c", "hooks_pools.c"), {"F": "call_submit", "G": "task_execute", "K": "request_key",
                                                                       "V": "no_word", "O": "no_object"}


def of_cxx(folder):
    names = {"F": "_ZN4Pool6submitEP4Task", "G": "_ZN4Pool7executeEP4Task", "V": "request_id", "O": "name", "K": "no_key"}
    return compiled("shapes", "-O2", "-std=c++14", "hooks_shapes.cc", compiler="g++"), names


def of_types(folder):
    return ROOT / "build/tests/programs/typed", {"F": "main", "G": "main", "V": "_ZL7request", "O": "_Z4userB5cxx11", "K": "no_key"}


def of_rust(folder):
    program = Path(folder, "program")
    call(["rustc", "-O", ROOT / "tests/programs/parts/rust_drop.rs", "-o", program], check=True)
    return program, {"F": "*rust_drop*main*", "G": "main", "V": "*rust_drop*6NUMBER*", "O": "*rust_drop*4NAME*", "K": "no_key"}


def of_stripped(folder):
    program, names = of_c(folder)
    bare = Path(folder, "bare")
    shutil.copy(program, bare)
    call(["strip", bare], check=True)
    return bare, names


PROGRAMS = {"C": of_c, "C++": of_cxx, "types of C++": of_types, "Rust": of_rust, "stripped": of_stripped}


def filled(text, names):
    """F, G, V, O and K are words of the text."""
    for letter, name in names.items():
        for end in "(@#,;x":
            for begin in (":", "=", ";"):
                text = text.replace(f"{begin}{letter}{end}", f"{begin}{name}{end}")
            if text.startswith(letter + end):
                text = name + text[1:]
        for begin in (":", "="):
            if text.endswith(begin + letter):
                text = text[:-1] + name
        if text.startswith(letter + "*"):
            text = name + text[1:]
    return text


def disagreement(program, carried, hooks):
    """What check and the run say differently of it; "": nothing."""
    words = (["--carry", carried] if carried is not None else []) + [word for hook in hooks for word in ("--hook", hook)]
    checked = baton("check", *words, "--", program)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report")
        env = {"BATON_CARRY": carried or "fenv", "BATON_HOOKS": ";".join(hooks), "BATON_REPORT": report}
        ran = run(program, "nothing", env=env, launched=True)
        lines = report.read_text().splitlines() if report.exists() else []
    counts = json.loads(lines[0]) if lines else {}
    slots = [slot["state"] for slot in counts.get("slots", [])] if carried is not None else ["bound"]
    states = [hook["state"] for hook in counts.get("hooks", [])]
    presets = any(hook.startswith("preset:") for hook in hooks)
    is_hooked = (any if presets else all)(state == "hooked" for state in states) and len(states) >= bool(hooks)
    carries = bool(slots) and all(state == "bound" for state in slots) and is_hooked and not counts.get("wrong_settings")
    waits = "its function has made no key yet" in [slot["reason"] for slot in counts.get("slots", [])]  # only the run tells
    if (checked.code == 0) == carries or (waits and "found in" in checked.out):
        return ""
    said = [f"{each['item']}: {each['state']}: {each['reason']}" for each in counts.get("slots", []) + counts.get("hooks", [])]
    return f"check says {checked.code} of {words}:\n{checked.out}{checked.err}the run, {ran.code}: {said}\n{ran.err}"


@needs(of=lambda program: ("rustc",) if program == "Rust" else ())
@test("check says 0 of what the run hooks and carries, and of nothing else, whatever is asked", each=PROGRAMS)
def agree(program):
    with tempfile.TemporaryDirectory() as folder:
        path, names = PROGRAMS[program](folder)
        told = [disagreement(path, None, filled(text, names).split(";")) for text in HOOKS]
        told += [disagreement(path, filled(text, names), []) for text in ITEMS]
    expect(not any(told), "\n\n".join(filter(None, told)))


@needs("Zydis")
@test("a function at an offset ends where its frame does: what lies behind it and is no code of it does not matter")
def ends_where_its_frame_does():
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "last.c"), Path(folder, "last")
        # 6 is no instruction of x86-64.
        source.write_text("""
void *volatile kept;
int main(void) { return 0; }
__attribute__((noinline)) void hand_over(void (*run)(void *), void *data) { kept = (void *)run; kept = data; run(data); kept = 0; }
__asm__(".text\\n.byte 6,6,6,6,6,6,6,6");
""")
        call(["cc", "-O2", "-fno-toplevel-reorder", "-o", program, source], check=True)
        nm = call(["nm", program], check=True, stdout=-1, text=True).stdout
        place = next(line.split()[0].lstrip("0") for line in nm.splitlines() if line.endswith(" hand_over"))
        call(["strip", program], check=True)
        baton("check", f"main+0x{place}(kind=call,fn=1,arg=2)", program).ok().says("hooked by a patch of its entry")
