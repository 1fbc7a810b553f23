"""Running the drivers: plainly, and under callgrind with every instruction accounted for.

Callgrind counts user instructions of all threads. A driver zeroes the counts after its warm-up and
dumps them after a known number of handoffs, so that one run gives exact figures a handoff.
"""

import collections
import concurrent.futures
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import light_libc  # noqa: E402
import patience  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
BENCH = os.path.join(BUILD, "bench")
SHIM = os.environ.get("BENCH_SHIM", os.path.join(BUILD, "libbaton.so"))

DRIVERS = {
    "uv.work": "uv", "uv.requeue": "uv", "uv.request": "uv", "uv.write": "uv", "uv.timer": "uv",
    "glib.pool": "glib", "glib.idle": "glib", "glib.timeout": "glib",
    "gio.task": "gio", "gio.thread": "gio",
    "gomp.parallel": "gomp", "gomp.task": "gomp", "gomp.undeferred": "gomp",
    "pthread": "pthread", "thrd": "pthread", "notify": "pthread",
    "event.active": "event", "event.timer": "event", "event.once": "event", "event.new": "event",
    "ucontext": "ucontext",
    "read.other": "reader", "read.chosen": "reader", "write.other": "reader",
    "write.chosen": "reader", "inside.read.other": "reader",
    "inside.read.chosen": "reader", "inside.write.chosen": "reader",
    "named.call.got": "named", "named.call.symbol": "named", "named.call.patch": "named",
    "named.object": "named", "named.queue": "named", "named.repeat": "named", "named.again": "named",
}

# Functions that the user names: the items, and whether baton run prepares them.
NAMED = {
    "named.call.got": ("named_submit(kind=call,fn=2,arg=3)", False),
    "named.call.symbol": ("named_submit(kind=call,fn=2,arg=3,how=symbol)", True),
    "named.call.patch": ("named_submit(kind=call,fn=2,arg=3,how=patch)", True),
    "named.object": ("named_put(kind=submit,obj=1);named_run(kind=run,obj=1)", True),
    "named.repeat": ("named_submit(kind=call,fn=2,arg=3,repeat)", False),
    "named.again": ("named_submit(kind=call,fn=2,arg=3,repeat)", False),
    "named.queue": ("named_put(kind=put,item=1);named_get(kind=get,item=ret)", True),
}

# The function that hands over: a way whose function is not in hooks.def is not carried, yet.
FUNCTIONS = {
    "uv.work": "uv_queue_work", "uv.requeue": "uv_queue_work", "uv.request": "uv_fs_stat", "uv.write": "uv_write",
    "uv.timer": "uv_timer_start",
    "glib.pool": "g_thread_pool_push", "glib.idle": "g_idle_add", "glib.timeout": "g_timeout_add",
    "gio.task": "g_object_new", "gio.thread": "g_object_new",
    "gomp.parallel": "GOMP_parallel", "gomp.task": "GOMP_task", "gomp.undeferred": "GOMP_task",
    "pthread": "pthread_create", "thrd": "thrd_create", "notify": "timer_create",
    "event.active": "event_active", "event.timer": "event_add", "event.once": "event_base_once", "event.new": "event_assign",
    "ucontext": "swapcontext",
}

MALLOCS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign",
           "reallocarray", "valloc"}
LOCKS = {"pthread_mutex_lock", "pthread_mutex_trylock", "pthread_rwlock_rdlock",
         "pthread_rwlock_wrlock", "pthread_spin_lock", "sem_wait"}
LOOKUPS = {"dlsym", "dlvsym", "dl_iterate_phdr", "dladdr", "dladdr1", "_dl_addr"}
# What libbaton.so may call of libc that enters the kernel, and its files that look things up by a hash.
KERNEL = {"syscall", "mmap", "munmap", "madvise", "mprotect", "mincore", "open", "read", "write", "close",
          "readlink", "access", "getcwd", "prctl", "sched_yield", "process_vm_readv", "process_vm_writev"}
