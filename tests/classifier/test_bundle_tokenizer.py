"""The tokenizer of a saved model: the same one, or a refusal that says what to do; another on request, with warning."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jieba
import pytest
from saved_models import edit_config

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.classification.bundle import read_card, read_config
from textnn.text import (
    CallableTokenizer,
    CharTokenizer,
    JiebaTokenizer,
    RJiebaTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
)

load = SentimentClassifier.load

TEXTS = ["物流很好的", "真的很差", "a-b 1.5M"]
TRAINING = [f"{number}号{text}" for number in range(5) for text in TEXTS[:2]], ["good", "bad"] * 5
RJIEBA = importlib.metadata.version("rjieba")


class Pairs(Tokenizer):
    """A class of the user's own."""

    name = "pairs"

    def split(self, text: str) -> list[str]:
        return [text[i : i + 2] for i in range(len(text) - 1)]


@pytest.fixture
def save(make_classifier: Any, tmp_path: Path) -> Callable[..., Path]:
    """Fit with a tokenizer and save; edits of its stored configuration may follow."""

    def make(tokenizer: Any, version: str | None = None, **parameters: Any) -> Path:
        classifier = make_classifier(tokenizer=tokenizer, **parameters)
        classifier.fit(*TRAINING).save(tmp_path / "model")
        if version is not None:
            edit_config(tmp_path / "model", lambda config: config["tokenizer"].update(version=version))
        return tmp_path / "model"

    return make


@pytest.fixture
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def no_rjieba(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Uninstall rjieba, as far as can be seen."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    return lambda: monkeypatch.setattr(importlib.metadata, "version", missing)


# nothing asked for


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("kind", [JiebaTokenizer, RJiebaTokenizer])
def test_the_tokenizer_of_the_training_comes_back(kind: Any, save: Any) -> None:
    own = kind(["物流很好 10"], ["的"], hmm=False)
    loaded = load(save(own))
    assert type(loaded.tokenizer_) is kind
    assert loaded.tokenizer is loaded.tokenizer_
    assert loaded.tokenizer_.config() == own.config()
    assert loaded.tokenizer_("物流很好的") == ["物流很好"]


@pytest.mark.usefixtures("silent")
def test_a_name_comes_back_as_a_name(save: Any) -> None:
    loaded = load(save("rjieba", user_dictionary=["物流很好"], stop_words=["的"]))
    assert (loaded.tokenizer, loaded.user_dictionary, loaded.stop_words) == ("rjieba", ["物流很好"], ["的"])


@pytest.mark.parametrize(
    ("kind", "installed", "other"), [("jieba", jieba.__version__, "rjieba"), ("rjieba", RJIEBA, "jieba")]
)
def test_another_version_is_refused(kind: str, installed: str, other: str, save: Any) -> None:
    path = save(kind, version="0.1")
    with pytest.raises(BundleError) as error:
        load(path)
    assert str(error.value) == (
        f"{path / 'config.json'}: the model was trained with the tokenizer '{kind}' 0.1 (hmm=True), and version "
        f"{installed} is installed here; tokens may differ. Either install that version: pip install '{kind}==0.1'; or "
        f"use the model in spite of it: load(path, tokenizer='{kind}' or tokenizer='{other}'), on the command line "
        "--tokenizer NAME"
    )


def test_a_library_that_is_not_installed_is_named(save: Any, no_rjieba: Any) -> None:
    path = save("rjieba")
    no_rjieba()
    with pytest.raises(BundleError) as error:
        load(path)
    assert str(error.value) == (
        f"{path / 'config.json'}: the model was trained with the tokenizer 'rjieba' {RJIEBA} (hmm=True), and rjieba is "
        f"not installed here; tokens may differ. Either install that version: pip install 'rjieba=={RJIEBA}'; or use "
        "the model in spite of it: load(path, tokenizer='jieba'), on the command line --tokenizer NAME"
    )
    with pytest.warns(UserWarning, match="trained with the tokenizer 'rjieba'"):
        assert load(path, tokenizer="jieba").predict(TEXTS).shape == (3,)


# something asked for


@pytest.mark.parametrize(("trained", "asked"), [("jieba", "rjieba"), ("rjieba", "jieba")])
def test_jieba_and_rjieba_stand_for_each_other(trained: str, asked: str, save: Any) -> None:
    path = save(trained, user_dictionary=["物流很好 10"], stop_words=["的"])
    before = load(path).predict_proba(TEXTS)
    with pytest.warns(
        UserWarning, match=f"trained with the tokenizer '{trained}' .*, now used with '{asked}' .*; tokens may differ"
    ):
        loaded = load(path, tokenizer=asked)
    assert loaded.tokenizer_.name == loaded.tokenizer == asked
    assert (loaded.user_dictionary, loaded.stop_words) == (["物流很好 10"], ["的"])
    assert (loaded.predict_proba(TEXTS) == before).all()


def test_a_name_takes_over_options_too(save: Any) -> None:
    path = save(JiebaTokenizer(hmm=False))
    with pytest.warns(UserWarning, match="tokens may differ"):
        loaded = load(path, tokenizer="rjieba")
    assert isinstance(loaded.tokenizer_, RJiebaTokenizer)
    assert (loaded.tokenizer_.hmm, loaded.tokenizer) == (False, loaded.tokenizer_)


def test_another_version_on_request(save: Any) -> None:
    path = save("jieba", version="0.1")
    message = rf"'jieba' 0\.1 \(hmm=True\), now used with 'jieba' {jieba.__version__} \(hmm=True\); tokens may differ"
    for asked in ("jieba", JiebaTokenizer()):
        with pytest.warns(UserWarning, match=message):
            load(path, tokenizer=asked)


@pytest.mark.usefixtures("silent")
def test_the_same_tokenizer_on_request_needs_no_warning(save: Any) -> None:
    path = save("jieba", user_dictionary=["物流很好"], stop_words=["的"])
    asked = JiebaTokenizer(["物流很好"], ["的"])
    assert load(path, tokenizer=asked).tokenizer_ is asked
    assert load(path, tokenizer="jieba").tokenizer == "jieba"


@pytest.mark.parametrize(
    "asked",
    [
        JiebaTokenizer(),
        JiebaTokenizer(["物流很好"], ["很"]),
        JiebaTokenizer(["物流很好"], ["的"], hmm=False),
        str.split,
    ],
    ids=["no words", "other stop words", "other options", "function"],
)
def test_any_difference_is_warned_of(asked: Any, save: Any) -> None:
    path = save("jieba", user_dictionary=["物流很好"], stop_words=["的"])
    with pytest.warns(UserWarning, match="trained with the tokenizer 'jieba' .* now used with .*; tokens may differ"):
        load(path, tokenizer=asked)


def test_a_loaded_classifier_is_fitted_and_saved_with_the_tokenizer_in_use(save: Any, tmp_path: Path) -> None:
    path = save("jieba")
    for asked in ("rjieba", RJiebaTokenizer(["物流很好"])):
        with pytest.warns(UserWarning, match="tokens may differ"):
            loaded = load(path, tokenizer=asked)
        loaded.set_params(verbose=0, epochs=1).fit(*TRAINING).save(tmp_path / "again")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert load(tmp_path / "again").tokenizer_("物流很好") == loaded.tokenizer_("物流很好")


def test_options_that_do_not_suit_are_refused(save: Any) -> None:
    with pytest.raises(BundleError, match=r"config\.json: tokenizer: the options .* do not suit 'char'"):
        load(save("jieba"), tokenizer="char")


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (
            "mecab",
            ValueError,
            "tokenizer: expected one of jieba, .*, the directory of a saved segmenter or a function, got 'mecab'",
        ),
        ("callable", ValueError, "tokenizer: expected one of .* got 'callable'"),
        (3, TypeError, "tokenizer: expected a name, a function, a Tokenizer or None, got int"),
        (["jieba"], TypeError, "got list"),
    ],
)
def test_what_is_no_tokenizer(asked: Any, error: type[Exception], message: str, model: Path) -> None:
    with pytest.raises(error, match=message):
        SentimentClassifier.load(model, tokenizer=asked)


