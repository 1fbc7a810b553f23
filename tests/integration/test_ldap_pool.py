"""OpenLDAP's thread pool: tasks run in the context of their submit."""
from harness import CARRIERS, carry, idle, plain, test

MODES = {
    "submit": "with and without a cookie",
    "retract": "retracted by their cookies",
    "walk": "a walk sees the program's own functions and arguments, and retracts",
    "destroy": "dropped with the pool",
}


@test("A7, A8: tasks of ldap_pvt_thread_pool", each=[(mode, kind) for mode in MODES for kind in CARRIERS])
def ldap(mode, kind):
    for run in (plain, idle):
        run("ldap_pool", mode, kind).wrong()
    carry(CARRIERS[kind], "ldap_pool", mode, kind).ok().quiet().clean().carried("ldap")
