"""Qt 5 and 6: QThreadPool, QtConcurrent, QThread, QSocketNotifier. Events and timers are a preset's."""
from harness import CARRIERS, carry, idle, plain, test, uncounted

MODES = {
    "start": "runnables",
    "function": "functions; an empty one is nothing",
    "try": "tryStart, where it fails too",
    "take": "what is taken back runs in its context, is started anew, or is deleted",
    "keep": "one runnable that waits twice, in order",
    "clear": "what clear drops is forgotten, also where the address serves again",
    "concurrent": "QtConcurrent::run and blockingMap",
    "exception": "exceptions out of QtConcurrent::run",
    "notifier": "QSocketNotifier runs in the context of its making, or of its enabling",
    "stale": "who has no value sees none",
}
SIX = {"reserved": "startOnReservedThread", "then": "QFuture::then"}


@test("A1, A3, A7, A8: Qt's pools", each=[(version, mode, kind) for version in ("qt5", "qt6")
                                          for mode in [*MODES, *(SIX if version == "qt6" else ())] for kind in ("key", "tls")])
def modes(version, mode, kind):
    before = plain(version, mode, kind).wrong()
    idle(version, mode, kind).wrong().quiet(but=before)
    family = "qt.notifier" if mode == "notifier" else "qt.pool"
    uncounted(CARRIERS[kind], version, mode, kind).quiet(but=before)
    carry(CARRIERS[kind], version, mode, kind).ok().quiet(but=before).clean().carried(family)


@test("A2: values behind functions are put back in Qt's threads", each=[("qt5", "fn"), ("qt6", "swap")])
def carriers(version, kind):
    plain(version, "start", kind).wrong()
    carry(CARRIERS[kind], version, "start", kind).ok().quiet().clean().carried("qt.pool")


@test("B12: a QThread inherits, as the program's own", each=[(version, kind) for version in ("qt5", "qt6") for kind in ("key", "tls")])
def thread(version, kind):
    for run in (plain, idle):
        run(version, "thread", kind).wrong()
    carry(CARRIERS[kind], version, "thread", kind).ok().quiet().carried("pthread", exactly=20)
