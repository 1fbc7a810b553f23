"""Threads: what they inherit, how they end, how they fail."""
import os
import subprocess
import tempfile
from pathlib import Path

from harness import CARRIERS, PROGRAMS, ROOT, call, carry, expect, idle, plain, test
from needs import needs, unable
from test_launcher import baton

OWNED = "key:owned_key"
ENDS = ("return", "own", "emptied", "exit", "cancel", "cancel_async", "caught", "longjmp",
        "detached", "never_joined")


@test("B13: however a thread ends, what it borrowed is not destroyed, what it set is", each=ENDS)
def ends(mode):
    for run in (plain, idle):
        run("thread_ends", mode).wrong()
    carry(OWNED, "thread_ends", mode).ok().quiet().clean().carried("pthread", exactly=3)


@test("B13: the same for C11 threads", each=("return", "own", "emptied", "exit"))
def ends_c11(mode):
    plain("thread_ends", mode, "c11").wrong()
    carry(OWNED, "thread_ends", mode, "c11").ok().quiet().clean().carried("pthread", exactly=3)


UNSEEN = [(mode, *own) for mode in ("exit", "c11", "coroutine", "cancel") for own in ((), ("own",), ("owner",))]


@test("B13: the same where nobody unwinds its frames: nothing stays borrowed, what it set is destroyed as ever", each=UNSEEN)
def ends_unseen(*mode):
    before = plain("thread_unseen_ends", *mode).ok()
    idle("thread_unseen_ends", *mode).same_as(before)
    carry("key:request_key", "thread_unseen_ends", *mode).same_as(before).clean()


RAW = [(mode, "key") for mode in ("joined", "detached", "own", "pool", "owner")] + [("own", "tls")]


@test("B13, B14: threads that end by a system call of their own, of which nobody hears, keep nothing", each=RAW)
def ends_raw(mode, kind):
    plain("thread_raw_ends", mode, kind).wrong().says("0 of ")
    carry(CARRIERS[kind], "thread_raw_ends", mode, kind).ok().quiet().clean().says("destroy")


@test("B13: the same where a library that is opened later cancels them", each=(("now",), ("now", "deep")))
def ends_unseen_of_plugins(_, *deep):
    plugin = PROGRAMS / "plugin_cancels.so"
    before = plain("late_plugin", plugin, *deep).ok().says("destroyed one\nplugin: owner of one has ended")
    idle("late_plugin", plugin, *deep).same_as(before)
    carry("key:plugin_key", "late_plugin", plugin, *deep, env={"BATON_INHERIT": "all"}).same_as(before).clean()


@test("B13: the same of threads that were started before the first library with pthread_cancel was opened", each=("key", "tls", "owned"))
def ends_cancelled_late(kind):
    words = "thread_cancelled_late", PROGRAMS / "plugin_cancels.so", kind
    before = plain(*words).wrong().says("0 of 8 saw it")
    idle(*words).same_as(before)
    after = carry(CARRIERS.get(kind, "key:request_key"), *words).ok().quiet().clean().says("8 of 8 saw it\n")
    if kind == "owned" and after.out.count("destroyed a value\n") != before.out.count("destroyed a value\n"):
        after.fail("values are kept")


@test("B14: a thread cancelled before it runs leaves nothing behind")
def cancelled_before_start():
    carry(OWNED, "thread_ends", "cancel_first").ok().quiet().clean()


@test("B14: pthread_create that fails tells why and leaves nothing behind", each=CARRIERS)
def create_fails(kind):
    before = plain("thread_fails", kind).wrong()
    after = carry(CARRIERS[kind], "thread_fails", kind).ok().quiet().clean()
    after.says(before.out.splitlines()[0])
    idle("thread_fails", kind).same_as(before)


@test("A2: an exception out of a task gives the thread its own values back", each=CARRIERS)
def exception_out_of_a_task(kind):
    plain("task_ends", "throw", kind).wrong().says("caught out of the task")
    after = carry(CARRIERS[kind], "task_ends", "throw", kind).ok().quiet()
    after.says("caught out of the task").clean()


@test("A2: a longjmp out of a task is found out at the thread's next handoff",
      each=[(way, kind) for way in ("longjmp", "siglongjmp") for kind in CARRIERS])