# System calls that make a thread sleep or wake another: how often they are needed is the scheduler's
# to say, and differs from run to run of one program. (GLib calls futex by syscall.)
CHANCE = {"futex", "syscall", "read", "write", "poll", "epoll_wait", "sched_yield", "clock_nanosleep"}
# What a thread runs of the C library's when it has to wait, or does so no more: as chance has it.
WAITS = {"__futex_abstimed_wait_common", "__pthread_enable_asynccancel", "__pthread_disable_asynccancel",
         "__lll_lock_wait", "__lll_lock_wait_private", "__lll_lock_wake", "__lll_lock_wake_private"}
HASHES = {"map.c", "pointers.c", "values.c", "elf_dynsym.c", "elf_find.c", "table_gpr.c", "bypass.c"}


def is_hooked(way):
    """hooks.def has the way's function (reads and writes of keys always count as hooked)."""
    if way not in FUNCTIONS:
        return True
    with open(os.path.join(ROOT, "shim", "interpose", "hooks.def")) as file:
        return re.search(r"\b%s\b" % FUNCTIONS[way], file.read()) is not None


def carry(kind, count, policy=""):
    """The BATON_CARRY of the first `count` slots of one kind."""
    names = {"key": "key:bench_key_%d", "object": "key:bench_key_%d", "tls": "tls:bench_tls_%d",
             "row": "tls:bench_row_%d"}
    return ";".join(names[kind] % i + ("," + policy if policy else "") for i in range(count))


def environment(is_shimmed, carried, extra=None, preload_first=None):
    env = {name: value for name, value in os.environ.items()
           if not name.startswith("BATON_") and name not in ("LD_PRELOAD", "BENCH_SHIM")}
    env.update({"OMP_WAIT_POLICY": "passive", "OMP_DYNAMIC": "false", "LC_ALL": "C"})
    preloads = [preload_first] if preload_first else []
    if is_shimmed:
        preloads.append(SHIM)
        if carried:
            env["BATON_CARRY"] = carried
    if preloads:
        env["LD_PRELOAD"] = ":".join(preloads)
    env.update(extra or {})
    return env


def hooks(way, is_shimmed):
    """-> (more environment, object to preload first) of a way whose functions are named."""
    if way not in NAMED or not is_shimmed:
        return {}, None
    items, is_prepared = NAMED[way]
    if not is_prepared:
        return {"BATON_HOOKS": items}, None
    planner = os.path.join(BUILD, "baton-plan")
    done = call([planner, "object", driver(way)], dict(os.environ, BATON_HOOKS=items))
    if not done.stdout.strip() or done.stderr:
        raise Failed("baton-plan: " + done.stderr)
    return {"BATON_HOOKS": items}, done.stdout.strip()


def driver(way):
    return os.path.join(BENCH, "drive_" + DRIVERS[way])


def parse_lines(text):
    """`a=1 b=x` lines as dictionaries; numbers become numbers."""
    rows = []
    for line in text.splitlines():
        if not line.startswith("way="):
            continue
        row = {}
        for word in line.split():
            name, value = word.split("=", 1)
            try:
                row[name] = float(value) if "." in value or "e" in value else int(value)
            except ValueError:
                row[name] = value
        rows.append(row)
    return rows


class Failed(Exception):
    pass


@functools.lru_cache(None)
def under_valgrind():
    """Environment of what runs under callgrind. Half of valgrind's start is the C library's debug information, of which
    nothing is looked at but the names of functions: a copy of the library has these alone."""
    folder = light_libc.folder(os.path.join(BENCH, "light"))
    return {"LD_LIBRARY_PATH": folder} if folder else {}


def call(command, env):
    """One run to its end, with a limit that grows with the machine's load."""
    try:
        return patience.call(command, limit=120, env=env)
    except patience.Late as late:
        raise Failed("%s: %s" % (" ".join(map(str, command)), late)) from None


