"""A language model: what follows a prompt, and how probable texts are."""

from __future__ import annotations

from textnn.serving.tasks.language.paths import Language

__all__ = ["Language"]