def longjmp_out_of_a_task(way, kind):
    plain("task_ends", way, kind).wrong()
    carry(CARRIERS[kind], "task_ends", way, kind).ok().quiet().clean()


@test("A2: an exception travels through std::async", each=("async_throw", "rethrow"))
def exception_through_async(mode):
    plain("task_ends", mode)
    carry("key:request_key", "task_ends", mode).ok().quiet().clean()


@test("E21: an exception that nobody catches ends the program with the same words", each=("thread", "pthread"))
def uncaught(way):
    before = plain("uncaught", way).exits(-6)
    idle("uncaught", way).same_as(before)
    carry("key:request_key", "uncaught", way).same_as(before)


WAYS = ("plain", "old", "dlsym", "c11", "g_thread_new", "g_thread_try_new", "g_thread_create",
        "g_thread_create_full")


@test("B12: every way to start a thread is one handoff, and the thread's result is its own",
      each=[(way, kind) for way in WAYS for kind in CARRIERS])
def ways(way, kind):
    for run in (plain, idle):
        run("all_the_ways", way, kind).wrong()
    after = carry(CARRIERS[kind], "all_the_ways", way, kind).ok().quiet().clean()
    carried = {name: family["carried"] for name, family in after.reported()["families"].items()
               if family.get("carried")}
    if carried != {"glib.thread" if way.startswith("g_") else "pthread": 1}:
        after.fail(f"expected one handoff, got {carried}")


@test("BATON_DISABLE=pthread,glib.thread starts threads bare")
def disabled():
    env = {"BATON_DISABLE": "pthread,glib.thread"}
    carry(CARRIERS["key"], "all_the_ways", "plain", env=env).wrong().says("the thread sees 0").clean()
    carry(CARRIERS["key"], "all_the_ways", "g_thread_new", env=env).wrong().says("the thread sees 0").clean()


@test("B12: children of children inherit what their creator holds at that moment", each=CARRIERS)
def generations(kind):
    for run in (plain, idle):
        run("generations", kind).wrong()
    carry(CARRIERS[kind], "generations", kind).ok().quiet().clean()


@test("E21: the smallest stack that a thread can have is enough", each=CARRIERS)
def small_stack(kind):
    for run in (plain, idle):
        run("small_stack", kind).wrong()
    others = "key:no_such_key;tls:no_such_word;fn:get=no_such_get,set=no_such_set"
    after = carry(f"{CARRIERS[kind]};{others}", "small_stack", kind).ok().quiet()
    after.clean(contexts=1)  # of the thread that calls exit


@test("A8, B14: when no thread can be started every library fails as ever and leaves nothing behind",
      each=CARRIERS)
def thread_limit(kind):
    before = plain("thread_limit", kind)
    if before.code == 77:
        unable("a limit of threads does not hold for this user")
    after = carry(CARRIERS[kind], "thread_limit", kind).ok().quiet(but=before).clean()
    after.says(*[line + "\n" for line in before.out.splitlines() if not line.endswith(("not 5", "WRONG"))])


def compiled(folder, *command):
    program = os.path.join(folder, "program")
    call([*command, "-o", program], cwd=ROOT, check=True)
    return program


@needs("rustc")
@test("B12: threads of Rust's standard library inherit, scoped ones and ones that panic too")
def rust_threads():
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder, "rustc", "-O", "tests/programs/parts/inherit_rust.rs")
        plain(program).says("spawn 0\n", "scope 0\n", "panic 0\n", "main 7\n")
        after = carry("key:RUST_KEY", program).ok().quiet().clean().carried("pthread", exactly=3)
        after.says("spawn 7\n", "scope 7\n", "panic 7\n", "main 7\n")


@needs("libc++")
@test("B12: std::thread of libc++ inherits")
def libcxx_threads():
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "glib-2.0"], capture_output=True,
                           text=True, check=True).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder, "clang++", "-stdlib=libc++", "-std=c++20", "-rdynamic",
                           "tests/programs/inherit.cc", *flags)
        for kind in CARRIERS:
            plain(program, kind).says("std::thread holds 0\n")
            carry(CARRIERS[kind], program, kind).quiet().clean().says("std::thread holds 7\n")


