"""The dashboard's server as a process, and a Chromium that looks at its page."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

__all__ = ["TOKEN", "Reply", "Site", "browser", "served"]

TOKEN = "a-token-of-a-test-that-is-long"
SOURCES = Path(__file__).resolve().parents[2] / "src"

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1"),
)


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A dashboard that is being served at `url`, behind whose ``#`` its token stands."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.token = parts.fragment
        self._place = (parts.hostname, parts.port)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request with headers given as `Sec_Fetch_Site`, and return the answer."""
        connection = http.client.HTTPConnection(*self._place, timeout=20)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, given)
            reply = connection.getresponse()
            # A stream has no end: what it begins with will do.
            whole = reply.readline() if path == "/state" and reply.status == 200 else reply.read()
            return Reply(reply.status, dict(reply.getheaders()), whole)
        finally:
            connection.close()


@contextmanager
def served(url: str, *words: str, token: str | None = TOKEN) -> Iterator[Site]:
    """Serve the dashboard of the caches at `url` on a free port, and end it as Ctrl-C does."""
    settings = os.environ | {"FRESHWELL_URL": url, "PYTHONPATH": str(SOURCES)}
    if token is not None:
        settings["FRESHWELL_TOKEN"] = token
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "error", "-m", "freshwell.cli", "dashboard"),
            *("--port", "0", "--interval", "0.2", *words),
        ],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Site(line.strip())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, ""), errors
    finally:
        process.kill()
        process.communicate()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def browser(*, width: int = 1440, height: int = 1_000, dark: bool = False) -> Iterator[Any]:
    """Start Chromium of that size. Its log is kept."""
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    options = Options()
    if program is not None and driver is not None:
        options.binary_location = program
    for flag in _FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--window-size={width},{height}")
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        # Where the system has none, Selenium looks for one.
        page = webdriver.Chrome(options=options, service=Service(driver))
    except WebDriverException as error:
        pytest.fail(
            "pages are tested with Chromium and chromedriver: run tools/setup.sh servers, or "
            f"install them ({error.msg})",
            pytrace=False,
        )
    try:
        # A window of a desktop has a least width; what is emulated has none.
        page.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        if dark:
            features = [{"name": "prefers-color-scheme", "value": "dark"}]
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        yield page
    finally:
        page.quit()
