"""E21, E23: a system call of ours that fails changes nothing of the program. `make faults` lets all of them fail."""
import errno
import os
import shutil
import tempfile

import harness
from harness import Failure, carry, idle, plain, test, this_machine_only
from needs import needs

import faults
from compile import compiled


@test("E21: the first call of every kind fails, and the program goes on as it would", timeout=120,
      each=[(program, error) for program in ("race", "glib_pool") for error in ("EPERM", "ENOMEM")])
def first_of_a_kind(program, error):
    harness.find_program(program)
    wrong = [why for why in faults.faults_of(program, (error,), 1) if why]
    if wrong:
        raise Failure("\n".join(wrong))


@test("E21: what is carried needs nothing of the system after the start that a program with threads does not need itself")
def after_the_start():
    names = faults.names_of_calls()
    # Where coroutines are switched the program itself sets its signal mask: swapcontext does.
    for program, own in (("race", set()), ("ucontext", {"rt_sigprocmask"})):
        harness.find_program(program)
        calls, _ = faults.calls_of(program, BATON_REPORT="", BATON_CARRY="key:request_key;tls:request_id")
        later = {names[number] for number, phase in calls if phase == "run"}
        if later - {"futex", "mmap", "munmap"} - own:
            raise Failure(f"{program}: {later}")


@needs("strace")
@test("E21: in a sandbox that kills at a call that the program itself does not make, it ends as without us, idle and carrying",
      each=("glib_pool", "uv_handle", "fork_in_task"))
def sandboxes(program):
    this_machine_only()
    harness.find_program(program)
    wrong = [why for why in faults.killed_in_a_sandbox(program) if why]
    if wrong:
        raise Failure("\n".join(wrong))


@test("E21: where a filter that kills at all but the program's own calls was there before the program, it lives, idle and carrying",
      each=("race", "glib_pool", "uv_work", "gomp", "fork_in_task"))
def sandbox_was_there(program):
    wrong = [why for why in faults.killed_from_the_start(program) if why]
    if wrong:
        raise Failure("\n".join(wrong))


LIMITS = {"-v 300000": "memory: refused;", "-n 4": "descriptors: Too many open files;", "-n 8": "descriptors: Too many open files;",
          "-s 64": "stack: refused;"}


@test("E21: limits of memory, descriptors and stacks bind as they do without us, and what is handed over at them is carried", each=LIMITS)
def limits(limit):
    this_machine_only()
    program = compiled("at_limits", "-O1", "-rdynamic", "at_limits.c")
    words = "sh", "-c", f"ulimit {limit}; exec {program}"
    plain(program).ok().never_says(LIMITS[limit]).says("had all")
    before = plain(*words).ok().says(LIMITS[limit], "not seen").never_says("and seen")
    idle(*words).same_as(before)
    after = carry("key:request_key;tls:nothing_here;locale", *words).ok().never_says("not seen")
    if after.out.replace("and seen", "not seen") != before.out:
        after.fail(f"plain: {before.out}")


@needs("prlimit")
@test("E21: where no thread and no process may be started any more, the program hears what it hears without us")
def no_more_processes():
    # Nothing limits root: another user is limited, who needs copies that he may read.
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups".split() if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        library = shutil.copy(harness.LIBRARY, folder)
        program = shutil.copy(compiled("more_processes", "-O2", "more_processes.c"), folder)
        words = [*nobody, "prlimit", "--nproc=1", "env"]
        plain(*nobody, program).ok().says("thread 0 0, thrd 0, process 0")
        before = plain(*words, program).says(f"thread {errno.EAGAIN} ", f"process {errno.EAGAIN}")
        for settings in [], ["BATON_CARRY=key:request_key;locale", "BATON_STRICT=require"]:  # it is found, or it ends
            after = plain(*words, f"LD_PRELOAD={library}", *settings, program)
            if (after.code, after.out, after.err) != (before.code, before.out, before.err):
                after.fail(f"plain: {before.code} {before.out} {before.err}")
