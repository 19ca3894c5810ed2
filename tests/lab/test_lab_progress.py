"""A page answers each move at once: with its picture, or by saying that it computes.

How busy the machine is decides nothing here: the page's clock is the test's, and answers come when the test lets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from browsing import By, Keys, console_errors, require_browser
from lab_page import Page, asked

from bench.serving.process import ServerProcess
from textnn.lab import exhibits
from textnn.lab.exhibit import Exhibit

require_browser()
pytestmark = pytest.mark.slow
EXHIBITS = exhibits()
every = pytest.mark.parametrize("exhibit", EXHIBITS, ids=[one.slug for one in EXHIBITS])

PROMISE = 300
"""Milliseconds after which a move has been answered, one way or the other."""

CLOCK = """(() => {
  const due = new Map(), wait = window.setTimeout, forget = window.clearTimeout, ask = window.fetch;
  let now = 0, last = 1e6, held = null;
  window.setTimeout = (call, after = 0, ...given) => {
    if (after < 100) return wait(call, after, ...given);
    due.set(++last, { at: now + after, call: () => call(...given) });
    return last;
  };
  window.clearTimeout = (key) => due.delete(key) || forget(key);
  window.later = (after) => {
    now += after;
    for (const [key, one] of [...due]) if (one.at <= now && due.delete(key)) one.call();
  };
  window.fetch = async (...given) => {
    const answer = await ask(...given);
    if (held) await new Promise((go) => held.push(go));
    return answer;
  };
  window.hold = () => { held = []; };
  window.waiting = () => held.length;
  window.release = () => { const all = held; held = null; for (const go of all) go(); };
  if (location.search === "?held") window.hold();
})();"""


@contextmanager
def timed(browser: Any, url: str) -> Iterator[Page]:
    """A page on a clock of the test's own."""
    key = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})["identifier"]
    try:
        yield Page(browser, url)
        assert console_errors(browser) == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": key})


def run(page: Page, script: str) -> Any:
    return page.browser.execute_script(script)


def wait_for_answers(page: Page) -> None:
    page.wait(lambda: run(page, "return underWay.size === 0"))
    assert not page.element("progress").is_displayed()


def expect_progress(page: Page, what: str) -> None:
    """It is said before the promised time is over, and why it may take long; it goes when the answer has come."""
    run(page, f"later({PROMISE})")
    assert page.text("progress") == "Computing …", what
    run(page, "later(3000)")
    assert "trains a small one at its first use" in page.text("progress"), what
    run(page, "release()")
    wait_for_answers(page)


@every
def test_each_move_is_answered_in_time(browser: Any, running: ServerProcess, exhibit: Exhibit) -> None:
    with timed(browser, f"{running.url}/{exhibit.slug}") as page:
        for control in exhibit.describe()["controls"]:
            wait_for_answers(page)
            run(page, "hold()")
            page.move(control)
            expect_progress(page, control["name"])
        for place in range(len(exhibit.presets)):
            run(page, "hold()")
            browser.find_elements(By.CSS_SELECTOR, "#presets button, #live-presets button")[place].click()
            expect_progress(page, f"preset {place}")


@every
def test_a_visit_is_answered_in_time(browser: Any, running: ServerProcess, exhibit: Exhibit) -> None:
    with timed(browser, f"{running.url}/{exhibit.slug}?held") as page:
        assert page.text("title") == exhibit.title.en
        expect_progress(page, exhibit.slug)
        assert browser.find_elements(By.CSS_SELECTOR, "#panels figure")


def test_a_move_that_waits_for_the_answer_before_is_told_of_in_time(browser: Any, running: ServerProcess) -> None:
    with timed(browser, f"{running.url}/descent") as page:
        wait_for_answers(page)
        steps, start = (one.describe() for one in exhibits()[1].controls if one.name in ("steps", "start"))
        run(page, "hold()")
        page.move(start)
        page.wait(lambda: run(page, "return waiting() === 1"))
        run(page, "later(149)")
        page.move(steps)
        assert not page.element("progress").is_displayed()
        run(page, "release(); hold()")
        page.wait(lambda: run(page, "return waiting() === 1"))
        run(page, f"later({PROMISE - 149})")
        assert page.text("progress") == "Computing …"
        run(page, "release()")
        wait_for_answers(page)


def test_the_buttons_of_a_training_answer_in_time(browser: Any, running: ServerProcess) -> None:
    with timed(browser, f"{running.url}/neurons") as page:
        wait_for_answers(page)
        for name in ("step", "reset"):
            run(page, "hold()")
            page.element(name).click()
            expect_progress(page, name)
        run(page, "hold()")
        page.element("play").click()
        assert page.text("play") == "Pause", "at once"
        assert page.element("turning").is_displayed()
        run(page, "release()")
        page.element("play").click()
        assert not page.element("turning").is_displayed()


def test_what_an_input_method_puts_together_is_asked_for_when_it_is_a_word(
    browser: Any, running: ServerProcess
) -> None:
    page = Page(browser, f"{running.url}/trellis")
    page.picture()
    page.element("control-text").send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)
    page.wait(lambda: page.text("message") == "Type a sentence.")
    asked(browser)
    for letters in ("b", "be", "bei"):
        spell = {"text": letters, "selectionStart": len(letters), "selectionEnd": len(letters)}
        browser.execute_cdp_cmd("Input.imeSetComposition", spell)
    assert page.element("control-text").get_attribute("value") == "bei"
    browser.execute_cdp_cmd("Input.insertText", {"text": "北京"})
    page.wait(lambda: "北" in page.text("panels"))
    assert not page.element("message").is_displayed()
    assert asked(browser).count("run") == 1
