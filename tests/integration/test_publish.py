"""BATON_PUBLISH: chosen values of tasks, for profilers outside (OpenTelemetry's thread context record)."""
import os
import subprocess

from harness import LIBRARY, Failure, carry, find_program, plain, test
from needs import needs, unable

ITEMS = "key:request_key;tls:request_number"


@needs("x86-64")
@test("10,000 samples from outside, by ELF alone: a task's request and no other's, named in the process context",
      timeout=100)
def samples():
    program, reader = find_program("publish"), find_program("publish_reader")
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "BATON_CARRY": ITEMS,
           "BATON_PUBLISH": "otel:request_number=request,request_key=trace_id"}
    process = subprocess.Popen([program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        truths = process.stdout.readline().strip()
        done = plain(reader, str(process.pid), truths, "10000", timeout=90)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
    if done.code == 3 and "seize" in done.err:
        unable("no process may be traced")
    if done.code == 77:
        unable("this compiler makes no TLS descriptors")
    done.ok()
    if err:
        raise Failure(f"said on stderr: {err}")


@test("a slot that is not carried is said; the symbol is there only where it is asked for")
def refused():
    carry(ITEMS, "trace_pool", "10", env={"BATON_PUBLISH": "otel:no_such_slot"}).ok().complains(
        'BATON_PUBLISH="otel:no_such_slot": column 6: expected an item that is carried')
    symbols = subprocess.run(["readelf", "-Ws", "--dyn-syms", str(LIBRARY)], stdout=subprocess.PIPE, text=True).stdout
    if "otel_thread_ctx_v1" in symbols:
        raise Failure("every program would get another's symbol")
