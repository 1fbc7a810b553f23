#!/usr/bin/env python3
"""Writes and builds the crowd: make_libraries.py FOLDER LIBRARIES SYMBOLS_EACH [stripped].

stripped: as a distribution ships them, with the name of a debug file that is not installed."""

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
    is_stripped = sys.argv[4:] == ["stripped"]
    os.makedirs(folder, exist_ok=True)
    for number in range(libraries):
        path = os.path.join(folder, "libbench%03d" % number)
        with open(path + ".s", "w") as file:
            file.write(source(number, symbols))
        subprocess.run(["cc", "-shared", "-nostdlib", "-Wl,-soname,libbench%03d.so" % number,
                        "-o", path + ".so", path + ".s"], check=True)
        os.unlink(path + ".s")
        if is_stripped:
            subprocess.run(["objcopy", "--only-keep-debug", path + ".so", path + ".debug"], check=True)
            subprocess.run(["objcopy", "--strip-all", "--add-gnu-debuglink=" + path + ".debug", path + ".so"], check=True)
            os.unlink(path + ".debug")
    with open(os.path.join(folder, "made"), "w") as file:
        file.write("%d %d\n" % (libraries, symbols))


if __name__ == "__main__":
    main()
