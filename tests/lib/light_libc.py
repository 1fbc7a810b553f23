"""The C library without its debug information, for runs under valgrind that look at names of functions only.

Debian's valgrind brings libc6-dbg; reading it takes a quarter of a second of a processor at each start, half of what a
start takes. The copy has the library's build id taken away, by which the debug information is found, and a file beside
it with the names of all functions.
"""
import fcntl
import os
import re
import shutil
import subprocess


def paths():
    """(the C library, its debug information) or None."""
    said = subprocess.run(["cc", "-print-file-name=libc.so.6"], stdout=subprocess.PIPE, text=True).stdout.strip()
    notes = subprocess.run(["readelf", "-nW", said], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", notes)
    debug = f"/usr/lib/debug/.build-id/{found.group(1)}/{found.group(2)}.debug" if found else ""
    return (os.path.realpath(said), debug) if os.path.isfile(debug) and os.path.isfile(said) else None


def make(library, debug, place):
    copy, names = os.path.join(place, "libc.so.6"), os.path.join(place, "libc.names")
    for words in (["--strip-debug", debug, names],
                  ["--remove-section=.note.gnu.build-id", "--remove-section=.gnu_debuglink", library, copy + ".new"],
                  [f"--add-gnu-debuglink={names}", copy + ".new"]):
        if subprocess.run(["objcopy", *words], stderr=subprocess.DEVNULL).returncode:
            return False
    os.chmod(copy + ".new", 0o755)
    os.rename(copy + ".new", copy)
    return True


def folder(place):
    """What LD_LIBRARY_PATH may name, made when it is not there or the C library is another; "" where there is nothing
    to gain or binutils fail."""
    found = paths()
    if not found:
        return ""
    stamp = "\n".join(f"{path} {os.stat(path).st_mtime_ns} {os.stat(path).st_size}" for path in found)
    os.makedirs(place, exist_ok=True)
    made = os.path.join(place, "made")
    with open(os.path.join(place, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(made) as file:
                if file.read() == stamp:
                    return os.path.abspath(place)
        except OSError:
            pass
        if not make(*found, place):
            shutil.rmtree(place, ignore_errors=True)
            return ""
        with open(made, "w") as file:
            file.write(stamp)
    return os.path.abspath(place)
