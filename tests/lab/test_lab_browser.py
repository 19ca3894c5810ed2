"""The laboratory in a real browser: each control moves its picture, trainings go on, and nothing is asked elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsing import By, Keys, WebDriverWait, console_errors, requested, require_browser, start, webdriver
from waiting import HANG

from bench.serving.process import ServerProcess
from textnn.lab import exhibits
from textnn.lab.exhibit import Exhibit
from textnn.lab.site.page import write

require_browser()
pytestmark = pytest.mark.slow
EXHIBITS = exhibits()
every = pytest.mark.parametrize("exhibit", EXHIBITS, ids=[one.slug for one in EXHIBITS])
TRAINED = [one for one in EXHIBITS if one.live is not None]
MOVES = {"slider": Keys.ARROW_RIGHT, "choice": Keys.ARROW_DOWN, "toggle": Keys.SPACE, "text": "好"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = start(tmp_path_factory.mktemp("profile"), "en-US")
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def running() -> Iterator[ServerProcess]:
    with ServerProcess(None, "--no-browser", command=("-m", "textnn", "lab")) as process:
        yield process


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
        key = MOVES[control["kind"]]
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


@every
def test_each_control_moves_its_picture(browser: Any, running: ServerProcess, exhibit: Exhibit) -> None:
    with shown(browser, f"{running.url}/{exhibit.slug}", running.url) as page:
        page.picture()
        # Choices last: after one a control may be for something that is not shown.
        for control in sorted(exhibit.describe()["controls"], key=lambda control: control["kind"] == "choice"):
            host = "live-panels" if control["live"] else "panels"
            before = page.picture(host)
            page.move(control)
            if control["live"]:  # it begins a new training
                page.element("step").click()
            page.wait(lambda host=host, before=before: page.picture(host) != before)
        assert not page.element("message").is_displayed()


@pytest.mark.parametrize("exhibit", TRAINED, ids=[one.slug for one in TRAINED])
def test_a_training_starts_pauses_steps_and_begins_anew(browser: Any, running: ServerProcess, exhibit: Exhibit) -> None:
    with shown(browser, f"{running.url}/{exhibit.slug}", running.url) as page:
        first = page.picture("live-panels")
        play = page.element("play")
        play.click()
        page.wait(lambda: page.text("trained").startswith("Round 2"))
        assert play.text == "Pause"
        play.click()
        page.wait(lambda: play.text == "Start")
        before = page.text("trained")
        page.element("step").click()
        page.wait(lambda: page.text("trained") != before)
        assert page.picture("live-panels") != first
        page.element("reset").click()
        page.wait(lambda: page.picture("live-panels") == first)
        assert page.text("trained") == ""


def asked(browser: Any) -> list[str]:
    """The last parts of the addresses that the page has asked for since the last time."""
    return [url.rpartition("/")[2] for url in requested(browser)]


def test_a_training_begins_anew_only_for_what_it_uses(browser: Any, running: ServerProcess) -> None:
    page = Page(browser, f"{running.url}/vanishing-gradients")
    page.picture("live-panels")
    page.picture()
    page.element("step").click()
    page.wait(lambda: page.text("trained") == "Round 1")
    asked(browser)
    page.element("control-length").send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: "after 51 steps" in page.text("panels"))
    assert page.text("trained") == "Round 1"
    assert asked(browser).count("live") == 0
    page.element("control-forget_bias").send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: page.text("trained") == "")
    page.picture()
    assert asked(browser).count("live") == 1


def test_of_many_trainings_only_the_last_is_begun(browser: Any, running: ServerProcess) -> None:
    page = Page(browser, f"{running.url}/neurons")
    page.picture("live-panels")
    asked(browser)
    browser.execute_async_script("""
        const done = arguments[0], ask = window.fetch, control = document.getElementById("control-units");
        let release;
        const moved = new Promise((go) => (release = go));
        window.fetch = async (...given) => {
            const answer = await ask(...given);
            if (given[0] === "live") await moved; // no training is ready before all moves
            return answer;
        };
        const move = (n) => {
            control.value = n;
            control.dispatchEvent(new Event("input", { bubbles: true }));
            if (n < 12) return setTimeout(move, 0, n + 1);
            release();
            done();
        };
        move(1);
    """)
    page.element("step").click()
    page.wait(lambda: page.text("trained") == "Round 1")
    assert asked(browser).count("live") == 2, "the first, which was under way, and the last"
    assert "units=12" in browser.current_url


def test_a_training_goes_on_after_a_quick_pause_or_a_single_step(browser: Any, running: ServerProcess) -> None:
    page = Page(browser, f"{running.url}/neurons")
    page.picture("live-panels")
    number = "Number(document.getElementById('trained').textContent.replace(/\\D/g, ''))"
    for clicks in (("play", "play", "play"), ("step", "play"), ("play", "step", "play")):
        browser.execute_script("for (const name of arguments[0]) document.getElementById(name).click()", list(clicks))
        at = browser.execute_script(f"return {number}")
        page.wait(lambda at=at: browser.execute_script(f"return {number}") > at + 4)
        assert page.text("play") == "Pause"
        page.element("play").click()
        assert page.text("play") == "Start"


def test_a_page_can_be_marked_with_its_settings(browser: Any, running: ServerProcess) -> None:
    url = f"{running.url}/vanishing-gradients"
    with shown(browser, f"{url}#length=20&forget_bias=0&init=uniform&nothing=1", running.url) as page:
        page.picture()
        assert page.element("control-length").get_attribute("value") == "20"
        assert page.element("control-init").get_attribute("value") == "uniform"
        page.element("control-length").send_keys(Keys.ARROW_RIGHT)
        page.wait(lambda: "length=21" in browser.current_url)
        assert "after 21 steps" in page.wait(lambda: page.text("panels") if "after 21" in page.text("panels") else "")


def test_presets_set_several_controls(browser: Any, running: ServerProcess) -> None:
    with shown(browser, f"{running.url}/vanishing-gradients", running.url) as page:
        page.picture()
        browser.find_element(By.XPATH, "//p[@id='presets']/button[text()='200 steps']").click()
        page.wait(lambda: "after 200 steps" in page.text("panels"))
        assert page.element("control-length").get_attribute("value") == "200"


def test_numbers_are_read_with_pointer_and_keys(browser: Any, running: ServerProcess) -> None:
    with shown(browser, f"{running.url}/vanishing-gradients", running.url) as page:
        page.picture()
        figure = browser.find_element(By.CSS_SELECTOR, "#panels figure")
        picture, readout = (figure.find_element(By.CSS_SELECTOR, name) for name in (".plot svg", ".readout"))
        picture.send_keys(Keys.ARROW_RIGHT)
        assert readout.text.startswith("T − t, steps back = 0: RNN tanh 1")
        picture.send_keys(Keys.ARROW_RIGHT)
        assert readout.text.startswith("T − t, steps back = 1:")
        webdriver.ActionChains(browser).move_to_element(picture).perform()
        assert readout.text.startswith("T − t, steps back = 2")
        assert picture.get_attribute("role") == "img"
        assert "RNN tanh: 1 → " in picture.get_attribute("aria-label")


def test_every_control_has_a_name_and_can_be_reached(browser: Any, running: ServerProcess) -> None:
    with shown(browser, f"{running.url}/neurons", running.url) as page:
        page.picture("live-panels")
        for element in browser.find_elements(By.CSS_SELECTOR, "input, select, button, summary, a[href]"):
            assert element.accessible_name, element.get_attribute("outerHTML")
            assert element.get_attribute("tabindex") != "-1"


@every
def test_it_speaks_two_languages(browser: Any, running: ServerProcess, exhibit: Exhibit) -> None:
    with shown(browser, f"{running.url}/{exhibit.slug}", running.url) as page:
        page.picture()
        assert page.text("title") == exhibit.title.en
        page.element("language").click()
        assert page.text("title") == exhibit.title.zh
        assert page.text("text") == exhibit.text.zh
        assert browser.execute_script("return document.documentElement.lang") == "zh-Hans"
        page.element("language").click()
        assert page.text("title") == exhibit.title.en


@every
@pytest.mark.parametrize("width", [360, 900])
def test_nothing_stands_beside_the_window(browser: Any, running: ServerProcess, exhibit: Exhibit, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        with shown(browser, f"{running.url}/{exhibit.slug}", running.url) as page:
            page.picture()
            page.wait(lambda: browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"))
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_says_when_the_server_is_gone(browser: Any) -> None:
    with ServerProcess(None, "--no-browser", command=("-m", "textnn", "lab")) as process:
        page = Page(browser, f"{process.url}/descent")
        page.picture()
        process.signal()
        assert process.wait() == 0
        page.element("control-steps").send_keys(Keys.END)
        page.wait(lambda: page.element("message").is_displayed())
        assert page.text("message") == "The laboratory cannot be reached. Is it still running?"


def test_pages_in_files_are_drawn_without_a_server(browser: Any, tmp_path: Path) -> None:
    for path in write(EXHIBITS, tmp_path):
        with shown(browser, path.as_uri(), tmp_path.as_uri()) as page:
            if path.name == "index.html":
                links = page.element("cards").find_elements(By.TAG_NAME, "a")
                assert [link.get_attribute("href") for link in links] == [
                    (tmp_path / f"{one.slug}.html").as_uri() for one in EXHIBITS
                ]
                continue
            page.picture()
            assert page.element("default").is_displayed()
            assert not page.element("training").is_displayed()
            controls = browser.find_elements(By.CSS_SELECTOR, "#controls input, #controls select")
            assert controls
            assert not any(control.is_enabled() for control in controls)
