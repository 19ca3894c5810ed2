"""The explanations of a classifier's predictions, by their public names."""

from __future__ import annotations

from textnn.classification.explanation import (
    Explanation,
    NgramContribution,
    TokenContribution,
    explain_errors,
    html_page,
)

__all__ = ["Explanation", "NgramContribution", "TokenContribution", "explain_errors", "html_page"]
