"""What a tagger is asked, beside texts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from textnn.serving.bodies import OneOrSeveral, TextsRequest

LONGEST_WORD = 100
"""Characters of a word of a dictionary. Where one may begin, each length that there is has to be tried."""


def _check_word(word: str) -> str:
    if word.split() != [word]:
        raise ValueError("expected a word without white space")
    return word


Word = Annotated[str, Field(max_length=LONGEST_WORD), AfterValidator(_check_word)]
Token = Annotated[str, Field(min_length=1)]


class CutRequest(TextsRequest):
    """One text, or several, to cut into words."""

    dictionary: Annotated[
        list[Word] | None, Field(description="Words that are cut out wherever they stand, without white space.")
    ] = None


class TagsRequest(OneOrSeveral):
    """The tokens of one sentence, or of several."""

    names = ("tokens", "sentences")
    kinds = ("a list of strings", "a list of such lists")
    tokens: Annotated[list[Token] | None, Field(description="The tokens of a sentence.")] = None
    sentences: Annotated[
        list[list[Token]] | None, Field(description="The tokens of several sentences, in the place of one.")
    ] = None
    marginals: Annotated[bool, Field(description="Whether to give the probability of each tag of each token.")] = False

    @staticmethod
    def size(item: Any) -> int:
        """Return the characters of all tokens."""
        return sum(map(len, item))
