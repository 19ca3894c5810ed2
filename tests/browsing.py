"""A browser for tests: Chromium, its driver and selenium.

TEXTNN_REQUIRE_BROWSER=1 makes one that is missing a failure; otherwise the tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    SELENIUM = True
except ImportError:
    webdriver = By = Keys = WebDriverWait = None
    SELENIUM = False

__all__ = ["By", "Keys", "WebDriverWait", "console_errors", "requested", "require_browser", "start", "webdriver"]

BINARY, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,1000",
]
LACKING = [
    name for name, here in {"selenium": SELENIUM, "chromium": BINARY, "chromedriver": DRIVER}.items() if not here
]


def require_browser() -> None:
    """Skip the module that calls this, or fail, where a browser is missing."""
    if LACKING:
        reason = f"not installed: {', '.join(LACKING)}"
        if os.environ.get("TEXTNN_REQUIRE_BROWSER", "") not in ("", "0"):
            pytest.fail(f"TEXTNN_REQUIRE_BROWSER is set; {reason}", pytrace=False)
        pytest.skip(reason, allow_module_level=True)


def start(profile: Path, language: str) -> Any:
    """Start a browser that speaks a language."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BINARY)
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--accept-lang={language}", f"--lang={language}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))


def console_errors(browser: Any) -> list[str]:
    """Return what stands in the console as an error since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requested(browser: Any) -> list[str]:
    """Return the addresses that the browser has asked since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent]
