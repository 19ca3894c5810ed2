"""How good translations are: BLEU, as the package sacrebleu computes it.

BLEU counts n-grams of tokens (Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002).
Figures can be compared only if the tokens are the same: here they are sacrebleu's own (Post, "A Call for Clarity in
Reporting BLEU Scores", 2018), characters for texts in Chinese characters, else words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textnn.data.inputs import check_texts
from textnn.packages import TRANSLATE, need
from textnn.text.levels import is_spaced
from textnn.translation.search import Request
from textnn.translation.state import State
from textnn.translation.translating import translate_each

CHARACTERS, WORDS = "zh", "13a"
"""What sacrebleu calls its tokens."""


def tokens_for(texts: Iterable[str]) -> str:
    """Return the name of the tokens that suit some texts: characters if most letters are of a script without spaces."""
    letters = [letter for text in texts for letter in text if letter.isalnum()]
    return CHARACTERS if 2 * sum(map(is_spaced, letters)) < len(letters) else WORDS


def bleu(translations: Sequence[str], references: Sequence[str | Sequence[str]]) -> float:
    """Return the BLEU of translations, from 0 to 100.

    Parameters
    ----------
    translations
        Of some texts.
    references
        Of each text the right translation, or several of them.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    """
    need(TRANSLATE, "BLEU needs")
    from sacrebleu.metrics import BLEU

    several = [[each] if isinstance(each, str) else list(each) for each in references]
    streams: Any = [
        [each[number] if number < len(each) else None for each in several] for number in range(max(map(len, several)))
    ]
    metric = BLEU(tokenize=tokens_for(text for each in several for text in each))
    return float(metric.corpus_score(list(translations), streams).score)


def check_references(y: Any, number: int) -> list[list[str]]:
    """Return one or several right translations of each of so many texts.

    Raises
    ------
    TypeError, ValueError
        If they are no such thing.
    """
    if isinstance(y, str | bytes) or not isinstance(y, Iterable):
        kind = "one string" if isinstance(y, str | bytes) else type(y).__name__
        raise TypeError(f"y: expected a translation of each text, or several, got {kind}")
    found = [[each] if isinstance(each, str) else check_texts(each, f"y[{row}]") for row, each in enumerate(y)]
    if len(found) != number:
        raise ValueError(f"y: expected translations of {number} texts, as many as in X, got {len(found)}")
    if empty := [row for row, each in enumerate(found) if not each]:
        raise ValueError(f"y[{empty[0]}]: expected at least one translation, got none")
    return found


def score(state: State, X: Any, y: Any, request: Request | None = None) -> float:
    """Return the BLEU of the translations of some texts; see :meth:`Translator.score`."""
    need(TRANSLATE, "BLEU needs")
    texts = check_texts(X, "X")
    references = check_references(y, len(texts))
    if not texts:
        raise ValueError("X: expected at least one text, got none")
    return bleu(list(translate_each(state, texts, request or Request())), references)
