"""The laboratory in a real browser: each control moves its picture, trainings go on, and nothing is asked elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import By, Keys, require_browser, webdriver
from lab_page import Page, asked, shown, sized

from bench.serving.process import ServerProcess
from textnn.lab import exhibits
from textnn.lab.exhibit import Exhibit
from textnn.lab.site.page import write

require_browser()
pytestmark = pytest.mark.slow
EXHIBITS = exhibits()
every = pytest.mark.parametrize("exhibit", EXHIBITS, ids=[one.slug for one in EXHIBITS])
TRAINED = [one for one in EXHIBITS if one.live is not None]


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
        for element in browser.find_elements(By.CSS_SELECTOR, "input, select, textarea, button, summary, a[href]"):
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
@pytest.mark.parametrize("width", [360, 880, 1280])
def test_nothing_stands_beside_the_window(browser: Any, running: ServerProcess, exhibit: Exhibit, width: int) -> None:
    with sized(browser, width), shown(browser, f"{running.url}/{exhibit.slug}", running.url) as page:
        page.picture()
        page.wait(lambda: browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"))
        cut = """const [nav] = document.getElementsByTagName("nav"), ends = nav.getBoundingClientRect();
            return [...nav.children].map((link) => [link.getBoundingClientRect(), link.textContent])
                .filter(([box]) => box.left < ends.left || box.right > ends.right + 0.5).map(([, name]) => name);"""
        assert browser.execute_script(cut) == [], "all exhibits can be seen and reached"


def test_controls_stay_in_sight_beside_their_pictures_where_there_is_room(browser: Any, running: ServerProcess) -> None:
    with sized(browser, 1280), shown(browser, f"{running.url}/gates", running.url) as page:
        page.picture()
        browser.execute_script("scrollTo(0, 900)")
        top, bottom, scrolled = browser.execute_script(
            "const box = document.getElementById('controls').getBoundingClientRect();"
            "return [box.top, box.bottom, scrollY]"
        )
        assert scrolled == 900
        assert 0 <= top < bottom <= 800


def test_the_keyboard_alone_reaches_everything_in_the_order_of_the_page(browser: Any, running: ServerProcess) -> None:
    with shown(browser, f"{running.url}/neurons", running.url) as page:
        page.picture("live-panels")
        wanted = browser.execute_script(
            "return [...document.querySelectorAll('a[href], button, input, select, summary, svg[tabindex]')]"
            ".filter((one) => one.checkVisibility()).map((one) => one.id || one.textContent || one.ariaLabel)"
        )
        reached = []
        for _ in wanted:
            webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
            active = browser.switch_to.active_element
            name = (
                active.get_attribute("id") or active.get_attribute("textContent") or active.get_attribute("aria-label")
            )
            if name == "panels" or active.get_attribute("class") == "plot":  # what scrolls is reached, too
                continue
            reached.append(name)
        assert wanted[0] == "To the pictures"
        assert reached == wanted[: len(reached)]
        assert "control-rate" in reached
        assert "play" in reached


def test_the_language_may_change_in_the_middle(browser: Any, running: ServerProcess) -> None:
    with shown(browser, f"{running.url}/neurons#layers=2", running.url) as page:
        page.picture("live-panels")
        page.element("control-area").send_keys(Keys.HOME)
        page.element("step").click()
        page.wait(lambda: page.text("trained") == "Round 1")
        page.element("language").click()
        assert page.text("trained") == "第 1 轮"
        assert page.element("control-area").get_attribute("value") == "20"
        assert page.element("control-layers").get_attribute("value") == "2"
        assert "面积" in page.text("panels")
        page.element("step").click()
        page.wait(lambda: page.text("trained") == "第 2 轮")
        page.element("language").click()
        assert page.text("trained") == "Round 2"


def test_a_sentence_that_a_model_cannot_read_is_told_of_in_the_language_of_the_page(
    browser: Any, running: ServerProcess
) -> None:
    page = Page(browser, f"{running.url}/trellis")
    page.picture()
    browser.execute_script("""const ask = window.fetch, error = { message: "text: expected a token", field: "text" };
        window.fetch = async () => new Response(JSON.stringify({ error }), { status: 422 });
        window.restore = () => { window.fetch = ask; };""")
    page.element("control-text").send_keys("好")
    page.wait(lambda: page.text("message") == "Nothing in this sentence can be read; try another one.")
    page.element("language").click()
    page.wait(lambda: page.text("message") == "这句话里没有能读的内容，请换一句。")
    browser.execute_script("restore()")
    page.element("control-text").send_keys("好")
    page.wait(lambda: not page.element("message").is_displayed())
    page.element("language").click()


@every
def test_the_next_exhibit_is_a_click_away(browser: Any, running: ServerProcess, exhibit: Exhibit) -> None:
    with shown(browser, f"{running.url}/{exhibit.slug}", running.url) as page:
        following = EXHIBITS[EXHIBITS.index(exhibit) + 1 :]
        assert page.text("next") == (f"Next: {following[0].title.en}" if following else "")
        if following:
            page.element("next").find_element(By.TAG_NAME, "a").click()
            page.wait(lambda: page.text("title") == following[0].title.en)


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
            controls = browser.find_elements(By.CSS_SELECTOR, "#controls input, #controls select, #controls textarea")
            assert controls
            assert not any(control.is_enabled() for control in controls)
