"""What libraries of C++ and coroutines hand over, as the tests have it, for the table in the guide: prints rows
"library<tab>groups". A group is a row of a test file's table of modes; it is run as it is, wrong, and carried, right.
"""
import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
# Library, test file, its tables of modes.
FAMILIES = [
    ("oneTBB", "test_tbb.py", ("MODES",)),
    ("OpenCV, where its loops run on oneTBB", "test_tbb.py", ("OPENCV",)),
    ("Qt 5 and 6", "test_qt.py", ("MODES",)),
    ("Qt 6", "test_qt.py", ("SIX",)),
    ("Boost.Context, Coroutine2, Fiber", "test_boost_context.py", ("MODES",)),
    ("GNU Pth", "test_boost_context.py", ("PTH",)),
    ("LLVM's OpenMP", "test_openmp_llvm.py", ("MODES",)),
]

def modes(name, wanted):
    for node in ast.parse((TESTS / "integration" / name).read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id in wanted:
            # of a table in several columns the first says what it is
            for value in ast.literal_eval(node.value).values():
                yield value if isinstance(value, str) else value[0]


def main():
    for library, name, wanted in FAMILIES:
        print(library, "; ".join(modes(name, wanted)), sep="\t")


if __name__ == "__main__":
    main()
