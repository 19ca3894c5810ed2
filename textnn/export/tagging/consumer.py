"""Tag texts with the model in this directory, without textnn.

    python predict.py "张三在北京工作。" "..."
    python predict.py < texts.txt

texts -> pieces -> ids, and numbers of pairs and n-grams -> padded batches -> model.onnx or model.pt2 -> emissions
      -> best tags (Viterbi) -> spans -> entities or words

It needs numpy, and onnxruntime (model.onnx) or torch (model.pt2).
"""

import argparse
import itertools
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np


class Tagger:
    """An exported tagger.

    Parameters
    ----------
    directory
        With preprocessing.json and the files that it names.
    """

    def __init__(self, directory: Any = Path(__file__).parent) -> None:
        directory = Path(directory)
        self.settings = json.loads((directory / "preprocessing.json").read_text(encoding="utf-8"))
        self.tags = json.loads((directory / "labels.json").read_text(encoding="utf-8"))
        with np.load(directory / "arrays.npz") as file:
            self._arrays = {name: file[name] for name in file.files}
        self._ids = read_ids(directory / "vocabulary.txt")
        self._letters = read_ids(directory / "characters.txt") if (directory / "characters.txt").exists() else {}
        self._inputs = [one["name"] for one in self.settings["inputs"]]
        self._run = load_program(directory / self.settings["program"]["file"], self._inputs)
        self._patterns = {name: re.compile(pattern) for name, pattern in self.settings["pieces"]["patterns"].items()}
        self._fold = str.maketrans(*self.settings["fold"]["characters"])

    def predict(self, sentences: Any) -> list[list[str]]:
        """Return the tags of the tokens of each sentence; where tokens are characters, strings will do."""
        spelling = self.settings["spelling"]
        tagged = []
        for numbers in self.best(sentences):
            if spelling is None:
                tagged.append([self.tags[number] for number in numbers])
            else:
                tagged.append(spell(len(numbers), self.spans(numbers), spelling))
        return tagged

    def entities(self, text: str) -> list[tuple[int, int, str, str]]:
        """Return start, end, type and text of each span that is found in a text."""
        return self.find([text])[0]

    def cut(self, text: str) -> list[str]:
        """Return the words of a text, of a model of word segmentation."""
        return [word for _, _, _, word in self.find([text])[0]]

    def find(self, texts: list[str]) -> list[list[tuple[int, int, str, str]]]:
        """Return start, end, type and text of each span of each text; of tags that mark none, of each token."""
        words = self.settings["segmentation"]
        cut = [list(self.pieces(text, words)) for text in texts]
        results = iter(self.best([tokens for pieces in cut for tokens, _ in pieces]))
        found = []
        for text, pieces in zip(texts, cut):  # noqa: B905
            spans = []
            for _, places in pieces:
                for first, last, kind in self.spans(next(results)):
                    start, end = places[first][0], places[last - 1][1]
                    spans.append((start, end, kind, text[start:end]))
            found.append(spans)
        return found

    def spans(self, numbers: list[int]) -> list[tuple[int, int, str]]:
        """Return first token, the one behind the last, and type of each span; of tags that mark none, of each token."""
        tags = [self.tags[number] for number in numbers]
        if not self.settings["spans"]:
            return [(place, place + 1, tag) for place, tag in enumerate(tags)]
        found, start = [], 0
        for place, tag in enumerate(tags):
            if tag[0] in "BS":
                start = place
            if tag[0] in "ES":
                found.append((start, place + 1, tag[2:]))
        return found

    def best(self, sentences: Any, batch_tokens: int = 4096) -> list[list[int]]:
        """Return the numbers of the best tags of each sentence."""
        scores = [self._arrays[name] for name in ("start", "end", "transitions")]
        return [viterbi(emissions, *scores) for emissions in self.emissions(sentences, batch_tokens)]

    def emissions(self, sentences: Any, batch_tokens: int = 4096) -> list[Any]:
        """Return what the network says of each tag of each token, float [tokens, K] of each sentence."""
        sentences = check_sentences(sentences, self.settings["level"] == "char")
        results: list[Any] = [np.zeros((0, len(self.tags)), dtype=np.float32)] * len(sentences)
        # Sentences of similar length go together, so that little is padded.
        order = sorted((len(tokens), row) for row, tokens in enumerate(sentences) if len(tokens))
        while order:
            count = max(1, min(len(order), batch_tokens // order[-1][0]))
            rows, order = [row for _, row in order[-count:]], order[:-count]
            emissions = self._run(self.encode([sentences[row] for row in rows]))
            for row, one in zip(rows, emissions):  # noqa: B905
                results[row] = one[: len(sentences[row])]
        return results

    def encode(self, sentences: list[Any]) -> list[Any]:
        """Return the inputs of the program for some sentences, none of which is empty: int64 arrays."""
        lengths = np.array([len(tokens) for tokens in sentences])
        ids = np.zeros((len(sentences), lengths.max()), dtype=np.int64)
        for row, tokens in enumerate(sentences):
            ids[row, : len(tokens)] = [self._ids.get(self.fold(token), 1) for token in tokens]
        made = {"tokens": ids, "lengths": lengths}
        known = None
        if "lexicon" in self.settings:
            known = made["known"] = find_words(ids, lengths, self._arrays["words"], **self.settings["lexicon"])
        if "pairs" in self._inputs:
            made["pairs"] = number_pairs(ids, self._arrays["pairs"], len(self._arrays["kinds"]))
        if "ngrams" in self._inputs:
            kinds = np.where(ids > 0, self._arrays["kinds"][ids], 0)
            made["ngrams"] = hash_windows(ids, kinds, known, **self.settings["ngrams"])
        if "letters" in self._inputs:
            made["letters"], made["letter_lengths"] = self._spell(sentences, ids.shape)
        return [made[name] for name in self._inputs]

    def fold(self, token: str) -> str:
        """Return a token as the vocabulary has it."""
        if self.settings["fold"]["words"]:
            token = unicodedata.normalize("NFKC", token).casefold()
        return token.translate(self._fold)

    def _spell(self, sentences: list[Any], shape: Any) -> Any:
        """Return 0 and the ids of the letters of each token, [B, L, W], and how many they are, [B, L]."""
        longest, known = self.settings["longest_word"], self._letters
        lengths = np.ones(shape, dtype=np.int64)
        most = max(min(len(token), longest) for tokens in sentences for token in tokens)
        letters = np.zeros((*shape, 1 + most), dtype=np.int64)
        for row, tokens in enumerate(sentences):
            for place, token in enumerate(tokens):
                if len(token) > longest:
                    token = token[: longest // 2] + token[-(longest // 2) :]
                lengths[row, place] = 1 + len(token)
                letters[row, place, 1 : 1 + len(token)] = [known.get(letter, 1) for letter in token]
        return letters, lengths

    def pieces(self, text: str, words: bool) -> Any:
        """Yield the parts of a text that are read at once: their tokens, and where each begins and ends."""
        patterns = self._patterns
        for run in patterns["runs" if words else "lines"].finditer(text):
            for start, end in self._parts(text, *run.span()):
                if self.settings["level"] == "char":
                    if not text[start:end].isspace():
                        yield text[start:end], [(place, place + 1) for place in range(start, end)]
                elif found := [match.span() for match in patterns["words"].finditer(text, start, end)]:
                    yield [text[first:last] for first, last in found], found

    def _parts(self, text: str, start: int, end: int) -> Any:
        """Yield the places of the parts of a line, some sentences each."""
        longest = self.settings["pieces"]["longest"]
        if end - start <= longest:
            yield start, end
            return
        begin = last = start
        for stop in [*(match.end() for match in self._patterns["ends"].finditer(text, start, end)), end]:
            if stop - begin > longest and last > begin:
                yield begin, last
                begin = last
            while stop - begin > 2 * longest:
                gap = self._patterns["gaps"].search(text, begin, begin + longest)
                cut = gap.end() if gap else begin + longest
                yield begin, cut
                begin = cut
            last = stop
        if begin < end:
            yield begin, end


def number_pairs(ids: Any, keys: Any, size: int) -> Any:
    """Number the pairs of each token with the ones before and behind it, [B, L, 2]; 0 for those that are unknown."""
    around = np.pad(ids, ((0, 0), (1, 1)))
    wanted = np.stack([around[:, :-2] * size + ids, ids * size + around[:, 2:]], axis=2)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place + 1, 0)


def find_words(ids: Any, lengths: Any, keys: Any, shortest: int, longest: int, start: int, prime: int) -> Any:
    """Return the lengths of the longest known words that begin at, end at and go across each token, [B, L, 3]."""
    found = np.zeros((*ids.shape, 3), dtype=np.int64)
    size = ids.shape[1]
    wide = np.pad(ids, ((0, 0), (0, longest))).astype(np.uint64) + np.uint64(1)
    hashes = np.full(ids.shape, start, dtype=np.uint64)
    for length in range(1, min(longest, size) + 1 if len(keys) else 0):
        hashes = (hashes ^ wide[:, length - 1 : length - 1 + size]) * np.uint64(prime)  # wraps around
        if length < shortest:
            continue
        place = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        hit = (keys[place] == hashes) & (np.arange(size) + length <= lengths[:, None])
        for ahead in range(length):
            here, column = hit[:, : size - ahead], 0 if ahead == 0 else 1 if ahead == length - 1 else 2
            found[:, ahead:, column][here] = length
    return found


def hash_windows(
    ids: Any,
    kinds: Any,
    known: Any,
    buckets: int,
    reach: int,
    templates: Any,
    kind_templates: Any,
    equal: Any,
    prime: int,
    salt: int,
    mixing: Any,
) -> Any:
    """Number the n-grams around each token, [B, L, F], of ids and kinds [B, L] with 0 behind each sentence.

    ``known`` is what ``find_words`` gave, or None.
    """

    def join(columns: Any) -> Any:
        joined = np.zeros_like(ids)
        for column in columns:
            joined = (joined ^ (column + 1)) * np.int64(prime)  # int64 products wrap around
        return joined

    length = ids.shape[1]
    wide = [np.pad(values, ((0, 0), (reach, reach))) for values in (ids, kinds)]
    at = [{p: values[:, reach + p : reach + p + length] for p in range(-reach, reach + 1)} for values in wide]
    hashes = [join([at[0][place] for place in places]) for places in templates]
    hashes += [join([at[1][place] for place in places]) for places in kind_templates]
    hashes.append(sum((at[0][a] == at[0][b]).astype(np.int64) << bit for bit, (a, b) in enumerate(equal)))
    if known is not None:
        columns = [known[:, :, column] for column in range(known.shape[2])]
        hashes += [*columns, join(columns), *(join([column, ids]) for column in columns)]
    h = np.stack(hashes, axis=2) + np.arange(1, len(hashes) + 1) * np.int64(salt)
    for factor in mixing:
        h = (h ^ ((h >> 33) & 0x7FFFFFFF)) * np.int64(factor)
    return (h ^ ((h >> 33) & 0x7FFFFFFF)) % (buckets - 1) + 1


def viterbi(emissions: Any, start: Any, end: Any, transitions: Any) -> list[int]:
    """Return the best tags of a sentence: emissions [tokens, K], scores [K], [K] and [K, K] from a tag to the next."""
    if not len(emissions):
        return []
    score, before = start + emissions[0], []
    for row in emissions[1:]:
        ways = score[:, None] + transitions
        before.append(ways.argmax(axis=0))
        score = ways.max(axis=0) + row
    tags = [int((score + end).argmax())]
    for step in reversed(before):
        tags.append(int(step[tags[-1]]))
    return tags[::-1]


def spell(length: int, spans: list[tuple[int, int, str]], starts: dict[str, Any]) -> list[str]:
    """Return the tags of a sentence, one a token, that mark its spans in the scheme of the training data."""
    tags, ended, before = ["O"] * length, 0, None
    for first, end, kind in spans:
        form = starts["touching" if first == ended and kind == before else "apart"]
        parts = [form["first"], *[form["inside"]] * (end - first - 2), form["last"]]
        for place, start in enumerate(parts if end - first > 1 else [form["single"]], first):
            tags[place] = start + kind if kind else start[:1]
        ended, before = end, kind
    return tags


def check_sentences(sentences: Any, strings: bool) -> list[Any]:
    """Return sentences as a list; a single string is a TypeError, and of words any string."""
    if isinstance(sentences, (str, bytes)):
        raise TypeError("sentences: expected a list of sentences, got one string; write [sentence]")
    sentences = [each if isinstance(each, str) else list(each) for each in sentences]
    for number, tokens in enumerate(sentences):
        if isinstance(tokens, str) and not strings:
            raise TypeError(f"sentences[{number}]: expected a list of words, got a string; entities takes raw text")
        if not all(isinstance(token, str) for token in tokens):
            raise TypeError(f"sentences[{number}]: expected tokens to be strings")
    return sentences


def read_ids(path: Path) -> dict[str, int]:
    """Return the id of each token: the number of its line, from 0. The first two are padding and unknown tokens."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    # What does not print is written as an escape.
    tokens = [line.encode("raw_unicode_escape").decode("unicode_escape") if "\\" in line else line for line in lines]
    return {token: number for number, token in enumerate(tokens) if number > 1}


def load_program(path: Path, names: list[str]) -> Any:
    """Return a function from the arrays of a batch to the emissions [B, L, K]."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda arrays: session.run(["emissions"], dict(zip(names, arrays)))[0]  # noqa: B905
    import torch

    module = torch.export.load(str(path)).module()

    def run(arrays: list[Any]) -> Any:
        with torch.no_grad():
            return module(*map(torch.from_numpy, arrays)).numpy()

    return run


def main() -> None:
    """Write what is found in each text of the command line, or of standard input."""
    parser = argparse.ArgumentParser(
        description="Tag texts: writes a line for each. Of a model of word segmentation, words with spaces between "
        "them; else a JSON list of spans, each [start, end, type, text]. Words have /type behind them if there are "
        "types."
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text; without any, one a line of standard input")
    texts = parser.parse_args().texts
    try:
        tagger = Tagger()
    except ImportError as error:
        parser.error(str(error))
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    lines = iter(texts) if texts else (line.rstrip("\r\n") for line in sys.stdin)
    while chunk := list(itertools.islice(lines, 256)):
        for spans in tagger.find(chunk):
            if tagger.settings["segmentation"]:
                print(" ".join(f"{word}/{kind}" if kind else word for _, _, kind, word in spans))
            else:
                print(json.dumps(spans, ensure_ascii=False))


if __name__ == "__main__":
    main()
