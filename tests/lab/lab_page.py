"""A page of the laboratory in a browser, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from browsing import By, Keys, WebDriverWait, console_errors, requested
from waiting import HANG

TYPED = "好"


class Page:
    """An exhibit's page in a browser."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(url)

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.browser, HANG, 0.05).until(lambda _: condition())

    def element(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return str(self.element(name).text)

    def picture(self, name: str = "panels") -> str:
        """What is drawn, once there is something and nothing is under way."""
        host = self.element(name)
        self.wait(lambda: host.find_elements(By.TAG_NAME, "figure") and host.get_attribute("aria-busy") != "true")
        return str(self.browser.execute_script("return arguments[0].innerHTML.replace(/clip-\\w+/g, '')", host))

    def move(self, control: dict[str, Any]) -> None:
        """Move a control with the keyboard, a slider to the other side of the middle."""
        element = self.element(f"control-{control['name']}")
        key = {"choice": Keys.ARROW_DOWN, "toggle": Keys.SPACE, "text": TYPED}.get(control["kind"])
        if control["kind"] == "slider":
            low, high, at = (float(element.get_attribute(name)) for name in ("min", "max", "value"))
            key = Keys.END if at < (low + high) / 2 else Keys.HOME
        element.send_keys(key)


@contextmanager
def shown(browser: Any, url: str, site: str) -> Iterator[Page]:
    """A page, which must leave no error in the console and ask nobody else."""
    page = Page(browser, url)
    yield page
    assert console_errors(browser) == []
    assert {url for url in requested(browser) if not url.startswith((site, "data:", "chrome:", "about:"))} == set()


@contextmanager
def sized(browser: Any, width: int, height: int = 800) -> Iterator[None]:
    """A window of another size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def asked(browser: Any) -> list[str]:
    """The last parts of the addresses that the page has asked for since the last time."""
    return [url.rpartition("/")[2] for url in requested(browser)]
