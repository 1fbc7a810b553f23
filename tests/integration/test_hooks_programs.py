"""BATON_HOOKS: real programs with pools of their own, as the distribution ships them."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import patience
from compile import compiled
from harness import ROOT, Failure, call, test
from needs import needs

NGINX = "preset:nginx"
LLD = "_ZN4llvm8parallel6detail9TaskGroup5spawnESt8functionIFvvEE(kind=stdfunction,obj=2)"


def agent():
    return compiled("agent.so", "-O1", "-shared", "-fPIC", "hooks_agent.c")


def environment(folder, hooks):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "LD_"))}
    return {**inherited, "AGENT_LOG": str(folder / "agent.log"), "BATON_CARRY": "tls:agent_request",
            "BATON_HOOKS": hooks, "BATON_REPORT": str(folder / "report"), "BATON_INHERIT": "none",
            "LD_PRELOAD": str(agent()), "LC_ALL": "C"}


def launched(*words):
    return [str(ROOT / "scripts" / "baton"), "run", "--", *map(str, words)]


def free_port():
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return end.getsockname()[1]


CONF = """
daemon off; master_process off; error_log {folder}/error.log; pid {folder}/pid; env AGENT_LOG;
thread_pool default threads=3;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile off; aio threads;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}/root; }}
}}
"""


def is_listening(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True


def serve(folder, hooks):
    """Which request each worker thread worked for, by file: {file: {requests}}."""
    port = free_port()
    (folder / "root").mkdir()
    for name in range(1, 6):
        (folder / "root" / str(name)).write_bytes(os.urandom(200000))
    (folder / "conf").write_text(CONF.format(folder=folder, port=port))
    server = subprocess.Popen(launched("nginx", "-c", folder / "conf"), env=environment(folder, hooks),
                              stderr=subprocess.PIPE)
    try:
        patience.until(lambda: is_listening(port))
        for name in list(range(1, 6)) * 4:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}") as answer:
                if answer.read() != (folder / "root" / str(name)).read_bytes():
                    raise Failure(f"file {name} came back changed")
        server.send_signal(signal.SIGQUIT)
        patience.wait(server)
        server.kill()
        _, err = server.communicate()
    finally:
        server.kill()
    if server.returncode or err:
        raise Failure(f"nginx: exit {server.returncode}, {err.decode()}")
    seen = {}
    for name, request in re.findall(r"/root/(\d+) (\d+)$", (folder / "agent.log").read_text(), re.M):
        seen.setdefault(int(name), set()).add(int(request))
    return seen


@needs("nginx")
@test("nginx's thread pool: workers that read a file know its request", timeout=90)
def nginx():
    with tempfile.TemporaryDirectory() as folder:
        seen = serve(Path(folder), "")
        if seen != {name: {0} for name in range(1, 6)} and seen != {name: {7} for name in range(1, 6)}:
            raise Failure(f"without the hook the workers know nothing: {seen}")
    with tempfile.TemporaryDirectory() as folder:
        seen = serve(Path(folder), NGINX)
        if seen != {name: {name} for name in range(1, 6)}:
            raise Failure(f"expected every file read for its own request: {seen}")
        report = (Path(folder) / "report").read_text()
        # nginx goes on to exit when a worker's last task has raised its flag; that task then ends its
        # thread by pthread_exit, which may let go of its context after the report.
        if '"by":"patch"' not in report or not re.search('"contexts_alive":[01],', report):
            raise Failure(report)


@needs("nginx")
@test("preset nginx: its line with another argument or place, or without the data's, carries no worker's request", timeout=90,
      each=("obj=1", "off=32", "data=24", ""), release=True)
def nginx_line_broken(other):
    (line,) = [row for row in (ROOT / "shim/userhooks/presets/nginx.conf").read_text().splitlines() if "(kind=" in row]
    option = other.split("=")[0] or ",data"
    changed = re.sub(rf"{option}=\d+", other, line)
    assert changed != line, line
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = serve(Path(folder), changed)
        except Failure:
            return
        if seen == {name: {name} for name in range(1, 6)}:
            raise Failure(f"all is as it was with {changed}")


def objects_to_link(folder):
    for number in range(40):
        source = folder / f"part{number}.c"
        source.write_text(f'const char *text{number} = "text {number}"; int f{number}(int x) {{ return x + {number}; }}\n')
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-c", "-g", *(path.name for path in folder.glob("*.c"))], cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


def link(folder, objects, hooks):
    # LLD_IN_TEST: it ends by returning, with its destructors.
    made = call(launched("ld.lld-14", "--threads=3", "-e", "main", "--icf=all", "--build-id=sha1",
                         "--gdb-index", "-o", "out", *objects), cwd=folder,
                env={**environment(folder, hooks), "LLD_IN_TEST": "1"})
    if made.returncode or made.stderr:
        raise Failure(f"ld.lld: exit {made.returncode}, {made.stderr}")
    counts = re.findall(r"without (\d+) with (\d+)", (folder / "agent.log").read_text())
    return max(int(count[1]) for count in counts), (folder / "report").read_text(), (folder / "out").read_bytes()


@needs("lld")
@test("LLVM's task groups in ld.lld: tasks run with the context of the linker's thread", timeout=120)
def lld():
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        objects = objects_to_link(Path(one))
        before, _, plain_output = link(Path(one), objects, "")
        after, report, output = link(Path(other), objects, LLD)
    if before:
        raise Failure("without the hook no worker has the context")
    if not after or '"by":"patch"' not in report or '"contexts_alive":0' not in report:
        raise Failure(f"{after} with a context; {report}")
    if output != plain_output:
        raise Failure("the linker made something else")
