"""Write text, and say how probable texts are, with the language model in this directory, without textnn.

    python predict.py "春" --tokens 50 --top-p 0.9 --seed 1
    python predict.py --score < texts.txt

prompt -> ids behind 0 -> step: token, states -> logits, states -> draw a token -> step -> ...   until 0 is drawn

It needs numpy, and onnxruntime (model.onnx) or torch (model.pt2).
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

END, UNKNOWN = 0, 1


class LanguageModel:
    """An exported language model.

    Parameters
    ----------
    tokenize
        A function from a text to tokens, of a model that was trained with a tokenizer.
    directory
        With preprocessing.json and the files that it names.
    """

    def __init__(self, tokenize: Any = None, directory: Any = Path(__file__).parent) -> None:
        directory = Path(directory)
        self.settings = json.loads((directory / "preprocessing.json").read_text(encoding="utf-8"))
        if self.settings["tokenizer"] is not None and tokenize is None:
            raise ValueError(f"tokenize: expected a function, the tokenizer {self.settings['tokenizer']!r}, got None")
        self._tokenize = tokenize
        self.tokens = read_tokens(directory / "vocabulary.txt")
        self._ids = {token: number for number, token in enumerate(self.tokens) if number > UNKNOWN}
        self._words = re.compile(self.settings["words"])
        self._unspaced = re.compile(self.settings["unspaced"])
        self._run = load_program(directory / self.settings["program"]["file"])
        states = next(one for one in self.settings["inputs"] if one["name"] == "states")
        self._shape, self._dtype = states["shape"], states["dtype"]

    def generate(self, prompt: str = "", **options: Any) -> str:
        """Continue a prompt, and return what is written; options are those of ``stream``."""
        return "".join(self.stream(prompt, **options))

    def stream(
        self,
        prompt: str = "",
        n: int = 200,
        temperature: float = 1.0,
        top_k: Any = None,
        top_p: Any = None,
        seed: Any = None,
    ) -> Any:
        """Yield what is written behind a prompt, token by token: ``n`` of them at most.

        A temperature of 0 takes the most probable token each time; ``top_k`` and ``top_p`` draw from the most probable
        ones alone. A seed gives the same text each time, another one than the same seed of textnn.
        """
        source = np.random.default_rng(seed)
        tokens = self.split(prompt)
        last = tokens[-1] if tokens else ""
        if prompt[-1:].isspace() and not last[-1:].isspace():
            last = ""
        logits, states = self.read([END, *(self._ids.get(token, UNKNOWN) for token in tokens)])
        for _ in range(n):
            id_ = int(source.choice(len(logits), p=distribution(logits, temperature, top_k, top_p)))
            if id_ == END:
                return
            yield self.gap(last, self.tokens[id_]) + self.tokens[id_]
            last = self.tokens[id_]
            logits, states = self.read([id_], states)

    def score_texts(self, texts: Any) -> list[float]:
        """Return the log-probability of each text, its end included."""
        return [float(scores.sum()) for scores in self.score_tokens(texts)]

    def score_tokens(self, texts: Any, batch: int = 64) -> Any:
        """Yield the log-probability of each token of each text behind those before it, and of its end."""
        texts = list(texts)
        for first in range(0, len(texts), batch):
            rows = [
                [END, *(self._ids.get(t, UNKNOWN) for t in self.split(text)), END]
                for text in texts[first : first + batch]
            ]
            ids = np.zeros((max(map(len, rows)), len(rows)), dtype=np.int64)
            for column, row in enumerate(rows):
                ids[: len(row), column] = row
            states, scores = self.fresh(len(rows)), np.zeros((len(ids) - 1, len(rows)))
            for step in range(len(ids) - 1):
                logits, states = self._run(ids[step], states)
                scores[step] = log_softmax(logits)[np.arange(len(rows)), ids[step + 1]]
            for column, row in enumerate(rows):
                yield scores[: len(row) - 1, column]

    def fresh(self, batch: int) -> Any:
        """Return the states that texts begin with."""
        return np.zeros([batch if size == "batch" else size for size in self._shape], dtype=self._dtype)

    def read(self, ids: Any, states: Any = None) -> Any:
        """Read some tokens of one text; return the logits [V] of what follows, and the states."""
        states = self.fresh(1) if states is None else states
        logits: Any = None
        for id_ in ids:
            logits, states = self._run(np.array([id_], dtype=np.int64), states)
        return logits[0], states

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if self._tokenize is not None:
            return list(self._tokenize(text))
        return list(text) if self.settings["level"] == "char" else self._words.findall(text)

    def gap(self, before: str, after: str) -> str:
        """Return what stands between two tokens of a text."""
        if self.settings["gap"] == "" or not before or not after:
            return ""
        if self.settings["gap"] == "space":
            return " "
        last, first = before[-1], after[0]
        spaced = last.isalnum() and first.isalnum()
        return " " if spaced and not self._unspaced.match(last) and not self._unspaced.match(first) else ""


def log_softmax(logits: Any) -> Any:
    """Return log-probabilities in float64, of logits [..., V]."""
    logits = logits.astype(np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def distribution(logits: Any, temperature: float = 1.0, top_k: Any = None, top_p: Any = None) -> Any:
    """Return the probabilities that the next token is drawn with, float64 [V], of its logits [V]."""
    logits = logits.astype(np.float64)
    logits[UNKNOWN] = -np.inf
    if not temperature:
        return np.where(np.arange(len(logits)) == logits.argmax(), 1.0, 0.0)
    probabilities = np.exp(log_softmax((logits - logits.max()) / temperature))
    order = np.argsort(-probabilities, kind="stable")
    if top_k is not None:
        probabilities[order[top_k:]] = 0.0
        probabilities /= probabilities.sum()
    if top_p is not None:
        before = np.cumsum(probabilities[order]) - probabilities[order]
        probabilities[order[before >= top_p]] = 0.0
        probabilities /= probabilities.sum()
    return probabilities


def read_tokens(path: Path) -> list[str]:
    """Return the tokens in the order of their ids. What does not print is written as an escape."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [line.encode("raw_unicode_escape").decode("unicode_escape") if "\\" in line else line for line in lines]


