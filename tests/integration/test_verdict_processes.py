"""The verdict of a run of several processes: each is to be right by itself."""
import json
import re

from harness import PROGRAMS, test
from needs import needs
from test_launcher import baton, expect

RUN = ("--require", "--verdict", "--carry", "tls:current_request", "--")


@needs("glibc 2.34", programs=["prefork_pools"])
@test("--require of a master that forks workers with a pool each: right in all of them, or 65, and what one of them lacks is said")
def workers_of_a_master(tmp_path):
    program = PROGRAMS / "prefork_pools"
    baton("run", *RUN, program, "right").exits(0).says("wrong 0").complains("baton: ok: 60 tasks ran")
    said = baton("run", *RUN, program, "one").exits(65).says("wrong 20")
    expect(re.search(r"baton: PARTIAL: 40 tasks ran with their submitter's values, but 1 of 3 processes carried nothing: 1 thread "
                     r"waited at .*, woken from .* by threads that had values, and had none: .*; which function: baton discover -- ", said.err), said.err)
    file = tmp_path / "counts"
    baton("run", "--no-verdict", "--report", file, *RUN[2:], program, "one")
    reports = [json.loads(line) for line in file.read_text().splitlines()]
    for report in reports:
        if "waited" in report and report["waited"]["held"]:
            report["program"] = "/usr/bin/another"
    file.write_text("".join(json.dumps(report) + "\n" for report in reports))
    baton("report", "--require", file).exits(0)


@needs("glibc 2.34", programs=["prefork_pools"])
@test("a worker in which nothing waits but what waits with nothing in the workers that are right, too, as a log's thread does, is not accused")
def lines_of_a_master():
    baton("run", *RUN, PROGRAMS / "prefork_pools", "lines").exits(0).says("wrong 0").complains("baton: ok: 40 tasks ran")