# A library that nobody listed; each function starts a thread in another way and waits for it.
LIBRARY_THREADS = """
#include <glib.h>
#include <pthread.h>
#include <thread>
#include <threads.h>
extern "C" void *work(void *);
static int work11(void *p) { work(p); return 0; }
extern "C" void by_pthread(void) { pthread_t t; pthread_create(&t, 0, work, 0); pthread_join(t, 0); }
extern "C" void by_std(void) { std::thread(work, nullptr).join(); }
extern "C" void by_c11(void) { thrd_t t; thrd_create(&t, work11, 0); thrd_join(t, 0); }
extern "C" void by_glib(void) { g_thread_join(g_thread_new(0, work, 0)); }
"""
LIBRARY_USER = """
#include <stdio.h>
void by_pthread(void), by_std(void), by_c11(void), by_glib(void);
__thread long request;
void *work(void *way) { printf(" %ld", request); return way; }
int main(void)
{
    request = 7;
    by_pthread(); by_std(); by_c11(); by_glib();
    puts("");
    return 0;
}
"""


@test("B12: what a library starts is a worker and begins empty, but for what means a thread of one's own; and "
      "BATON_OWN, BATON_POOLS, pool= of a preset")
def threads_of_libraries():
    glib = subprocess.run(["pkg-config", "--cflags", "--libs", "glib-2.0"], capture_output=True, text=True,
                          check=True).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        library, program = Path(folder, "libmine-1.so"), Path(folder, "program")
        for source, text in (("mine.cc", LIBRARY_THREADS), ("program.c", LIBRARY_USER)):
            Path(folder, source).write_text(text)
        subprocess.run(["g++", "-w", "-shared", "-fPIC", Path(folder, "mine.cc"), "-o", library, *glib], check=True)
        subprocess.run(["gcc", "-rdynamic", Path(folder, "program.c"), library, f"-Wl,-rpath,{folder}", "-o", program],
                       check=True)
        plain(program).ok().says(" 0 0 0 0\n")
        preset = Path(folder, "baton", "presets", "mine.conf")
        preset.parent.mkdir(parents=True)
        preset.write_text("about=Ours\npool=libmine\nnobody_has_it(kind=call,fn=1,arg=2)\n")
        for seen, settings in {
                " 0 7 7 7\n": [{}, {"BATON_INHERIT": "app"}, {"BATON_POOLS": "libmin"}, {"BATON_POOLS": "libnone"}, {"BATON_OWN": "libmin"}],
                " 7 7 7 7\n": [{"BATON_INHERIT": "all"}, {"BATON_OWN": "libmine"},
                              {"BATON_OWN": "libnone,libmine-1.so", "BATON_POOLS": "libmine"}],
                " 0 0 0 0\n": [{"BATON_POOLS": "libmine"}, {"BATON_POOLS": "libnone,libmine-1.so"},
                                {"XDG_CONFIG_HOME": folder, "BATON_HOOKS": "preset:mine"}, {"BATON_INHERIT": "none"}]}.items():
            for env in settings:
                carry("tls:request", program, env=env).ok().quiet().says(seen)
        carry("tls:request", program, env={"BATON_LOG": "info"}).ok() \
            .complains("threads that libmine-1.so starts are taken for workers", "BATON_OWN=libmine-1.so")


STD_POOL = """
#include <condition_variable>
#include <mutex>
#include <thread>
#include "work.h"
static struct pool {
    std::mutex lock;
    std::condition_variable changed;
    int wanted = 0, done = 0;
} *pool;
static void worker()
{
    std::unique_lock<std::mutex> held(pool->lock);
    for (;;) {
        pool->changed.wait(held, [] { return pool->done != pool->wanted; });
        work();
        pool->done++;
        pool->changed.notify_all();
    }
}
static int worker11(void *) { worker(); return 0; }
void pool_run(bool is_c11)
{
    thrd_t thread;
    if (!pool) {
        pool = new struct pool;
        if (is_c11) thrd_create(&thread, worker11, nullptr);
        else std::thread([] { worker(); }).detach();
    }
    std::unique_lock<std::mutex> held(pool->lock);
    pool->wanted++;
    pool->changed.notify_all();
    pool->changed.wait(held, [] { return pool->done == pool->wanted; });
}
"""
STD_PROGRAM = """
#include <cstdio>
#include <thread>
#include "work.h"
pthread_key_t request_key;
void work() { printf(" %ld", (long)pthread_getspecific(request_key)); }
int main(int argc, char **argv)
{
    pthread_key_create(&request_key, nullptr);
    for (long i = 1; i <= 3; i++) {
        pthread_setspecific(request_key, (void *)i);
        std::thread([] { work(); }).join(); /* the program's own, and the first that libstdc++ starts */
        if (argc > 1) pool_run(argv[1][0] == 'c');
    }
    puts("");
}
"""
KEPT = "threads that libpool.so starts by std::thread, g_thread_new or the like begin with their starter's values"


