"""gdb: `source baton-gdb.py`, then `baton-stacks`: the selected thread's frames, and "submitted by" for each
handoff back to main. Works on live processes and on core files of processes that ran with BATON_STACKS=N.
"""
import struct

import gdb

NEST, THREADS, THREAD_SIZE, FAMILIES = 30, 2048, 16384, 48
RUNS_AT = 8 + 5 * 8 * FAMILIES


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def pointer(name):
    try:
        return int(gdb.parse_and_eval(f"*(unsigned long *)&{name}"))
    except gdb.error as error:
        raise gdb.GdbError(f"{name} is not known: is libbaton.so loaded, with its symbols? ({error})")


def name_of(address):
    symbol = gdb.execute(f"info symbol {address - 1}", to_string=True).split(" in section")[0].strip()
    line = gdb.find_pc_line(address - 1)
    place = f" at {line.symtab.filename}:{line.line}" if line.symtab else ""
    return f"0x{address:x} {'' if symbol.startswith('No symbol') else symbol}{place}"


class Stacks(gdb.Command):
    """The selected thread's stack, then who handed over what it is at."""

    def __init__(self):
        super().__init__("baton-stacks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        thread = gdb.selected_thread()
        if not thread:
            raise gdb.GdbError("no process and no core")
        gdb.execute("backtrace " + argument)
        live, trace = pointer("store_live"), pointer("store_trace")
        if not live or not trace:
            raise gdb.GdbError("this process kept no stacks: BATON_STACKS=N")
        threads_at, = struct.unpack_from("<Q", memory(live, 72), 48)
        used, = struct.unpack_from("<I", memory(live + 64, 4))
        stacks_at, nodes_at = struct.unpack("<QQ", memory(trace + 64, 16))
        tid = thread.ptid[1] or thread.ptid[0]
        node = 0
        for number in range(min(used, THREADS)):
            at = live + threads_at + number * THREAD_SIZE
            owner, depth = struct.unpack("<II", memory(at, 8))
            if owner == tid and depth:
                node, = struct.unpack("<I", memory(at + RUNS_AT + (min(depth, NEST) - 1) * 32 + 24, 4))
        steps = 0
        if not node:
            print("in no handed over work")
        while node and steps < 64:
            steps += 1
            node, stack = struct.unpack("<II", memory(trace + nodes_at + 8 * node, 8))
            print("submitted by")
            count, = struct.unpack("<Q", memory(trace + stacks_at + 8 * stack, 8)) if stack else (0,)
            for i in range(min(count, 256)):
                frame, = struct.unpack("<Q", memory(trace + stacks_at + 8 * (stack + 1 + i), 8))
                print(f"  #{i} {name_of(frame)}")


Stacks()
