"""The built site in a real browser: Debian's Chromium, through Playwright."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

SITE = Path(os.environ.get("TETRAPLA_SITE", "build/site")).resolve()


@pytest.fixture(scope="session")
def browser():
    found = shutil.which("chromium")
    if not found and not os.environ.get("CI"):
        pytest.skip("no chromium here: apt-get install chromium")
    assert found, "CI needs chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        flags = ["--headless", "--no-sandbox"]
        running = playwright.chromium.launch(executable_path=found, args=flags)
        yield running
        running.close()


class Watched:
    """A page, and what it should not have done."""

    def __init__(self, browser, width=1600, height=1000, scheme="light"):
        viewport = {"width": width, "height": height}
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))
        self.page.on("console", self._console)
        self.page.on("request", self._request)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _request(self, request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.complaints.append(f"request: {request.url}")

    def open(self, path, fragment=""):
        self.page.goto(f"file://{SITE}/{path}{fragment}")
        self.page.wait_for_load_state("load")
        return self.page


@pytest.fixture
def watched(browser):
    opened = []

    def make(**how):
        opened.append(Watched(browser, **how))
        return opened[-1]

    yield make
    for each in opened:
        each.context.close()


@pytest.fixture(scope="session")
def served():
    """Serve the site, for what a browser allows no page from a folder."""
    handler = functools.partial(Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
