"""libvips: its workers run in the context of the thread that evaluates."""
from harness import CARRIERS, carry, idle, plain, test


@test("A1, A3: functions of a thread pool run, and of an image that is evaluated",
      each=[(mode, kind) for mode in ("pool", "generate") for kind in CARRIERS])
def vips(mode, kind):
    for run in (plain, idle):
        run("vips_workers", mode, kind).wrong()
    carry(CARRIERS[kind], "vips_workers", mode, kind).ok().quiet().clean().carried("vips")
