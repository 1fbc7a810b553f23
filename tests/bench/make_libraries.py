#!/usr/bin/env python3
"""Writes and builds the crowd: make_libraries.py FOLDER LIBRARIES SYMBOLS_EACH."""

import os
import subprocess
import sys


def source(library, symbols):
    lines = ["\t.text"]
    for number in range(symbols):
        name = "bench_library_%03d_function_%04d" % (library, number)
        lines += ["\t.globl %s" % name, "\t.type %s, @function" % name, "%s:" % name, "\tret",
                  "\t.size %s, 1" % name]
    lines.append('\t.section .note.GNU-stack,"",@progbits')
    return "\n".join(lines) + "\n"


def main():
    folder, libraries, symbols = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.makedirs(folder, exist_ok=True)
    for number in range(libraries):
        path = os.path.join(folder, "libbench%03d" % number)
        with open(path + ".s", "w") as file:
            file.write(source(number, symbols))
        subprocess.run(["cc", "-shared", "-nostdlib", "-Wl,-soname,libbench%03d.so" % number,
                        "-o", path + ".so", path + ".s"], check=True)
        os.unlink(path + ".s")
    with open(os.path.join(folder, "made"), "w") as file:
        file.write("%d %d\n" % (libraries, symbols))


if __name__ == "__main__":
    main()
