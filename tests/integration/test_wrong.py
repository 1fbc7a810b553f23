"""E22: settings that make no sense (the table is in wrong_settings.py): what is said of each, word for word."""
import os
import tempfile
from pathlib import Path

from harness import BUILD, LIBRARY, Failure, call, this_machine_only, test
from wrong_settings import WRONG

VARIABLES = sorted({row[0] if row[0] in ("BATON_CARRY", "BATON_HOOKS", "FILE", "BATON_CONFIG") else "others" for row in WRONG})


def rows_of(group):
    return [row for row in WRONG if row[0] == group or (group == "others" and row[0] not in VARIABLES)]


def said_of(row, folder, **more):
    """What a program that hands nothing over is told, and how it ends."""
    variable, value, *messages = row
    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(LIBRARY), **more}
    place = f'{variable}="{value}": '
    if variable == "FILE":
        file = Path(folder) / "settings"
        file.write_bytes(value.encode("utf-8", "surrogateescape"))
        variable, value, place = "BATON_CONFIG", str(file), ""
    if variable not in more:
        environment[variable] = value
    done = call(["/bin/true"], env=environment, cwd=folder, encoding="utf-8", errors="strict")
    lines = done.stderr.splitlines()
    said = [line.replace(f"{folder}/settings", "FILE") for line in lines]
    return done, said, ["baton: " + message.replace("NAME: ", place, 1) for message in messages]


@test("E22: a setting that makes no sense is said, word for word, and changes nothing else", each=VARIABLES, timeout=120)
def wrong_settings(group):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows_of(group):
            done, said, expected = said_of(row, folder)
            if said != expected or done.returncode or done.stdout:
                raise Failure(f"{row[0]}={row[1]!r:.200}: exit {done.returncode}\nsaid     {said}\nexpected {expected}")


@test("E22: BATON_STRICT=1 ends the program with 64 for every one of them", each=VARIABLES, timeout=120)
def wrong_settings_strict(group):
    this_machine_only()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows_of(group):
            done, said, expected = said_of(row, folder, BATON_STRICT="1")
            if row[0] != "BATON_STRICT" and (done.returncode != 64 or said != expected):
                raise Failure(f"{row[0]}={row[1]!r:.200}: exit {done.returncode}, said {said}")


@test("E22: the table has 300 settings and more, none twice")
def wrong_settings_are_many():
    if len({row[:2] for row in WRONG}) != len(WRONG) or len(WRONG) < 300 or not BUILD.is_dir():
        raise Failure(f"{len(WRONG)} rows")
