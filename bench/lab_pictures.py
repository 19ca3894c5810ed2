"""The pictures of docs/lab.md: each exhibit in a wide and in a narrow window.

    python -m bench.lab_pictures

Needs chromium, its driver and selenium.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import tempfile
from pathlib import Path
from typing import Any

from textnn.lab import exhibits

from .serving.process import PATIENCE, ServerProcess

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WIDTHS = {"wide": 1280, "narrow": 390}
HIGHEST = {1280: 1500, 390: 2200}  # pixels at each width: the rest of a page is cut off
ROUNDS = 15  # of a training, in the wide picture of it


def start(profile: str) -> Any:
    """Start a browser.

    Raises
    ------
    SystemExit
        If there is none.
    """
    try:
        from selenium import webdriver
    except ImportError:
        raise SystemExit("the pictures need selenium, which is not installed") from None
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        raise SystemExit("the pictures need chromium and chromedriver, which are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def wait(browser: Any, condition: str) -> None:
    """Wait until a condition in the page is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, PATIENCE, 0.1).until(lambda _: browser.execute_script(f"return {condition}"))


def take(browser: Any, url: str, width: int, path: Path, first: str = "document.body", rounds: int = 0) -> None:
    """Take a picture of an exhibit from an element downwards, after so many rounds of its training."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get(url)
    wait(browser, "document.querySelector('#panels figure')")
    for done in range(rounds):
        browser.execute_script("document.getElementById('step').click()")
        wait(browser, f"document.getElementById('trained').textContent.endsWith(' {done + 1}')")
    top, height = browser.execute_script(
        f"return [{first}.getBoundingClientRect().top + scrollY, document.documentElement.scrollHeight]"
    )
    part = {"x": 0, "y": top, "width": width, "height": min(height - top, HIGHEST[width]), "scale": 1}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": height})
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": part, "captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Take all pictures."""
    argparse.ArgumentParser(prog="python -m bench.lab_pictures", description="Pictures of docs/lab.md").parse_args()
    with (
        tempfile.TemporaryDirectory() as profile,
        ServerProcess(None, "--no-browser", command=("-m", "textnn", "lab")) as server,
    ):
        browser = start(profile)
        try:
            for exhibit in exhibits():
                url = f"{server.url}/{exhibit.slug}"
                for name, width in WIDTHS.items():
                    take(browser, url, width, IMAGES / f"lab-{exhibit.slug}-{name}.png")
                if exhibit.live is not None:
                    path = IMAGES / f"lab-{exhibit.slug}-training.png"
                    take(browser, url, WIDTHS["wide"], path, "document.getElementById('training')", ROUNDS)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