def load_program(path: Path) -> Any:
    """Return a function from ids [B] and states to logits [B, V] and states."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda tokens, states: session.run(["logits", "new_states"], {"tokens": tokens, "states": states})
    import torch

    module = torch.export.load(str(path)).module()

    def run(tokens: Any, states: Any) -> Any:
        with torch.no_grad():
            return [tensor.numpy() for tensor in module(torch.from_numpy(tokens), torch.from_numpy(states))]

    return run


def main() -> None:
    """Continue the prompts of the command line, or of standard input, or score texts."""
    parser = argparse.ArgumentParser(description="Continue prompts, or say how probable texts are.")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="prompts; without any, one a line of standard input")
    parser.add_argument("--score", action="store_true", help="write the log-probability of each text in place of this")
    parser.add_argument("--tokens", type=int, default=200, metavar="N", help="tokens at most")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="NUMBER", help="below 1: safer; 0: greedy")
    parser.add_argument("--top-k", type=int, metavar="N", help="draw from the N most probable tokens alone")
    parser.add_argument("--top-p", type=float, metavar="NUMBER", help="draw from those that have this probability")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same texts")
    options = parser.parse_args()
    try:
        model = LanguageModel()
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    for text in options.texts or (line.rstrip("\r\n") for line in sys.stdin):
        if options.score:
            print(f"{model.score_texts([text])[0]:.6f}\t{text}")
            continue
        print(text, end="", flush=True)
        how = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}
        for piece in model.stream(text, options.tokens, seed=options.seed, **how):
            print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
