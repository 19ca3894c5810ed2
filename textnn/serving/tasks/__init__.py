"""The tasks whose models can be served, a folder each.

task        what the server asks of a task: paths, facts, a name
TASK/       bodies of its requests, how answers look, and what the OpenAPI description says of both
"""

from __future__ import annotations

from typing import Any

from textnn.serving.tasks.classification import Classification
from textnn.serving.tasks.language import Language
from textnn.serving.tasks.tagging import Tagging
from textnn.serving.tasks.task import Task

TASKS: tuple[type[Task], ...] = (Classification, Tagging, Language)
EVERY_PATH = frozenset().union(*(task.every_path for task in TASKS))


def find_task(model: Any) -> Task:
    """Return the task of a fitted estimator.

    Raises
    ------
    TypeError
        If there is none.
    sklearn.exceptions.NotFittedError
        If it has not been fitted.
    """
    from sklearn.utils.validation import check_is_fitted

    for task in TASKS:
        if hasattr(model, task.known_by):
            check_is_fitted(model, task.fitted)
            return task(model)
    expected = "a SentimentClassifier, a SequenceTagger or a LanguageModel"
    raise TypeError(f"model: expected {expected}, got {type(model).__name__}")
