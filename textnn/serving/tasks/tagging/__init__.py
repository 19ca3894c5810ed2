"""A tagger: entities in texts, words of texts, or tags of tokens."""

from __future__ import annotations

from textnn.serving.tasks.tagging.paths import Tagging

__all__ = ["Tagging"]
