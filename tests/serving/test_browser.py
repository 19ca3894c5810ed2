"""The page in a real browser: what a person types, sees, and is told when something is wrong.

TEXTNN_REQUIRE_BROWSER=1 makes a browser that is missing a failure; otherwise these tests are skipped without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsing import By, Keys, WebDriverWait, console_errors, requested, require_browser, start, webdriver
from small_models import train
from small_taggers import TEXT, cut_words, find_names, tag_words
from waiting import HANG

from bench.serving.process import ServerProcess
from textnn import SentimentClassifier, SequenceTagger

require_browser()
pytestmark = pytest.mark.slow
REVIEW = "房间很好😀价格"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = start(tmp_path_factory.mktemp("profile"), "en-US")
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[ServerProcess]:
    with ServerProcess(model, "--rate-limit", "0", "--title", "<b>Reviews</b>", "--max-text", "200") as process:
        yield process


class Page:
    """The page in a browser."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser, self.url = browser, url
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(url)
        self.wait(lambda: self.text("facts"))

    def element(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return str(self.element(name).text)

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.browser, HANG, 0.05).until(lambda _: condition())

    def type(self, text: str) -> None:
        """Put a text into the field as if it had been typed, characters beyond the first plane too."""
        field = self.element("text")
        self.browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            field,
            text,
        )

    def tokens(self) -> list[Any]:
        return list(self.element("tokens").find_elements(By.TAG_NAME, "span"))

    def rows(self, name: str) -> list[Any]:
        return list(self.element(name).find_elements(By.TAG_NAME, "tr"))

    def errors(self) -> list[str]:
        return console_errors(self.browser)

    def requests(self) -> list[str]:
        return requested(self.browser)


@pytest.fixture
def page(browser: webdriver.Chrome, running: ServerProcess) -> Iterator[Page]:
    """The page, whose test must leave no error in the console and ask nobody else."""
    shown = Page(browser, running.url)
    yield shown
    assert shown.errors() == []
    assert {url for url in shown.requests() if not url.startswith((running.url, "data:", "chrome:"))} == set()


def test_a_review_that_is_typed_gets_label_probability_and_coloured_words(
    page: Page, classifier: SentimentClassifier
) -> None:
    assert page.element("empty").is_displayed()
    page.element("text").send_keys("房间很好")
    page.wait(lambda: page.text("label"))
    assert page.text("label") == "good"
    probability = classifier.predict_proba(["房间很好"])[0].max()
    assert page.text("probability") == f"{probability:.1%}"
    assert not page.element("empty").is_displayed()
    bars = [line.text.split("\n") for line in page.element("bars").find_elements(By.TAG_NAME, "li")]
    assert [bar[0] for bar in bars] == ["bad", "good"]
    page.wait(page.tokens)
    colours = {token.value_of_css_property("background-color") for token in page.tokens()}
    assert len(colours) > 1
    assert page.text("tokens") == "房间很好"


def test_words_stand_where_they_are_in_a_text_with_emoji(page: Page) -> None:
    page.type(REVIEW)
    page.wait(page.tokens)
    assert page.text("tokens") == REVIEW
    assert "😀" in [token.text for token in page.tokens()]


def test_markup_is_shown_as_text(page: Page, running: ServerProcess) -> None:
    hostile = '<img src=x onerror="document.title=1">很好</p>'
    page.type(hostile)
    page.wait(page.tokens)
    assert page.text("tokens") == hostile
    assert page.browser.find_elements(By.CSS_SELECTOR, "#result img, h1 b") == []
    assert page.browser.title == "<b>Reviews</b>"
    assert page.browser.find_element(By.TAG_NAME, "h1").text == "<b>Reviews</b>"


def test_another_class_can_be_explained_with_the_keyboard(page: Page) -> None:
    page.type("房间很好")
    page.wait(page.tokens)
    assert "good" in page.text("why-title")
    page.element("bars").find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    page.wait(lambda: "bad" in page.text("why-title"))
    assert page.text("label") == "good"


def test_without_live_results_ctrl_enter_and_the_button_ask(page: Page) -> None:
    page.element("live").click()
    page.type("很好")
    assert not page.element("result").is_displayed()
    page.element("text").send_keys(Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: page.text("label") == "good")
    page.type("很差")
    page.element("go").click()
    page.wait(lambda: page.text("label") == "bad")


def test_an_example_is_classified_and_an_empty_field_empties_the_page(page: Page) -> None:
    assert page.text("empty-more") == "Type a text above, or choose an example."
    page.element("examples").find_element(By.TAG_NAME, "button").click()
    page.wait(page.tokens)
    page.type("")
    page.wait(lambda: page.element("empty").is_displayed())
    assert not page.element("result").is_displayed()


def test_a_model_that_is_not_for_reviews_has_no_examples(browser: webdriver.Chrome, tmp_path: Path) -> None:
    train(["sports", "finance"] * 100, epochs=1).save(tmp_path / "model")
    with ServerProcess(tmp_path / "model") as process:
        page = Page(browser, process.url)
        assert not page.element("try").is_displayed()
        assert page.text("empty-more") == "Type a text above."


def test_a_text_that_is_too_long_is_told_without_asking_the_server(page: Page) -> None:
    page.type("好" * 201)
    page.wait(lambda: page.element("message").is_displayed())
    assert "at most 200" in page.text("message")


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    page.type("房间很好")
    page.wait(page.tokens)
    for element in page.browser.find_elements(By.CSS_SELECTOR, "button, input, textarea, a"):
        assert element.accessible_name or not element.is_displayed(), element.get_attribute("outerHTML")
    assert page.element("result").get_attribute("aria-live") == "polite"
    assert page.element("message").get_attribute("role") == "alert"


