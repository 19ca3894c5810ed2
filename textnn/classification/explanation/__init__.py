"""Explanations: what each word of a text adds to a prediction.

alignment     where tokens stand in their text
tokens        texts as a reader sees them and as a network does
methods       contributions of tokens to a score: exact, by integrated gradients (``gradients``), by occlusion
explain       from a classifier and texts to explanations; ``errors``: of wrong predictions
explanation   what comes out; ``terminal`` and ``html`` show it
"""

from __future__ import annotations

from textnn.classification.explanation.alignment import align
from textnn.classification.explanation.contributions import NgramContribution, TokenContribution
from textnn.classification.explanation.errors import explain_errors
from textnn.classification.explanation.explain import explain
from textnn.classification.explanation.explanation import Explanation
from textnn.classification.explanation.html import html_page

__all__ = ["Explanation", "NgramContribution", "TokenContribution", "align", "explain", "explain_errors", "html_page"]
