"""Classify texts with the model in this directory, without textnn.

    python predict.py "房间很干净" "太差了"
    python predict.py < texts.txt

texts -> tokens -> ids of words, of characters -> padded batches -> model.onnx or model.pt2 -> probabilities -> labels

It needs numpy, onnxruntime (model.onnx) or torch (model.pt2); jieba where preprocessing.json names jieba, rjieba or
mixed; regex where it names unicode or mixed.
"""

import argparse
import itertools
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np


class Classifier:
    """An exported classifier.

    Parameters
    ----------
    directory
        With preprocessing.json and the files that it names.
    tokenize
        A function from a text to its tokens, for a model that was trained with one; or in the place of the model's own.
    """

    def __init__(self, directory: Any = Path(__file__).parent, tokenize: Any = None) -> None:
        directory = Path(directory)
        self.settings = json.loads((directory / "preprocessing.json").read_text(encoding="utf-8"))
        self.labels = json.loads((directory / "labels.json").read_text(encoding="utf-8"))
        self._tokenize = tokenize or make_tokenizer(self.settings["tokenizer"])
        self._stop_words = set(self.settings["tokenizer"]["stop_words"])
        self._ids = {form["name"]: read_ids(directory / form["vocabulary"]) for form in self.settings["forms"]}
        self._run = load_program(directory / self.settings["program"]["file"], self.settings)

    def predict(self, texts: Any) -> list[Any]:
        """Return the most probable label of each text; where a text may have several, a list of labels for each.

        None for a text with nothing in it but white space.
        """
        texts = check_texts(texts)
        rows = [[self.labels[number] for number in numbers] for numbers in self.choose(self.predict_proba(texts))]
        several = self.settings["thresholds"] is not None
        return [(row if several else row[0]) if text.strip() else None for text, row in zip(texts, rows)]  # noqa: B905

    def choose(self, probabilities: Any) -> list[list[int]]:
        """Return for each row of probabilities the numbers of the labels that are predicted."""
        thresholds = self.settings["thresholds"]
        if thresholds is None:
            return [[best] for best in probabilities.argmax(axis=1).tolist()]
        return [np.flatnonzero(row).tolist() for row in probabilities >= np.array(thresholds)]

    def predict_proba(self, texts: Any, batch_size: int = 64) -> Any:
        """Return the probability of each label, float32 [texts, labels]; for an empty text what the network says."""
        texts = check_texts(texts)
        forms = [[self.encode(form, text) for text in texts] for form in self.settings["forms"]]
        # Texts of similar length go together, so that little is padded.
        order = np.argsort([len(ids) for ids in forms[0]], kind="stable")
        probabilities = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            inputs = [array for form in forms for array in pad([form[row] for row in rows])]
            probabilities[rows] = self._run(inputs)
        return probabilities

    def encode(self, form: dict[str, Any], text: str) -> list[int]:
        """Return the ids of a text in one of its forms, cut to what the network reads."""
        if form["name"] == "characters":
            tokens = split_characters(text, form.get("form", "text"))
        else:
            tokens = [token for token in self._tokenize(text) if token not in self._stop_words]
        ids = self._ids[form["name"]]
        return [ids.get(token, form["unk_id"]) for token in tokens[: form["max_length"]]]


def split_characters(text: str, form: str) -> list[str]:
    """Return the characters of a text: without white space; case folded with a blank around each word; or all."""
    if form == "all":
        return list(text)
    if form == "words":
        words = text.casefold().split()
        return list(f" {' '.join(words)} ") if words else []
    return [character for character in text if not character.isspace()]