def run(way, is_shimmed, carried="", extra=None, **options):
    """One driver run without callgrind: its result lines."""
    command = [driver(way), "way=" + way] + ["%s=%s" % item for item in options.items()]
    more, first = hooks(way, is_shimmed)
    done = call(command, environment(is_shimmed, carried, {**more, **(extra or {})}, first))
    if done.returncode:
        raise Failed("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stderr))
    return parse_lines(done.stdout)


# ---- instructions that matter, by address ----

_special = {}


@functools.lru_cache(None)
def names_of_calls():
    """{number: name} of this machine's system calls."""
    said = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                          stdout=subprocess.PIPE, text=True).stdout
    return {int(number): name for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", said, re.M)}


def read_listing(lines):
    """-> ([address of an atomic instruction], {address of a system call: its name, or "" where its number is not set
    in the instructions before it}) of what objdump -d says."""
    atomics, syscalls = [], {}
    number = None
    for line in lines:
        match = re.match(r"\s*([0-9a-f]+):\s+(.*)", line)
        if not match:
            number = None if line.endswith(">:") else number
            continue
        text = match.group(2)
        found = re.match(r"mov\s+\$0x([0-9a-f]+),%[er]ax$", text)
        if found:
            number = int(found.group(1), 16)
        elif re.match(r"xor\s+%eax,%eax$", text):
            number = 0
        elif text.startswith("syscall"):
            syscalls[int(match.group(1), 16)] = names_of_calls().get(number, "")
            number = None
        elif text.startswith("call") or re.search(r",%[er]?a[xl]$", text):
            number = None
        if text.startswith("lock ") or (text.startswith("xchg") and "(" in text):
            atomics.append(int(match.group(1), 16))
    return atomics, syscalls


def special_instructions(path):
    """({address of an atomic instruction}, {address of a system call: name}) of an ELF file."""
    if path in _special:
        return _special[path]
    try:
        key = "names:%s:%d:%d" % (path, os.stat(path).st_mtime_ns, os.stat(path).st_size)
    except OSError:
        return set(), {}
    name = os.path.join(BENCH, "cache", re.sub(r"\W", "_", path) + ".json")
    try:
        with open(name) as file:
            saved = json.load(file)
        if saved["key"] == key:
            _special[path] = (set(saved["atomics"]), {int(address): call for address, call in saved["syscalls"].items()})
            return _special[path]
    except (OSError, ValueError, KeyError):
        pass
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    atomics, syscalls = read_listing(listing.splitlines())
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "w") as file:
        json.dump({"key": key, "atomics": atomics, "syscalls": syscalls}, file)
    _special[path] = (set(atomics), syscalls)
    return _special[path]


class Counts:
    """What one dump says, in totals of the measured handoffs."""

    def __init__(self):
        self.handoffs = 0
        self.bad = 0
        self.instructions = 0
        self.calls = collections.Counter()       # callee -> calls
        self.calls_from = collections.Counter()  # (caller's object, callee) -> calls
        self.files = collections.Counter()       # (object, source file) -> own instructions
        self.functions = collections.Counter()   # (object, function) -> own instructions
        self.addresses = collections.Counter()   # (object, address) -> executions
        self.lines = {}                          # (object, address) -> "file:line"
        self.at = {}                             # (object, address) -> function

    def each(self, number):
        return number / self.handoffs

    @property
    def steady(self):
        """All instructions but those of waiting, which a busy machine has more of."""
        return self.instructions - sum(cost for (_, name), cost in self.functions.items()
                                       if re.sub(r"(@.*|'\d+)$", "", name) in WAITS)

    def calls_of(self, names):
        return sum(self.calls[name] for name in names)

    def calls_by(self, objects, names):
        """Calls that these objects make themselves: exact, whatever other threads do meanwhile."""
        return sum(times for (obj, name), times in self.calls_from.items()
                   if name in names and os.path.basename(obj) in objects)

    def instructions_of(self, objects, files):
        return sum(cost for (obj, file), cost in self.files.items()
                   if file in files and os.path.basename(obj) in objects)

    def _count_special(self, which, only=None):
        total = 0
        for (obj, address), times in self.addresses.items():
            if only and os.path.basename(obj) not in only:
                continue
            if address in special_instructions(obj)[which]:
                total += times
        return total

    def atomics(self, only=None):
        return self._count_special(0, only)

    def syscalls(self):
        """System calls by name: {"epoll_wait": times}; one whose number is not written beside it has its function's."""
        found = collections.Counter()
        for (obj, address), times in self.addresses.items():
            calls = special_instructions(obj)[1]
            if address in calls:
                found[calls[address] or self.at[obj, address]] += times
        return found


