"""What every exhibit keeps: its words, its controls, its code, and panels that can be drawn anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from textnn.lab import exhibits, one_neuron, vanishing
from textnn.lab.exhibit import (
    ANY,
    CODE_LINES,
    MODELS,
    SENTENCES,
    Choice,
    Exhibit,
    SettingError,
    Slider,
    TextField,
    Toggle,
)
from textnn.lab.panels import Both

EXHIBITS = exhibits()
every = pytest.mark.parametrize("exhibit", EXHIBITS, ids=[one.slug for one in EXHIBITS])


def run(exhibit: Exhibit, **given: Any) -> list[dict[str, Any]]:
    more = {"model": None} if exhibit.model else {}
    return exhibit.run(**exhibit.settings(given), **more)


def test_exhibits_have_paths_of_their_own() -> None:
    slugs = [one.slug for one in EXHIBITS]
    assert len(set(slugs)) == len(slugs) >= 3
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)


@every
def test_texts_are_short_in_both_languages(exhibit: Exhibit) -> None:
    assert 1 <= len(re.findall(r"[.!?](?=\s|$)", exhibit.text.en)) <= SENTENCES
    assert 1 <= len(re.findall(r"[。！？]", exhibit.text.zh)) <= SENTENCES
    assert exhibit.question.en.endswith("?")
    assert exhibit.question.zh.endswith("？")
    for words in (exhibit.title, exhibit.text, exhibit.question, *(control.label for control in exhibit.controls)):
        assert words.en, "no English"
        assert words.zh, "no Chinese"
    assert exhibit.model is None or exhibit.model in (*MODELS, ANY)


@pytest.mark.slow
@every
def test_its_code_is_short_and_runs_as_it_stands(exhibit: Exhibit, capsys: pytest.CaptureFixture[str]) -> None:
    lines = exhibit.code.strip().splitlines()
    assert len(lines) <= CODE_LINES
    exec(compile(exhibit.code, exhibit.slug, "exec"), {})
    assert capsys.readouterr().out.strip()


@every
def test_its_settings_are_allowed_and_its_panels_are_json(exhibit: Exhibit) -> None:
    for control in exhibit.controls:
        assert control.check(control.default) == control.default
    panels = run(exhibit)
    assert panels
    assert json.loads(json.dumps(panels, allow_nan=False)) == panels
    json.dumps(exhibit.describe(), allow_nan=False)


@every
def test_every_end_of_its_controls_can_be_run(exhibit: Exhibit) -> None:
    for control in exhibit.controls:
        if control.live:
            continue
        if isinstance(control, Slider):
            values: list[Any] = [control.check(control.low), control.check(control.high)]
        elif isinstance(control, Choice):
            values = [value for value, _ in control.options]
        else:
            values = [True, False] if isinstance(control, Toggle) else ["a", "好"]
        for value in values:
            assert run(exhibit, **{control.name: value}), (control.name, value)


@every
def test_each_control_moves_a_panel(exhibit: Exhibit) -> None:
    usual = run(exhibit)
    for control in exhibit.controls:
        if control.live:
            continue
        if isinstance(control, Slider):
            values: list[Any] = [control.check(control.low), control.check(control.high)]
        elif isinstance(control, Choice):
            values = [value for value, _ in control.options if value != control.default]
        else:
            values = [not control.default] if isinstance(control, Toggle) else ["房间很干净"]
        assert any(run(exhibit, **{control.name: value}) != usual for value in values), control.name


@every
def test_its_presets_can_be_run(exhibit: Exhibit) -> None:
    for _, given in exhibit.presets:
        assert run(exhibit, **given)


@every
@pytest.mark.parametrize("language", ["en", "zh"])
def test_its_panels_become_a_figure(exhibit: Exhibit, language: str) -> None:
    pytest.importorskip("matplotlib")
    from textnn.lab.figures import draw

    panels = run(exhibit)
    figure = draw(panels, language)
    figure.canvas.draw()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for panel in panels:
        title = panel["title"] if isinstance(panel["title"], str) else panel["title"][language]
        assert title in titles


@every
def test_a_training_shows_the_same_kinds_of_panels_at_each_step(exhibit: Exhibit) -> None:
    if exhibit.live is None:
        pytest.skip("nothing is trained")
    more = {"model": None} if exhibit.model else {}
    training = exhibit.live(**exhibit.settings(), **more)
    first, second = next(training), next(training)
    assert [panel["kind"] for panel in first] == [panel["kind"] for panel in second]
    assert first != second
    json.dumps([first, second], allow_nan=False)


@every
def test_a_training_depends_on_no_other_controls_than_it_says(exhibit: Exhibit) -> None:
    if exhibit.live is None:
        pytest.skip("nothing is trained")
    used = exhibit.describe()["training"]
    usual, moved = exhibit.settings(), {}
    for control in exhibit.controls:
        if control.name not in used:
            assert isinstance(control, Slider | Choice)
            values = [control.low, control.high] if isinstance(control, Slider) else [one for one, _ in control.options]
            moved[control.name] = control.check(next(one for one in values if one != control.default))
    trainings = [exhibit.live(**usual), exhibit.live(**{**usual, **moved})]
    assert moved
    for _ in range(2):
        first, second = map(next, trainings)
        assert first == second


@pytest.mark.parametrize(("module", "settings"), [(one_neuron, {}), (vanishing, {"hidden": 4, "memory": 5})])
def test_a_training_that_could_go_on_ends(module: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.ROUNDS == 500
    monkeypatch.setattr(module, "ROUNDS", 3)
    panels = list(module.EXHIBIT.live(**module.EXHIBIT.settings(settings)))
    steps = [
        max(len(one["x"]) for panel in each if panel["kind"] == "lines" for one in panel["series"]) for each in panels
    ]
    assert len(panels) == 4
    assert steps[-1] == 30


SLIDER = Slider("a", Both("a", "甲"), 3, 1, 5)
REAL = Slider("b", Both("b", "乙"), 0.5, 0.0, 1.0, 0.1)
CHOICE = Choice("c", Both("c", "丙"), "x", (("x", "x"), ("y", "y")))
FIELD = TextField("d", Both("d", "丁"), "text", 5)
TOGGLE = Toggle("e", Both("e", "戊"), True)
SMALL = Exhibit(
    "small", Both("s", "s"), Both("t", "t"), Both("q", "q"), (SLIDER, REAL, CHOICE, FIELD, TOGGLE), lambda **_: [], ""
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a", 6, "a: expected an integer from 1 to 5, got 6"),
        ("a", 1.5, "a: expected an integer from 1 to 5, got 1.5"),
        ("a", True, "a: expected an integer from 1 to 5, got True"),
        ("a", 10**400, f"a: expected an integer from 1 to 5, got 1{'0' * 56}..."),
        ("b", float("inf"), "b: expected a number from 0 to 1, got inf"),
        ("a", "3", "a: expected an integer from 1 to 5, got '3'"),
        ("b", float("nan"), "b: expected a number from 0 to 1, got nan"),
        ("c", "z", "c: expected one of x, y, got 'z'"),
        ("d", "", "d: expected a text of 1 to 5 characters, got ''"),
        ("d", "toolong", "d: expected a text of 1 to 5 characters, got 7 characters"),
        ("e", 1, "e: expected true or false, got 1"),
        ("f", 1, "f: expected a setting of small: a, b, c, d, e"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        SMALL.settings({name: value})
    assert str(caught.value) == message


def test_a_number_may_be_too_long_to_be_shown() -> None:
    with pytest.raises(SettingError, match="from 1 to 5, got a number too long to be shown"):
        SMALL.settings({"a": 10**5000})


def test_settings_have_the_types_of_their_controls() -> None:
    found = SMALL.settings({"a": 4.0, "b": 1, "d": " x "})
    assert found == {"a": 4, "b": 1.0, "c": "x", "d": "x", "e": True}
    assert isinstance(found["a"], int)
    assert isinstance(found["b"], float)


def test_the_laboratory_is_loaded_at_its_first_use_and_draws_without_matplotlib() -> None:
    code = (
        "import sys, textnn; assert 'lab' in textnn.__all__; assert 'textnn.lab' not in sys.modules; "
        "textnn.lab.neurons().panels(); textnn.lab.neurons(); assert 'textnn.lab.vanishing' not in sys.modules; "
        "assert 'matplotlib' not in sys.modules; textnn.lab.descent(); textnn.lab.playground(steps=1); print('loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "loaded\n", done.stderr


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import textnn.lab

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = textnn.lab.nothing
    assert {"vanishing_gradients", "memory_task", "neurons", "playground", "descent"} <= set(dir(textnn.lab))
