"""Exported language models: a step in onnxruntime and in torch.export, and the loop around it, are the model's own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from language_samples import SENTENCES, VERSES, make_model
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import LanguageModel
from textnn.export.language import consumer
from textnn.language.sampling import Sampling, distribution

pytestmark = pytest.mark.slow

OPTIONS: dict[str, dict[str, Any]] = {
    "lstm": {"num_layers": 2, "weight_dropout": 0.1},
    "gru": {"cell": "gru", "tied": False},
    "rnn": {"cell": "rnn", "embedding_dim": 8},
    "word": {"level": "word"},
}


@pytest.fixture(scope="module")
def models() -> dict[str, LanguageModel]:
    return {
        name: make_model(**{"epochs": 6, "learning_rate": 0.02, **options}).fit(SENTENCES if name == "word" else VERSES)
        for name, options in OPTIONS.items()
    }


def load_script(directory: Path) -> Any:
    """Return the module that an export's predict.py is."""
    spec = importlib.util.spec_from_file_location("predict", directory / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_the_loop_around_an_exported_step_continues_and_scores_as_the_model_does(
    format: str,  # noqa: A002
    kind: str,
    models: dict[str, LanguageModel],
    tmp_path: Path,
) -> None:
    if format == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    model = models[kind]
    model.export(format, tmp_path / "exported")
    other = load_script(tmp_path / "exported").LanguageModel(directory=tmp_path / "exported")
    for prompt in ("", "春", "the cat", "the  dog ", "秋月何"):
        known = prompt == "" or all(token in model.vocabulary_ for token in model.state_.splitter.split(prompt))
        if known:
            assert other.generate(prompt, n=12, temperature=0) == model.generate(prompt, n=12, temperature=0)
    texts = [*VERSES[:9], *SENTENCES[:5], "", "龍x", "春" * 40]
    np.testing.assert_allclose(other.score_texts(texts), model.score_texts(texts), rtol=1e-4, atol=1e-4)
    found = list(other.score_tokens(texts, batch=4))
    for own, each in zip(model.score_tokens(texts), found, strict=True):
        np.testing.assert_allclose(each, own, rtol=1e-4, atol=1e-4)


def test_states_of_several_texts_are_those_of_each(models: dict[str, LanguageModel], tmp_path: Path) -> None:
    models["lstm"].export("torch", tmp_path / "exported")
    other = load_script(tmp_path / "exported").LanguageModel(directory=tmp_path / "exported")
    states = other.fresh(3)
    assert states.shape == (2, 2, 3, 8)
    ids = np.array([0, 2, 3], dtype=np.int64)
    logits, states = other._run(ids, states)
    for column, id_ in enumerate(ids.tolist()):
        alone, after = other._run(np.array([id_]), other.fresh(1))
        np.testing.assert_allclose(logits[column], alone[0], atol=1e-6)
        np.testing.assert_allclose(states[:, :, column], after[:, :, 0], atol=1e-6)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(0.0), Sampling(0.7), Sampling(2.0, 3), Sampling(1.0, None, 0.6), Sampling(0.5, 4, 0.9)],
)
def test_the_script_draws_from_the_distribution_of_the_model(sampling: Sampling) -> None:
    logits = torch.tensor([0.5, 9.0, 2.0, 1.0, 1.0, -1.0, 2.0])
    expected = distribution(logits, sampling).numpy()
    np.testing.assert_allclose(consumer.distribution(logits.numpy(), *sampling), expected, atol=1e-12)


def test_a_tokenizer_has_to_be_given(tmp_path: Path) -> None:
    model = make_model(str.split, epochs=4, learning_rate=0.02).fit(SENTENCES)
    model.export("torch", tmp_path / "exported")
    script = load_script(tmp_path / "exported")
    with pytest.raises(ValueError, match="tokenize: expected a function, the tokenizer"):
        script.LanguageModel(directory=tmp_path / "exported")
    other = script.LanguageModel(str.split, tmp_path / "exported")
    assert other.generate("the cat", n=5, temperature=0) == model.generate("the cat", n=5, temperature=0)
    assert "tokenize=function" in (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")


def test_the_command_exports_and_the_script_needs_no_textnn(models: dict[str, LanguageModel], tmp_path: Path) -> None:
    models["lstm"].save(tmp_path / "model")
    arguments = ["export", str(tmp_path / "model"), "-o", str(tmp_path / "exported"), "--format", "torch"]
    result = CliRunner().invoke(app, [*arguments, "--tokenizer", "jieba"])
    assert (result.exit_code, "--tokenizer: expected none for the language model" in result.output) == (2, True)
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert CliRunner().invoke(app, arguments).exit_code == 0, "an export replaces an earlier one"
    names = {"model.pt2", "preprocessing.json", "vocabulary.txt", "predict.py", "README.md"}
    assert {file.name for file in (tmp_path / "exported").iterdir()} == names
    settings = json.loads((tmp_path / "exported" / "preprocessing.json").read_text())
    shapes = {one["name"]: one["shape"] for one in (*settings["inputs"], *settings["outputs"])}
    states = [2, 2, "batch", 8]
    assert shapes == {"tokens": ["batch"], "states": states, "logits": ["batch", 15], "new_states": states}
    hidden = "import sys, runpy; sys.modules['textnn'] = None; sys.argv = sys.argv[1:]; "
    run = f"{hidden}runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", run, str(tmp_path / "exported" / "predict.py")]

    def said(*options: str, given: str | None = None) -> str:
        done = subprocess.run([*command, *options], input=given, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert said("春", "--temperature", "0", "--tokens", "5") == f"春{models['lstm'].generate('春', 5, 0)}\n"
    score, _, text = said("--score", given="春风来去。\n").partition("\t")
    assert text == "春风来去。\n"
    assert float(score) == pytest.approx(models["lstm"].score_texts(["春风来去。"])[0], abs=1e-4)
