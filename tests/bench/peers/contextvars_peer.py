"""Python's contextvars in the model of peer.h: copy_context() at submit, Context.run() in the worker."""

import contextvars
import sys
import time

TASKS, REPEATS = 256, 60


def timed(batch):
    results = []
    for _ in range(REPEATS):
        begin = time.thread_time_ns()
        batch()
        results.append((time.thread_time_ns() - begin) / TASKS)
    results.sort()
    return results[REPEATS // 2]


def task():
    pass


def bare():
    kept = []
    for _ in range(TASKS):
        kept.append(None)
    for _ in kept:
        task()


def carried():
    kept = []
    for _ in range(TASKS):
        kept.append(contextvars.copy_context())
    for context in kept:
        context.run(task)


def main():
    for word in sys.argv[1:]:
        k = int(word)
        own = contextvars.Context()
        for number in range(k):
            own.run(contextvars.ContextVar("v%d" % number).set, number)
        ns = own.run(lambda: timed(carried) - timed(bare))
        print("peer=python-contextvars k=%d ns=%.2f" % (k, ns))


main()