def check_texts(texts: Any) -> list[str]:
    """Return texts as a list; a single string, which is a collection of letters to Python, is a TypeError."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts: expected a list of strings, got one string; write [text]")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{number}]: expected a string, got {type(text).__name__} {text!r}")
    return texts


def pad(sequences: list[list[int]]) -> tuple[Any, Any]:
    """Return ids int64 [B, L], with 0 behind each sequence, and lengths int64 [B]; an empty one has a single 0."""
    lengths = np.array([max(1, len(ids)) for ids in sequences], dtype=np.int64)
    padded = np.zeros((len(sequences), lengths.max()), dtype=np.int64)
    for row, ids in enumerate(sequences):
        padded[row, : len(ids)] = ids
    return padded, lengths


def read_ids(path: Path) -> dict[str, int]:
    """Return the id of each token: the number of its line, from 0. The first two are padding and unknown tokens."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    # What does not print is written as an escape.
    tokens = [line.encode("raw_unicode_escape").decode("unicode_escape") if "\\" in line else line for line in lines]
    return {token: number for number, token in enumerate(tokens) if number > 1}


def make_tokenizer(settings: dict[str, Any]) -> Any:
    """Return the function that cuts a text into tokens."""
    kind = settings["kind"]
    if kind == "char":
        if settings.get("options", {}).get("spaces"):
            return list
        return lambda text: [character for character in text if not character.isspace()]
    if kind == "whitespace":
        return str.split
    if kind == "unicode":
        return unicode_words()
    if kind not in ("jieba", "rjieba", "mixed"):
        raise ValueError(f"tokenize: the model was trained with {settings}, which is yours to give")
    import jieba

    jieba.setLogLevel(logging.WARNING)  # it tells on standard error how it reads its dictionary
    tokenizer = jieba.Tokenizer()  # rjieba's tokens are jieba's
    for word, count in settings["user_dictionary"]:
        tokenizer.add_word(word, count)

    def cut(text: str) -> list[str]:
        return list(tokenizer.cut(text, HMM=settings["options"]["hmm"]))

    if kind != "mixed":
        return cut
    import regex

    words, chinese = unicode_words(), regex.compile(r"(\p{Han}+)")  # every second piece is Chinese
    return lambda text: [
        token
        for number, piece in enumerate(chinese.split(text))
        for token in (cut(piece) if number % 2 else words(piece))
    ]


def unicode_words() -> Any:
    """Return the function that cuts a text at the word boundaries of Unicode Standard Annex 29, case folded."""
    import regex

    boundary = regex.compile(r"\b", regex.WORD | regex.VERSION1)
    return lambda text: [word for word in boundary.split(text.casefold()) if word and not word.isspace()]


def load_program(path: Path, settings: dict[str, Any]) -> Any:
    """Return a function from the arrays of a batch to the probabilities [B, labels]."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [one["name"] for one in settings["inputs"]]
        return lambda arrays: session.run(["probabilities"], dict(zip(names, arrays)))[0]  # noqa: B905
    import torch

    module = torch.export.load(str(path)).module()

    def run(arrays: list[Any]) -> Any:
        with torch.no_grad():
            return module(*map(torch.from_numpy, arrays))[1].numpy()

    return run


def main() -> None:
    """Write the label and its probability for each text of the command line, or of standard input."""
    parser = argparse.ArgumentParser(
        description="Classify texts: writes a line for each, LABEL<TAB>PROBABILITY. Where a text may have several "
        "labels, | is between them and between their probabilities. A text with nothing in it has neither."
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text; without any, one a line of standard input")
    texts = parser.parse_args().texts
    try:
        classifier = Classifier()
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    lines = iter(texts) if texts else (line.rstrip("\r\n") for line in sys.stdin)
    while chunk := list(itertools.islice(lines, 1024)):
        probabilities = classifier.predict_proba(chunk)
        for text, row, numbers in zip(chunk, probabilities, classifier.choose(probabilities)):  # noqa: B905
            shown = numbers if text.strip() else []
            labels = "|".join(str(classifier.labels[number]) for number in shown)
            print(labels, "|".join(f"{row[number]:.6f}" for number in shown), sep="\t")


if __name__ == "__main__":
    main()
