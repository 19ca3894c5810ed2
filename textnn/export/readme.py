"""The README.md of an export: what its files are, and how to use them where textnn is not.

preprocessing.json's values -> Markdown
"""

from __future__ import annotations

from typing import Any

from textnn.text import TOKENIZERS, JiebaTokenizer

_PROGRAMS = {".onnx": "onnxruntime", ".pt2": "torch"}


def write_readme(settings: dict[str, Any]) -> str:
    """Return the Markdown.

    Parameters
    ----------
    settings
        The content of ``preprocessing.json``.
    """
    tokenizer = settings["tokenizer"]
    runtime = runtime_of(settings)
    jieba = tokenizer["kind"] in ("jieba", "rjieba", "mixed")
    packages = [f"jieba=={JiebaTokenizer.version()}"] * jieba + ["regex"] * (tokenizer["kind"] in ("unicode", "mixed"))
    argument = "tokenize=function" if tokenizer["kind"] not in TOKENIZERS or tokenizer["kind"] == "callable" else ""
    several = ["(several labels, or none, and their probabilities with `|` between them)."]
    written = "The command writes a line for each text: its label, a tab, the label's probability"
    told = [written, *several] if settings["several_labels"] else [f"{written}."]
    lines = [
        "# An exported text classifier",
        "",
        f"Of the architecture `{settings['architecture']}`, exported by textnn {settings['textnn']} with torch "
        f"{settings['torch']}. Nothing here needs textnn.",
        "",
        "## Use",
        "",
        "```sh",
        " ".join(["pip install numpy", runtime, *packages]),
        *(
            []
            if argument
            else ['python predict.py "a text" "another"', "python predict.py < texts.txt    # one a line"]
        ),
        "```",
        "",
        "```python",
        "from predict import Classifier",
        "",
        f"classifier = Classifier({argument})",
        'texts = ["a text", "another"]',
        "print(classifier.predict(texts), classifier.predict_proba(texts))",
        "```",
        "",
        *([] if argument else told),
        "A text with nothing in it but white space has no prediction: `predict` gives None for it, the command an",
        "empty label and probability. `predict_proba` gives what the network says of a text without a token.",
        "",
    ]
    if argument:
        name = tokenizer.get("function", tokenizer["kind"])
        lines += [f"The tokenizer `{name}` is not exported: give it yourself, as a function from a text to tokens.", ""]
    if tokenizer["kind"] == "rjieba":
        lines += ["The model was trained with rjieba, whose tokens are jieba's; `predict.py` uses the latter.", ""]
    lines += ["## The program", "", *program_table(settings)]
    lines += [
        "",
        "Sizes in words change from call to call. Ids are padded with 0 to the longest text of the batch, and have at",
        "least one column; a text without a token has a single 0 and the length 1. The temperature is applied in the",
        "program. Columns of the probabilities are in the order of `labels.json`"
        + (", and a text has the labels" if settings["several_labels"] else "."),
    ]
    if settings["several_labels"]:
        lines += ["whose probabilities reach their `thresholds` in `preprocessing.json`."]
    lines += ["", "## Ids", ""]
    for form in settings["forms"]:
        limit = "" if form["max_length"] is None else f", the first {form['max_length']:,} of a text"
        what = "tokens" if form["name"] == "words" else "characters other than white space"
        lines += [f"- `{form['name']}`: {what}{limit}; ids are line numbers, from 0, in `{form['vocabulary']}`"]
    lines += ["", "Tokens that are not listed, `[PAD]` and `[UNK]` in a text among them, have the id 1. Lines have"]
    lines += ["Python's escapes for what does not print, and for the backslash.", ""]
    return "\n".join(lines)


def runtime_of(settings: dict[str, Any]) -> str:
    """Return the package that runs the program."""
    file = settings["program"]["file"]
    return next(package for suffix, package in _PROGRAMS.items() if file.endswith(suffix))


def program_table(settings: dict[str, Any]) -> list[str]:
    """Return the lines that tell of inputs and outputs of the program."""
    rows = [
        f"| {kind} `{one['name']}` | {one['dtype']} | {' × '.join(map(str, one['shape']))} |"
        for kind in ("input", "output")
        for one in settings[f"{kind}s"]
    ]
    opset = f" (opset {settings['program']['opset']})" if "opset" in settings["program"] else ""
    head = f"`{settings['program']['file']}`{opset} takes and gives"
    return [head, "", "| | type | shape |", "| --- | --- | --- |", *rows]
