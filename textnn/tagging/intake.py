"""What a fit begins with: sentences of tokens with their tags, checked, and the parts that they fall into.

X, y -> Tagged(tokens, tags) -> what is trained on | what is held out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from textnn.circumstances import warn
from textnn.data import splitting
from textnn.data.splitting import string_keys
from textnn.tagging.encoding import CHAR, WORD, Tokens, guess_level
from textnn.tagging.metrics import SpanScores
from textnn.tagging.segmented import doubt_of_words, tags_of_words
from textnn.tagging.tags import AUTO, count_illegal


class Tagged(NamedTuple):
    """Sentences.

    Attributes
    ----------
    tokens
        Of each a list of strings, or a string of characters.
    tags
        Of each a list.
    """

    tokens: list[Tokens]
    tags: list[list[str]]

    def take(self, rows: Iterable[int]) -> Tagged:
        """Return some of the sentences."""
        rows = list(rows)
        return Tagged([self.tokens[row] for row in rows], [self.tags[row] for row in rows])

    def without_empty(self) -> Tagged:
        """Return those that have a token."""
        return self.take(row for row, tokens in enumerate(self.tokens) if len(tokens))


def check_sentences(X: Any, argument: str = "X", strings: bool = True, what: str = "token") -> list[Tokens]:
    """Return sentences as lists of tokens, or ``what`` else; strings stay, where one is a sentence of characters.

    Raises
    ------
    TypeError
        If ``X`` is no collection of collections of strings, or a sentence is a string and must not be one.
    ValueError
        If a token is empty.
    """
    if not _in_order(X) or isinstance(X, str):
        kind = "one string" if isinstance(X, str | bytes) else type(X).__name__
        raise TypeError(f"{argument}: expected a list of sentences, each a list of {what}s, got {kind}")
    sentences: list[Tokens] = []
    for number, sentence in enumerate(X):
        if isinstance(sentence, str):
            if not strings:
                raise TypeError(f"{argument}[{number}]: expected a list of {what}s, got the string {sentence!r:.60}")
            sentences.append(str(sentence))
            continue
        if not _in_order(sentence):
            raise TypeError(f"{argument}[{number}]: expected a list of {what}s, got {type(sentence).__name__}")
        tokens = list(sentence)
        for place, token in enumerate(tokens):
            if not isinstance(token, str):
                kind = type(token).__name__
                raise TypeError(f"{argument}[{number}][{place}]: expected a string, got {kind} {token!r:.60}")
            if not token:
                raise ValueError(f"{argument}[{number}][{place}]: expected a {what}, got an empty string")
        sentences.append([str(token) for token in tokens])  # numpy's strings become plain ones
    return sentences


def _in_order(value: Any) -> bool:
    """Whether a value is a collection whose order means something; a table gives the names of its columns."""
    unordered = isinstance(value, bytes | Mapping | Set) or hasattr(value, "columns")
    return isinstance(value, Iterable) and not unordered and getattr(value, "shape", None) != ()


def check_tagged(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> Tagged:
    """Return sentences with their tags.

    Raises
    ------
    TypeError, ValueError
        If they are no such thing, or there is not one tag for each token.
    """
    sentences, tags = check_sentences(X, names[0]), check_sentences(y, names[1], False, "tag")
    if len(sentences) != len(tags):
        raise ValueError(
            f"{names[1]}: expected the tags of {len(sentences)} sentences as in {names[0]}, got {len(tags)}"
        )
    for number, (tokens, those) in enumerate(zip(sentences, tags, strict=True)):
        if len(tokens) != len(those):
            raise ValueError(
                f"{names[1]}[{number}]: expected a tag for each of {len(tokens)} tokens, got {len(those)} tags; "
                f"the sentence begins {' '.join(tokens[:5])!r:.60}"
            )
    return Tagged(sentences, [list(those) for those in tags])


def tagged_words(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> tuple[list[list[str]], list[list[str]]]:
    """Return the characters of sentences of words, and their tags in BMES, with parts of speech if ``y`` has them.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_tagged` does, and for a word with white space in it.
    """
    words = [each.split() if isinstance(each, str) else list(each) for each in check_sentences(X, names[0])]
    for number, each in enumerate(words):
        for place, word in enumerate(each):
            if word.split() != [word]:
                raise ValueError(f"{names[0]}[{number}][{place}]: expected a word without spaces, got {word!r:.60}")
    kinds: list[list[str]] | list[None] = [None] * len(words)
    if y is not None:
        kinds = check_tagged(words, y, names).tags
    parts = [tags_of_words(each, those) for each, those in zip(words, kinds, strict=True)]
    characters, tags = [each for each, _ in parts], [each for _, each in parts]
    if doubt := doubt_of_words(characters, tags):
        warn(f"{names[0]}: {doubt}")
    return characters, tags


def choose_level(level: str, sentences: Sequence[Tokens]) -> str:
    """Return whether tokens are characters or words; warn where they seem to be something else than they should be."""
    some = sentences[:1000]
    found = guess_level(some)
    if level == WORD and found == CHAR:
        warn("level: expected words, but nine of ten tokens are single characters; give the words of each sentence")
    if found == CHAR and level != WORD:
        letters = [token for tokens in some for token in tokens if token.isalpha()]
        if letters and sum(token.isascii() for token in letters) > 0.5 * len(letters):
            warn("X: most tokens are single letters of the Latin alphabet; names are learnt better from words")
    return found if level == AUTO else level


def warn_of_nothing(scores: SpanScores) -> None:
    """Warn of a tagger that finds nothing in the sentences that were held out."""
    if scores.overall.true and not scores.overall.correct:
        warn(f"none of the {scores.overall.true} spans of the validation part was found; are there enough sentences?")


def hold_out(sentences: Sequence[Tokens], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows to train on and those that are held out; sentences that are the same go to the same side."""
    return splitting.hold_out(string_keys("\0".join(tokens) for tokens in sentences), fraction, seed)


def warn_of_tags(data: Tagged, scheme: str | None, guessed: bool) -> None:
    """Warn of tags that their scheme does not allow where they stand, or if it was ``guessed`` and is in doubt."""
    message = ""
    if scheme in (None, "IO"):
        tags = {tag for those in data.tags for tag in those}
        marked = sorted(tag for tag in tags if len(tag) > 2 and tag[0] in "BIESMLUbiesmlu" and tag[1] in "-_")
        if guessed and len(marked) > len(tags) // 2:
            few = ", ".join(map(repr, marked[:3]))
            message = f"y: tags such as {few} look like those of spans, but all of them together fit no scheme"
        elif len(tags) > max(100, len({token for tokens in data.tokens for token in tokens})):
            message = f"y: there are more different tags ({len(tags):,}) than tokens; did X and y change places?"
    else:
        count, first = count_illegal(data.tags, scheme)
        if count:
            message = (
                f"y: {count:,} tags are not allowed where they stand by {scheme}, such as {first}; spans are read as "
                "conlleval does"
            )
    if message:
        warn(message)
