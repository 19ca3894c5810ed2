"""From texts to ids, as ``textnn.text.levels`` makes them of any text, and from a prompt to ids."""

from __future__ import annotations

from collections.abc import Sequence

from textnn import circumstances
from textnn.text import levels
from textnn.text.levels import CHAR, END, LEVELS, TOKENIZER, UNKNOWN, WORD, Splitter, count

__all__ = ["CHAR", "LEVELS", "TOKENIZER", "WORD", "Splitter", "TextEncoder", "count"]


class TextEncoder(levels.TextEncoder):
    """Gives the tokens of texts and of prompts their ids."""

    def prompt(self, text: str, warn: bool = True) -> list[int]:
        """Return the ids of a prompt, behind END; warn of what is unknown in it, if asked to."""
        tokens = self.splitter.split(text)
        ids = self.vocabulary.encode(tokens)
        if warn and (unknown := self.unknown(tokens)):
            shown = ", ".join(repr(token[:20]) for token in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            all_ = "no token of it is" if all(id_ == UNKNOWN for id_ in ids) else "not all of its tokens are"
            message = f"prompt: {all_} in the vocabulary ({shown}); each is read as the unknown token"
            circumstances.warn(message)
        return [END, *ids]

    def unknown(self, tokens: Sequence[str]) -> list[str]:
        """Return the tokens that are not known, each once."""
        ids = self.vocabulary.encode(tokens)
        return list(dict.fromkeys(token for token, id_ in zip(tokens, ids, strict=True) if id_ == UNKNOWN))
