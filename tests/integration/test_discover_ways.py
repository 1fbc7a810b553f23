"""baton discover: which ways from one thread to another are handoffs, and which are answers."""
import re

from harness import PROGRAMS, plain, test
from needs import needs
from test_discover import SYMBOLS, by_newer_gcc, code_is_read, looks_again, stripped
from test_launcher import baton, expect


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
