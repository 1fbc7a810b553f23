"""baton discover: which ways from one thread to another are handoffs, and which are answers."""
import re

from compile import compiled
from harness import PROGRAMS, ROOT, plain, test
from needs import needs
from test_discover import SYMBOLS, by_newer_gcc, code_is_read, found_in, looks_again, stripped
from test_launcher import baton, expect

PROGRAMS_OF_TESTS = ROOT / "tests/programs"


def could_be_told(text):
    by_newer_gcc("which function hands the work over could not be told" in text, "a stripped pool's functions do not show who hands over")


@needs("Zydis")
@test("discover: who waits for the answer to what it has handed over, with its context, is no pool, with symbols and stripped")
@looks_again
def answers_are_no_pool(tmp_path):
    bare, conf = tmp_path / "pool", tmp_path / "found.conf"
    plain("strip", "-o", bare, PROGRAMS / "pool_beside").ok()
    for program in (PROGRAMS / "pool_beside", bare):
        baton("discover", "-o", conf, "--", program, "own").ok()
        text = conf.read_text()
        if program == bare:
            could_be_told(text)
        items = re.findall(r"^[^#\n].*\(kind=.*", text, re.M)
        expect(len(items) == 1 and "(kind=stdfunction,obj=2)" in items[0] and "could not be told" not in text, text)
        expect(re.search(r"^#   \d+ times .* was woken .*: the answer to what it had handed over", text, re.M), text)
    baton("run", "--verdict", "--config", conf, "--", bare, "own").ok().says("right 200 wrong 0").complains("baton: ok: ")


@needs("Zydis")
@test("discover: a loop that is told that its work is done, and has other requests by then, is handed over to")
def loops_are_told(tmp_path):
    program, conf = PROGRAMS / "discover_loop", tmp_path / "found.conf"
    for _ in range(5): # one that takes it for an answer does not so in every run
        baton("discover", "-o", conf, "--", program).ok()
        text = conf.read_text()
        expect(re.search(r"^tell_loop\(kind=call,fn=1,arg=2\)$", text, re.M) and ": the answer" not in text, text)
    baton("run", "--verdict", "--carry", "tls:current_request", "--hook", "tell_loop(kind=call,fn=1,arg=2)",
          "--hook", "give_work(kind=call,fn=1,arg=2)", "--", program).ok().says("right 80 wrong 0").complains("baton: ok: ")


@needs(of=code_is_read, programs=["discover_log4cplus"])
@test("discover of a log4cplus server under load: the adapter and the pool's function, exactly, and a run is right with them", each=SYMBOLS)
@looks_again
def log4cplus_server(how, tmp_path):
    program, conf = stripped(PROGRAMS / "discover_log4cplus", how, tmp_path), tmp_path / "found.conf"
    baton("discover", "-o", conf, "--", program).ok().says("right 0 wrong 200")
    if how == "stripped":
        could_be_told(conf.read_text())
    items = re.findall(r"^[^#\n].*", conf.read_text(), re.M)
    expect(len(items) == 2 and items[0] == "adapter:log4cplus" and items[1].endswith("(kind=stdfunction,obj=1)"), conf.read_text())
    baton("run", "--verdict", "--config", conf, "--", program).ok().says("right 200 wrong 0").complains("baton: ok: 200 tasks ran")


@test("a worker that spins and never waits: the verdict says that nothing was carried, discover why it sees no pool and where to look, "
      "and with what stands there the run is right")
def spins(tmp_path):
    program = PROGRAMS / "discover_spins"
    baton("run", "--verdict", "--carry", "tls:current_request", "--", program).says("right 0 wrong 100").complains(
        "baton: NOTHING CARRIED: no task saw a value: 1 thread was started before any item had one", f"baton discover -- {program}")
    baton("discover", "--", program).ok().says("#   none was seen\n", "threads never waited: one that spins",
                                               f"handed over: baton discover --static {program}\n")
    said = baton("discover", "--static", program).ok().says("    submit(kind=call,fn=1,arg=2)\n", "    tls:current_request\n")
    expect(said.out.count("(kind=") == 1, said.out)
    baton("run", "--verdict", "--carry", "tls:current_request", "--hook", "submit(kind=call,fn=1,arg=2)", "--", program).says(
        "right 100 wrong 0").complains("baton: ok: 100 tasks ran")


@needs("Zydis")
@test("discover of workers that do always the same with what they take: the two functions that get it, and the run is right; stripped "
      "it says what they are and how to name them", each=("symbols", "debug file", "stripped"))
@looks_again
def always_the_same(how, tmp_path):
    program, conf = stripped(PROGRAMS / "discover_typed", how, tmp_path), tmp_path / "found.conf"
    plain(program).exits(1).says("right 0 wrong 40")
    baton("discover", "-o", conf, "--", program).says("right 0 wrong 40").complains("; next: baton run --config")
    items = re.findall(r"^[^#\n].*", conf.read_text(), re.M)
    if how == "stripped":
        expect(len(items) == 1 and items[0].startswith("tls:main+0x"), conf.read_text())
        expect("It calls no function that it was given" in conf.read_text() and "(kind=run,obj=1)" in conf.read_text(), conf.read_text())
        return
    expect(items == ["tls:current_request", "queue_push(kind=submit,obj=1)", "handle_job(kind=run,obj=1)"], conf.read_text())
    expect(found_in(program)[0]["hooks"] == items[1:], items)
    baton("run", "--verdict", "--config", conf, "--", program).ok().says("right 40 wrong 0").complains("baton: ok: 40 tasks ran")


@needs("Zydis")
@test("discover: a thread that does always the same, and reads nothing of who woke it, is no pool")
@looks_again
def always_the_same_for_nobody(tmp_path):
    data, left = found_in(PROGRAMS / "discover_typed", "log")
    expect(not data["carry"] and not data["hooks"] and "tls:current_request" in left, data)


@needs("Zydis", "clang++")
@test("discover of a stripped pool of std::function that clang has built: the function that hands over", each=("-O1", "-O2", "-O3"))
@looks_again
def by_clang(level, tmp_path):
    program = compiled("pool", level, "-g", "-I", PROGRAMS_OF_TESTS, PROGRAMS_OF_TESTS / "discover_pool_cxx.cc", compiler="clang++")
    bare, conf = stripped(program, "stripped", tmp_path), tmp_path / "found.conf"
    baton("discover", "-o", conf, "--", bare).says("right 0 wrong 40")
    expect(re.search(r"^main\+0x[0-9a-f]+\(kind=stdfunction,obj=2\)$", conf.read_text(), re.M), conf.read_text())
    baton("run", "--config", conf, "--", bare).ok().quiet().says("right 40 wrong 0")


@needs("Zydis")
@test("discover: a worker that tells that it is done, which nobody waits for, hands over nothing to one of its kind that never waited")
@looks_again
def done_is_no_handoff():
    data, left = found_in(PROGRAMS / "discover_done")
    expect(data["carry"] == ["tls:current_request"] and "tls:text" in left, data)
    expect(("worker", "worker") not in {(way["from"], way["to"]) for way in data["handoffs"]}, data)
