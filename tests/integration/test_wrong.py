"""E22: settings that make no sense (the table is in wrong_settings.py): what is said of each, word for word."""
import itertools
import os
import tempfile
from pathlib import Path

from harness import BUILD, LIBRARY, Failure, call, this_machine_only, test
from wrong_settings import WRONG

VARIABLES = sorted({row[0] if row[0] in ("BATON_CARRY", "BATON_HOOKS", "FILE", "BATON_CONFIG") else "others" for row in WRONG})


def rows_of(group):
    return [row for row in WRONG if row[0] == group or (group == "others" and row[0] not in VARIABLES)]


def said_of(row, folder, **more):
    """What a program that hands nothing over is told, and how it ends."""
    variable, value, *messages = row
    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(LIBRARY), **more}
    place = f'{variable}="{value}": '
    if variable == "FILE":
        file = Path(folder) / "settings"
        file.write_bytes(value.encode("utf-8", "surrogateescape"))
        variable, value, place = "BATON_CONFIG", str(file), ""
    if variable not in more:
        environment[variable] = value
    done = call(["/bin/true"], env=environment, cwd=folder, encoding="utf-8", errors="strict")
    lines = done.stderr.splitlines()
    said = [line.replace(f"{folder}/settings", "FILE") for line in lines]
    return done, said, ["baton: " + message.replace("NAME: ", place, 1) for message in messages]


@test("E22: a setting that makes no sense is said, word for word, and changes nothing else", each=VARIABLES, timeout=120)
def wrong_settings(group):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows_of(group):
            done, said, expected = said_of(row, folder)
            if said != expected or done.returncode or done.stdout:
                raise Failure(f"{row[0]}={row[1]!r:.200}: exit {done.returncode}\nsaid     {said}\nexpected {expected}")


@test("E22: BATON_STRICT=1 ends the program with 64 for every one of them", each=VARIABLES, timeout=120)
def wrong_settings_strict(group):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows_of(group):
            done, said, expected = said_of(row, folder, BATON_STRICT="1")
            if row[0] != "BATON_STRICT" and (done.returncode != 64 or said != expected):
                raise Failure(f"{row[0]}={row[1]!r:.200}: exit {done.returncode}, said {said}")


RIGHT = ["TRACE=written\nkey:a\nSHOW=all\n", "TRACE=written\nkey:by=mk,weak\nSHOW=key:by=mk=none\n", "key:by=mk\nPUBLISH=otel:key:by=mk\n",
         "key:by=mk\nPUBLISH=otel:key:by=mk=made\n", "key:gr\u00f6\u00dfe\n", "gr\u00f6\u00dfe(kind=call,fn=1,arg=2)\n", "OWN=libx\nPOOLS=liby\n",
         "f(kind=stdfunction,obj=1,cbarg=2)\n", "f(kind=field,obj=1,off=8,data=0)\n"]


@test("E22: what looks like a wrong setting and makes sense is taken, without a word", each=RIGHT)
def right_settings(text):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        done, said, _ = said_of(("FILE", text), folder, BATON_STRICT="1")
        if done.returncode or said:
            raise Failure(f"exit {done.returncode}: {said}")


@test("E22: the table has 300 settings and more, none twice")
def wrong_settings_are_many():
    if len({row[:2] for row in WRONG}) != len(WRONG) or len(WRONG) < 300 or not BUILD.is_dir():
        raise Failure(f"{len(WRONG)} rows")


# What names one context, each with every other of its row; rows name different ones.
ONE = [
    ["key:n", "key:n@main", "key:n,native", "key:n,string"],
    ["key:by=f", "key:by=f#1", "key:by=f#01", "key:by=f@main", "key:by=f#1@main,native"],
    ["key:by=f#2", "key:by=f#002@main"],
    ["key:n=1", "key:n=01", "key:n=1,weak"],
    ["key:main+0x10", "key:main+0x010", "key:main+0X10", "key:main+0x10,native"],
    ["key:main+0xab", "key:main+0xAB"],
    ["tls:w", "tls:w@main", "tls:w#a.c", "tls:w@main#a.c", "tls:w,string"],
    ["tls:v@libx", "tls:v@libx.so", "tls:v@libx.so.1"],
    ["tls:v@liby"],
    ["tls:u#a.c"], ["tls:u#b.c"],
    ["tls:main+0x10:8", "tls:main+0x10:4", "tls:main+0x0:0017", "tls:main+0xc:16"],
    ["tls:main+0x20:8"],
    ["fn:get=g,set=s", "fn:get=g@main,set=s", "fn:set=s,get=g", "fn:get=g,set=t", "swap:g", "fn:fill=g,size=8,set=u", "fn:at=g,size=8"],
    ["fn:get=a,set=b", "fn:get=c,set=b", "swap:b", "fn:fill=d,size=4,set=b@main", "fn:fill=e,size=4,put=b", "fn:get=h,set=b,move"],
    ["swap:x", "swap:x@main", "swap:x,string"],
    ["locale", "locale,dup", "swap:uselocale", "fn:get=current,set=uselocale"],
    ["fenv", "fn:get=fegetround,set=fesetround"],
    ["name"], ["ioprio"], ["qt:w"], ["key:w"],
]

@test("E22: what names one context twice, whatever it is called, is refused; what names two is not", timeout=300)
def one_context_twice():
    this_machine_only()
    items = [(item, row) for row, group in enumerate(ONE) for item in group]
    wrong = []
    for (one, row), (other, other_row) in itertools.permutations(items, 2):
        done = call(["/bin/true"], env={"PATH": os.environ["PATH"], "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": f"{one};{other}"})
        is_said = "expected once" in done.stderr
        if is_said != (row == other_row) or done.returncode:
            wrong.append((one, other, done.stderr))
    if wrong:
        raise Failure("\n".join(map(str, wrong[:30])))
