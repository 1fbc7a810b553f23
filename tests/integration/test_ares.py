"""c-ares: a look-up's callback runs in the context of its query."""
from harness import CARRIERS, carry, idle, plain, test


@test("A1, A8: seven kinds of query, answered, cancelled, or dropped with their channel",
      each=[(mode, kind) for mode in ("queries", "cancel", "destroy") for kind in CARRIERS])
def queries(mode, kind):
    for run in (plain, idle):
        run("ares", mode, kind).wrong()
    carry(CARRIERS[kind], "ares", mode, kind).ok().quiet().clean().carried("ares", exactly=8)


@test("the rows of c-ares have the types of its header")
def prototypes():
    plain("prototypes_ares").ok()