def test_asking_for_what_is_not_installed(model: Path, no_rjieba: Any) -> None:
    no_rjieba()
    with pytest.raises(ValueError, match=r"pip install rjieba$"):
        load(model, tokenizer="rjieba")


# functions and classes of the user's


def test_a_function_is_not_saved_and_must_be_given_again(make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    classifier = make_classifier(tokenizer=str.split, stop_words=["的"]).fit(*reviews)
    classifier.save(tmp_path / "model")
    assert "tokenizer=function" in read_card(tmp_path / "model")
    assert "function" in read_config(tmp_path / "model")["note"]
    with pytest.raises(
        BundleError, match=r"config\.json: the model was trained with the function .*split.* load\(path,"
    ):
        load(tmp_path / "model")
    for again in (str.split, CallableTokenizer(str.split, ["的"])):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = load(tmp_path / "model", tokenizer=again)
        assert (loaded.predict_proba(reviews[0]) == classifier.predict_proba(reviews[0])).all()


def test_a_tokenizer_in_place_of_a_function(save: Any) -> None:
    path = save(str.split, stop_words=["的"], min_count=1)
    message = r"trained with the tokenizer function .*split, now used with 'whitespace'"
    for asked in ("whitespace", WhitespaceTokenizer(["的"])):
        with pytest.warns(UserWarning, match=message):
            assert load(path, tokenizer=asked).tokenizer_.stop_words == ["的"]


def test_a_class_of_ones_own_must_be_given_again(save: Any) -> None:
    path = save(Pairs(stop_words=["很好"]))
    with pytest.raises(BundleError, match=r"got 'pairs'; if that is a class of yours, .* load\(path, tokenizer=INST"):
        load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(path, tokenizer=Pairs(stop_words=["很好"])).tokenizer_("都很好") == ["都很"]
    with pytest.warns(UserWarning, match="trained with the tokenizer 'pairs', now used with 'char' and another"):
        load(path, tokenizer=CharTokenizer())


def test_the_card_names_the_tokenizer_and_its_version(save: Any) -> None:
    assert f"- Tokenizer: `rjieba {RJIEBA}`, vocabulary" in read_card(save("rjieba"))