@test("a pool that a library starts by std::thread or thrd_create keeps its first submitter's values: the log, the report and the "
      "verdict name the library and what to type; not the program's own threads, nor a library that is listed", each=("std", "c11"))
def pool_that_keeps(way, tmp_path):
    library, program, log = tmp_path / "libpool.so", tmp_path / "program", {"BATON_LOG": "info"}
    for source, text in (("work.h", "#include <pthread.h>\n#include <threads.h>\nvoid work();\nvoid pool_run(bool);\n"),
                         ("pool.cc", STD_POOL), ("program.cc", STD_PROGRAM)):
        (tmp_path / source).write_text(text)
    subprocess.run(["g++", "-shared", "-fPIC", tmp_path / "pool.cc", "-o", library], check=True)
    subprocess.run(["g++", "-rdynamic", tmp_path / "program.cc", library, f"-Wl,-rpath,{tmp_path}", "-o", program], check=True)
    plain(program, way).ok().says(" 0 0 0 0 0 0\n")
    kept = carry("key:request_key", program, way).ok().quiet().says(" 1 1 2 1 3 1\n")
    expect(kept.reported()["keeping"] == ["libpool.so"], kept.reported())
    said = carry("key:request_key", program, way, env=log).complains(KEPT, "BATON_POOLS=libpool.so if they serve others\n")
    expect(said.err.count(KEPT) == 1, said.err)
    for env in {"BATON_POOLS": "libpool"}, {"BATON_OWN": "libpool"}:
        right = carry("key:request_key", program, way, env={**env, **log}).ok()
        right.says(" 1 1 2 1 3 1\n" if "BATON_OWN" in env else " 1 0 2 0 3 0\n")
        expect("keeping" not in right.reported() and KEPT not in right.err, right.err)
    own = carry("key:request_key", program, env=log).ok().says(" 1 2 3\n")
    expect("keeping" not in own.reported() and KEPT not in own.err, own.err)
    run = ("run", "--verdict", "--carry", "key:request_key", "--", program)
    baton(*run, way).complains("ok: ", "threads that libpool.so has started keep the values that they began with", "BATON_POOLS=libpool.so\n")
    expect("keep the values" not in baton(*run).err, "said of the program's own threads")


POOL_LIBRARY = """
#include <pthread.h>
#include <unistd.h>
void work(void);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int wanted, done, is_started;
static void *worker(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (done == wanted) pthread_cond_wait(&changed, &lock);
        work();
        done++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return unused;
}
void pool_run(void)
{
    pthread_t t;
    if (!is_started++) pthread_create(&t, 0, worker, 0);
    pthread_mutex_lock(&lock);
    wanted++;
    pthread_cond_broadcast(&changed);
    while (done != wanted) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
"""
POOL_PROGRAM = """
#include <stdio.h>
void pool_run(void);
__thread long request;
void work(void) { printf(" %ld", request); }
int main(void) { for (request = 1; request <= 3; request++) pool_run(); puts(""); return 0; }
"""


@test("B12: a pool library that nobody listed shows no request another one's value")
def unlisted_pool():
    with tempfile.TemporaryDirectory() as folder:
        library, program = Path(folder, "libnew.so"), Path(folder, "program")
        for source, text in (("pool.c", POOL_LIBRARY), ("program.c", POOL_PROGRAM)):
            Path(folder, source).write_text(text)
        subprocess.run(["gcc", "-shared", "-fPIC", Path(folder, "pool.c"), "-o", library], check=True)
        subprocess.run(["gcc", "-rdynamic", Path(folder, "program.c"), library, "-pthread", f"-Wl,-rpath,{folder}", "-o", program],
                       check=True)
        plain(program).ok().says(" 0 0 0\n")
        carry("tls:request", program).ok().quiet().clean().says(" 0 0 0\n")
