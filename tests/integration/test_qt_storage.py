"""QThreadStorage of Qt 5 and 6: values that Qt keeps under no key, and deletes itself."""
import subprocess

from harness import PROGRAMS, carry, idle, plain, test
from needs import needs, unable
from test_launcher import baton

CODEC = PROGRAMS / "qt_codec.so"
NAMES = {"qstring": "name_of_request", "qbytearray": "_ZL16bytes_of_request", "int": "number_of_request", "string": "_Z15text_of_requestB5cxx11",
         "request": "request"}
TYPES = {"int": "copy=4", "request": f"codec={CODEC}"}


def item(kind):
    return f"qt:{NAMES[kind]},{TYPES.get(kind, f'codec={kind}')}"


@test("A1, A2, A3, A4, D18: each task has its request's value in a QThreadStorage, a copy that Qt deletes",
      each=[(version, kind) for version in ("qt5", "qt6") for kind in NAMES])
def kinds(version, kind):
    program = f"{version}_storage"
    for run in (plain, idle):
        run(program, kind).wrong()
    # QThread::wait answers before its thread has ended, so a context may still be there at exit.
    carry(item(kind), program, kind).ok().quiet().carried("qt.pool").carried("pthread", exactly=4)


@test("E21: a storage is bound before main: in a sandbox that forbids to open files its values are carried", each=("qt5", "qt6"))
def sandbox(version):
    program = f"{version}_storage"
    before = plain(program, "sandbox")
    if before.code == 77:
        unable("no seccomp here")
    before.wrong()
    carry(item("string"), program, "sandbox", env={"BATON_REPORT": ""}).ok().quiet()


@test("A1, D18: a plugin of Qt that a program of C opens for itself alone is carried as others are")
def plugin_of_its_own():
    plain("qt_local", PROGRAMS / "qt_local.so").wrong()
    carry("qt:request_of_plugin,codec=qstring", "qt_local", PROGRAMS / "qt_local.so").ok().quiet().carried("pthread", exactly=1)


@test("D20: a storage is refused with another type than its own", each=[
    ("name_of_request,codec=qbytearray", "its values are of another type than the codec's"),
    ("name_of_request,codec=string", "its values are of another type than the codec's"),
    ("name_of_request,copy=8", "an object with a destructor"), ("number_of_request,copy=8", "its type has another size")])
def other_type(what, why):
    carry(f"qt:{what}", "qt5_storage", "int").complains(why)


@test("a storage that was made when no more can be noted is told as that")
def too_many():
    plain("qt5_storage", "many").ok().quiet()
    baton("run", "--verdict", "--carry", "qt:_ZZ4latevE8late_one,copy=4", "--", PROGRAMS / "qt5_storage", "many") \
        .ok().complains("more than 256 QThreadStorages were made")


@test("check: what is no QThreadStorage is refused; a codec without its functions too", each=[
    ("no_storage,copy=4", "a variable of another size"), (f"request,codec={CODEC}:other", "lacks PREFIX_construct"),
    ("nowhere,copy=4", "not found")])
def checked(what, why):
    baton("check", f"qt:{what}", PROGRAMS / "qt5_storage").exits(1).says(why)


@test("check: where names do not tell the storage's own type, check says what is left open", each=[
    ("name_of_request,codec=qbytearray", "which of the module's types"), ("number_of_request,copy=8", "which of the module's types")])
def doubts(what, why):
    baton("check", f"qt:{what}", PROGRAMS / "qt5_storage").ok().says("found in qt5_storage", why)
    baton("check", f"qt:request,codec={CODEC}", PROGRAMS / "qt5_storage").ok().says("found in qt5_storage").never_says(why)


@needs("binutils")
@test("check: of a stripped program it says that the item takes an offset, and names no item of another kind")
def stripped(tmp_path):
    program = tmp_path / "stripped"
    subprocess.run(["strip", "-o", program, PROGRAMS / "qt5_storage"], check=True)
    baton("check", "qt:name_of_request,codec=qstring", program).exits(1).says("or write main+0xOFFSET").never_says("key:")
