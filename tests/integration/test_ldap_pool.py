"""OpenLDAP's thread pool: tasks run in the context of their submit."""
from compile import compiled
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


@test("E21: OpenLDAP 2.4, whose tasks are taken back by function and data, is left alone, and that is counted")
def without_cookies():
    library = compiled("libldap_r-2.4.so.2", "-shared", "-fPIC", "-pthread", "ldap_old.c")
    program = compiled("ldap_old", "ldap_old_main.c", library, f"-Wl,-rpath,{library.parent}")
    before = plain(program).ok().says("retract 1", "again 0", "task 101 sees 0", "task 2 sees 0").never_says("task 1 sees")
    idle(program).same_as(before)
    after = carry("tls:request_id", program)
    after.same_as(before)
    after.clean().bare("ldap", 3)