def parse_callgrind(path):
    counts = Counts()
    names = {}
    obj = function = file = ""
    address = line_number = 0
    is_call_cost = False
    callee = ""

    def resolve(space, text):
        match = re.match(r"\((\d+)\)(?: (.*))?", text)
        if not match:
            return text
        if match.group(2) is not None:
            names[space, match.group(1)] = match.group(2)
        return names.get((space, match.group(1)), "?")

    def position(text, last):
        if text == "*":
            return last
        if text[0] == "+":
            return last + int(text[1:], 0)
        if text[0] == "-":
            return last - int(text[1:], 0)
        return int(text, 0)

    with open(path) as stream:
        for line in stream:
            line = line.rstrip("\n")
            if not line:
                continue
            first = line[0]
            if first.isdigit() or first in "+-*":
                parts = line.split()
                address = position(parts[0], address)
                line_number = position(parts[1], line_number)
                if is_call_cost:
                    is_call_cost = False
                elif len(parts) > 2:
                    cost = int(parts[2])
                    counts.instructions += cost
                    counts.functions[obj, function] += cost
                    counts.addresses[obj, address] += cost
                    counts.files[obj, os.path.basename(file)] += cost
                    counts.lines[obj, address] = "%s:%d" % (os.path.basename(file), line_number)
                    counts.at[obj, address] = re.sub(r"(@.*|'\d+)$", "", function)
                continue
            tag, _, value = line.partition("=")
            if tag == "ob":
                obj = resolve("ob", value)
            elif tag == "cob":
                resolve("ob", value)
            elif tag in ("fl", "fi", "fe"):
                file = resolve("fl", value)
            elif tag in ("cfi", "cfl"):
                resolve("fl", value)
            elif tag == "fn":
                function = resolve("fn", value)
            elif tag == "cfn":
                callee = resolve("fn", value)
            elif tag == "calls":
                name = re.sub(r"(@.*|'\d+)$", "", callee)
                counts.calls[name] += int(value.split()[0])
                counts.calls_from[obj, name] += int(value.split()[0])
                is_call_cost = True
    return counts


def count(way, is_shimmed, carried="", extra=None, preload_first=None, **options):
    """One driver run under callgrind: {slots set: Counts}."""
    options.setdefault("batch", 64 if way == "gomp.task" else 256)
    options.setdefault("batches", 16)
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        out = os.path.join(folder, "out")
        command = ["valgrind", "--tool=callgrind", "--vgdb=no", "--dump-instr=yes", "--dump-line=yes",
                   "--callgrind-out-file=" + out, driver(way), "way=" + way, "what=count"]
        command += ["%s=%s" % item for item in options.items()]
        more, first = hooks(way, is_shimmed)
        done = call(command, environment(is_shimmed, carried, {**under_valgrind(), **more, **(extra or {})},
                                         first or preload_first))
        rows = parse_lines(done.stdout)
        if done.returncode or not rows:
            raise Failed("%s: exit %d\n%s" % (" ".join(command), done.returncode,
                                              done.stderr[-2000:]))
        result = {}
        for number, row in enumerate(rows, 1):
            counts = parse_callgrind("%s.%d" % (out, number))
            counts.handoffs = row["counted"]
            counts.bad = row["bad"]
            result[row["set"]] = counts
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def count_program(argv, variables):
    """All user instructions of a program from its first to its last."""
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        out = os.path.join(folder, "out")
        # Every start looks through its environment: a small one, the same on all machines.
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **variables}
        call(["valgrind", "--tool=callgrind", "--vgdb=no", "--callgrind-out-file=" + out] + argv, env)
        with open(out) as file:
            for line in file:
                if line.startswith("totals:"):
                    return int(line.split()[1])
        raise Failed("callgrind gave no total for " + " ".join(argv))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_parallel(jobs):
    """Calls each (function, args, kwargs); the results in order, a Failed where one failed. One more at a time than there
    are processors: drivers wait for their threads to sleep."""
    workers = len(os.sched_getaffinity(0)) + 1

    def call(job):
        function, args, kwargs = job
        try:
            return function(*args, **kwargs)
        except Failed as error:
            return Failed(str(error))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(call, jobs))
