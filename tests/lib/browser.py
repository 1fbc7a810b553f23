"""A headless Chromium by the WebDriver protocol, with nothing but the standard library."""
import base64
import contextlib
import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import patience
from needs import require


class Browser:
    def __init__(self, port, session):
        self.base = f"http://127.0.0.1:{port}/session/{session}"

    def call(self, path, **body):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self.call("/url", url=url)

    def run(self, script, *args):
        return self.call("/execute/sync", script=script, args=list(args))

    def prefer(self, scheme):
        self.call("/goog/cdp/execute", cmd="Emulation.setEmulatedMedia",
                  params={"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def picture(self):
        with urllib.request.urlopen(self.base + "/screenshot") as answer:
            return base64.b64decode(json.load(answer)["value"])


@contextlib.contextmanager
def browser(width=1280, height=720):
    require("chromium")
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    session = None
    try:
        options = {"binary": program, "args": ["--headless=new", "--no-sandbox", "--disable-gpu",
                                               "--disable-dev-shm-usage", "--hide-scrollbars",
                                               f"--window-size={width},{height}"]}
        body = json.dumps({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}).encode()

        def opened():
            with contextlib.suppress(ConnectionError, urllib.error.URLError):
                request = urllib.request.Request(f"http://127.0.0.1:{port}/session", body,
                                                 {"Content-Type": "application/json"})
                with urllib.request.urlopen(request) as answer:
                    return json.load(answer)["value"]["sessionId"]

        session = patience.until(opened)
        yield Browser(port, session)
    finally:
        if session:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(
                    f"http://127.0.0.1:{port}/session/{session}", method="DELETE")).close()
        process.terminate()
        process.wait()