@contextmanager
def narrow(browser: webdriver.Chrome) -> Iterator[None]:
    """A window as narrow as a phone's, beside which there must be nothing at the end."""
    size = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_narrow_window_has_nothing_beside_it(page: Page) -> None:
    with narrow(page.browser):
        page.type("房间很好" * 20)
        page.wait(page.tokens)


def test_it_says_when_the_server_is_gone(browser: webdriver.Chrome, model: Path) -> None:
    with ServerProcess(model) as process:
        page = Page(browser, process.url)
        process.signal()
        assert process.wait() == 0
        page.type("房间很好")
        page.wait(lambda: page.element("message").is_displayed())
        assert page.text("message") == "The server cannot be reached. Is it still running?"
        assert page.element("spinner").is_displayed() is False


def test_it_says_when_a_client_asks_too_often(browser: webdriver.Chrome, model: Path) -> None:
    with ServerProcess(model, "--rate-limit", "2/year") as process:
        page = Page(browser, process.url)
        page.type("房间很好")
        page.wait(page.tokens)
        page.type("房间很差")
        page.wait(lambda: page.element("message").is_displayed())
        assert "Please wait" in page.text("message")


def test_it_speaks_chinese_to_a_chinese_browser(running: ServerProcess, tmp_path: Path) -> None:
    browser = start(tmp_path, "zh-CN")
    try:
        page = Page(browser, running.url)
        assert page.text("go") == "分析"
        assert browser.execute_script("return document.documentElement.lang") == "zh-CN"
    finally:
        browser.quit()


def test_several_labels_are_shown_with_their_thresholds(browser: webdriver.Chrome, tmp_path: Path) -> None:
    labels: list[Any] = [["<b>price</b>", 1] if number % 2 else ["<b>price</b>"] for number in range(200)]
    train(labels, threshold=0.01).save(tmp_path / "model")
    with ServerProcess(tmp_path / "model") as process:
        page = Page(browser, process.url)
        page.type("房间很好")
        page.wait(page.tokens)
        assert sorted(page.text("label").split(", ")) == ["1", "<b>price</b>"]
        assert page.text("probability") == ""
        bar = page.element("bars").find_element(By.TAG_NAME, "button")
        assert "threshold 1.0%" in bar.get_attribute("title")
        assert page.errors() == []


@contextmanager
def tagging(browser: webdriver.Chrome, tagger: SequenceTagger, folder: Path) -> Iterator[Page]:
    """The page of a tagger, which must leave no error in the console and ask nobody else."""
    tagger.save(folder / "model")
    with ServerProcess(folder / "model", "--rate-limit", "0") as process:
        page = Page(browser, process.url)
        yield page
        assert page.errors() == []
        assert {url for url in page.requests() if not url.startswith((process.url, "data:", "chrome:"))} == set()


def texts(element: Any, selector: str) -> list[str]:
    return [one.text for one in element.find_elements(By.CSS_SELECTOR, selector)]


def test_entities_are_marked_by_colour_and_by_name(browser: webdriver.Chrome, tmp_path: Path) -> None:
    tagger = find_names()
    with tagging(browser, tagger, tmp_path) as page:
        assert page.text("go") == "Find entities"
        text = f"{TEXT}😀<b>{TEXT}"
        found = tagger.entities(text)
        assert {entity.type for entity in found} == {"PER", "LOC"}
        page.type(text)
        marks = page.wait(lambda: page.element("marked").find_elements(By.CLASS_NAME, "entity"))
        assert [texts(mark, ".what") for mark in marks] == [[entity.text] for entity in found]
        assert [texts(mark, "small") for mark in marks] == [
            [f"{entity.type} {entity.confidence:.0%}"] for entity in found
        ]
        for style in ("background-color", "border-bottom-color"):
            assert len({mark.value_of_css_property(style) for mark in marks}) == 2, style
        counts = Counter(entity.type for entity in found)
        assert texts(page.element("types"), "li") == [f"{name} {counts[name]}" for name in ("LOC", "PER")]
        rows = [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in page.rows("entities")]
        assert rows == [[one.text, one.type, f"{one.confidence:.1%}", f"{one.start}–{one.end}"] for one in found]
        assert page.text("found") == f"{len(found)} entities"
        with narrow(browser):
            page.type(TEXT * 20)
            page.wait(lambda: page.text("found") == "40 entities")
        page.type("。")
        page.wait(lambda: page.text("found") == "0 entities")
        assert not page.element("table").is_displayed()


def test_words_stand_side_by_side_and_some_are_kept_whole(browser: webdriver.Chrome, tmp_path: Path) -> None:
    with tagging(browser, cut_words(), tmp_path) as page:
        page.type(TEXT)
        page.wait(lambda: page.text("count") == "4 words")
        assert texts(page.element("units"), ".what") == ["李白", "来到", "苏州", "。"]
        assert texts(page.element("units"), "small") == ["nr", "v", "ns", "w"]
        assert page.element("dictionary").accessible_name.startswith("Words to keep whole")
        page.element("dictionary").send_keys("来到苏州，", Keys.ENTER)
        page.wait(lambda: page.text("count") == "3 words")
        assert texts(page.element("units"), ".what") == ["李白", "来到苏州", "。"]


def test_tokens_have_their_tags_below(browser: webdriver.Chrome, tmp_path: Path) -> None:
    with tagging(browser, tag_words(), tmp_path) as page:
        assert not page.element("dictionary").is_displayed()
        page.type("李白 在 北京")
        page.wait(lambda: page.text("count") == "3 tokens")
        assert texts(page.element("units"), ".what") == ["李白", "在", "北京"]
        assert texts(page.element("units"), "small") == ["nr", "v", "ns"]
