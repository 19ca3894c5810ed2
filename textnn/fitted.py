"""What a fitted classifier does: texts in; probabilities, labels and evaluations out.

texts -> tokens -> ids -> logits -> / temperature -> probabilities -> classes_[argmax]
                                                                   -> classes at or above their thresholds_
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from textnn.circumstances import plain_torch
from textnn.data.inputs import check_texts, iter_texts, renamed
from textnn.data.suspects import LabelWarning, unknown_labels
from textnn.data.targets import KINDS, LABEL, MATRIX, check_kind, decode, read_targets
from textnn.data.weighting import check_weights
from textnn.evaluation.calibration import Calibration
from textnn.evaluation.judging import Report
from textnn.evaluation.multilabel import MultilabelReport
from textnn.evaluation.report import EvaluationReport
from textnn.prediction import CHUNK, Predictor
from textnn.text import CharacterTable, Encoder, Tokenizer, Vocabulary
from textnn.training.objectives import Objective, make_objective

if TYPE_CHECKING:
    from textnn.explanation import Explanation
    from textnn.models import TextModel

Array = np.ndarray[Any, np.dtype[Any]]
Texts = Iterable[str]
Self = TypeVar("Self", bound="FittedMixin")


class FittedMixin:
    """The methods of a classifier that need a network, and what they need beside it.

    Attributes
    ----------
    label_kind_
        ``"label"``, ``"lists"`` or ``"matrix"``; see :class:`textnn.data.targets.Targets`.
    """

    classes_: Array
    tokenizer_: Tokenizer
    vocabulary_: Vocabulary
    characters_: Vocabulary | None = None
    model_: TextModel
    options_: dict[str, Any]
    # Models from before there was a choice.
    label_kind_: str = LABEL
    thresholds_: Array | None = None
    temperature_: float = 1.0
    calibration_: Calibration | None = None
    # One object from fit to fit, within which things are made when they are first needed.
    _predictor: Predictor

    @property
    def frozen_(self) -> TextModel | None:
        """The frozen form of the network, from the first prediction or from :meth:`freeze` on; else None."""
        check_is_fitted(self, "model_")
        return self._predictor.frozen

    @property
    def multilabel_(self) -> bool:
        """Whether a text may have several labels, or none."""
        check_is_fitted(self, "model_")
        return self.label_kind_ != LABEL

    @property
    def objective(self) -> Objective:
        """What turns the network's logits into probabilities."""
        return make_objective(self.options_.get("output", "softmax"), self.label_kind_ != LABEL, 0.0)

    @renamed(texts="X")
    def predict_proba(self, X: Texts) -> Array:
        """Return the probability of each class, float64 [texts, classes].

        Each row sums to 1; where a text may have several labels, each probability stands for itself.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the classifier has not been fitted.
        TypeError
            If ``X`` is not a collection of strings.
        """
        check_is_fitted(self, "model_")
        texts = check_texts(X, "X")
        if len(texts) > CHUNK:
            return np.concatenate(list(self.stream_proba(texts)))
        if not texts:
            return np.empty((0, len(self.classes_)))
        return self.objective.probabilities(self._predictor.logits(texts), self.temperature_)

    @renamed(texts="X")
    def stream_proba(self, X: Texts) -> Iterator[Array]:
        """Yield the probabilities of any number of texts, a chunk at a time, in constant memory.

        Parameters
        ----------
        X
            Strings, from a generator say; read a few thousand ahead of what has been yielded.

        Yields
        ------
        array
            Float64 [n, classes], as :meth:`predict_proba` returns them, of the next n texts.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the classifier has not been fitted.
        TypeError
            If ``X`` is no collection, or one of them is not a string.
        """
        check_is_fitted(self, "model_")
        objective, temperature = self.objective, self.temperature_
        return (objective.probabilities(logits, temperature) for logits in self._predictor.stream(iter_texts(X, "X")))

    def _get_ready(self) -> None:
        """Make what predictions need of the fitted attributes, which are complete."""
        characters = None
        if self.characters_ is not None:
            characters = CharacterTable(self.characters_, self.options_.get("character_form", "text"))
        limits = self.options_["max_length"], self.options_.get("max_characters")
        self._predictor = Predictor(self.model_, Encoder(self.tokenizer_, self.vocabulary_, characters, *limits))

    @renamed(texts="X")
    def predict(self, X: Texts) -> Any:
        """Return the most probable class of each text, [texts]; raises as :meth:`predict_proba` does.

        Where a text may have several labels: those whose probability reaches their threshold, as a list for each text,
        or as a matrix of 0 and 1, int64 [texts, classes], if the classifier was fitted with one.
        """
        probabilities = self.predict_proba(X)
        if self.thresholds_ is None:
            return self.classes_[probabilities.argmax(axis=1)]
        chosen = (probabilities >= self.thresholds_).astype(np.int64)
        return chosen if self.label_kind_ == MATRIX else decode(chosen, self.classes_)

    @renamed(texts="X", labels="y")
    def score(self, X: Texts, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of texts, weighted if asked for, whose label was predicted.

        Where a text may have several labels, it counts if all of them were predicted and no other.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        texts = check_texts(X, "X")
        if not texts:
            raise ValueError("X: expected at least one text to score, got none")
        true = self._labels(y, len(texts))
        weights = check_weights(sample_weight, len(texts))
        if not weights.any():
            raise ValueError("sample_weight: expected a number above 0 for at least one text, got zeros only")
        predicted = self.predict(texts)
        if self.label_kind_ == LABEL:
            right = [one == other for one, other in zip(predicted.tolist(), true, strict=True)]
        else:
            found = decode(predicted, self.classes_) if self.label_kind_ == MATRIX else predicted
            right = [set(one) == set(other) for one, other in zip(found, true, strict=True)]
        return float(np.average(right, weights=weights))

    @renamed(texts="X", labels="y")
    def evaluate(self, X: Texts, y: Any, worst: int = 10) -> Report:
        """Compare the predictions with labels.

        Parameters
        ----------
        X, y
            As for :meth:`fit`. A label that the classifier does not know counts as an error wherever it occurs.
        worst
            How many errors to list.

        Returns
        -------
        EvaluationReport or MultilabelReport
            Accuracy, figures of each class, the errors that the classifier was surest of; the second where a text may
            have several labels.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.

        Warns
        -----
        UserWarning
            If the classifier does not know a label.
        """
        texts = check_texts(X, "X")
        if not texts:
            raise ValueError("X: expected at least one text to evaluate, got none")
        true, names = self._labels(y, len(texts)), self.classes_.tolist()
        probabilities = self.predict_proba(texts)
        if self.thresholds_ is None:
            return EvaluationReport.from_predictions(names, true, probabilities, texts, worst)
        return MultilabelReport.from_predictions(names, true, probabilities, self.thresholds_, texts, worst)

    @renamed(text="X")
    def explain(self, X: str, label: Any = None, method: str = "auto") -> Explanation:
        """Explain a prediction: what each word of the text adds to it; docs/explain.md has more.

        Parameters
        ----------
        X
            One text.
        label
            The class to explain; by default the most probable one.
        method
            ``"exact"``, for the convolutional architectures, ``"integrated gradients"``, for those that read words
            alone, ``"occlusion"``, for all; ``"auto"`` takes the most faithful for this one.

        Returns
        -------
        textnn.explanation.Explanation
            Print it with rich, or show its ``to_html()``. By the first two methods its base and contributions add up to
            the log-odds of the label (of more than two classes, of which a text has one: to its logit less the mean of
            the others'), by gradients to 1 % or so.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense, or the method is not for the architecture.
        """
        if not isinstance(X, str):
            raise TypeError(f"X: expected a string, got {type(X).__name__}; explain_many takes several")
        return next(self.explain_many([X], label, method))

    @renamed(texts="X")
    def explain_many(self, X: Texts, label: Any = None, method: str = "auto") -> Iterator[Explanation]:
        """Yield the explanation of each text, in order; see :meth:`explain`."""
        from textnn.explanation import explain

        check_is_fitted(self, "model_")
        explanations = explain(self, check_texts(X, "X"), label, method)
        return _plainly(explanations)

    def export(
        self,
        format: str,  # noqa: A002
        path: str | os.PathLike[str],
        tables: bool | None = None,
    ) -> None:
        """Write the classifier as a directory that needs no textnn: docs/export.md has what is in it.

        Parameters
        ----------
        format
            ``"onnx"``, for onnxruntime and others, or ``"torch"``, a program that ``torch.export.load`` reads.
        path
            The directory; its parents are made. An earlier export is replaced in one step.
        tables
            Whether the program has tables of products in the place of convolutions, which make it larger and several
            times as quick. None: where a table takes 256 MB at most.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the classifier has not been fitted.
        ValueError
            If there is no such format, something else is at ``path``, the architecture is none of textnn's, or a label
            is of a type that JSON cannot hold.
        TypeError
            If ``tables`` is none of these.
        ImportError
            If the packages for ONNX are not installed: ``pip install onnx onnxscript``.
        OSError
            If it cannot be written.
        """
        from textnn.export import export_classifier

        check_is_fitted(self, "model_")
        export_classifier(self, format, path, tables)

    def freeze(self: Self, memory_limit: int | None = None, dtype: str | None = None) -> Self:
        """Choose the form of the network that predictions come from, until the next fit.

        A network is frozen by itself at its first prediction, in the dtype of its weights and with tables of 256 MB at
        most. For ``"textcnn"`` and ``"wide-textcnn"`` a table of the products of tokens and kernels takes the place of
        a convolution; see :meth:`textnn.EmbeddingTextConv.freeze`. The LSTMs can be frozen in ``"int8"``
        (:meth:`textnn.LSTM.freeze`); in ``"float32"`` they predict as before, with a warning, as GRUs, RNNs and
        ``"mlp"`` do in any dtype. ``model_`` stays, and is what :meth:`save` writes. After a change of ``model_``
        (``load_state_dict()``, ``to()``, a step of an optimizer, a change in place) the next prediction freezes it
        once more; weights written through ``.data`` need a call of this method.

        Parameters
        ----------
        memory_limit
            Bytes that each table may take; the most frequent tokens come first. None is no limit.
        dtype
            ``"float32"`` (default), ``"int16"`` or ``"int8"``; the latter two round, so that probabilities change a
            little.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        check_is_fitted(self, "model_")
        self._predictor.freeze(memory_limit, dtype)
        return self

    def unfreeze(self: Self) -> Self:
        """Predict from ``model_`` itself, until the next :meth:`freeze` or fit."""
        check_is_fitted(self, "model_")
        self._predictor.unfreeze()
        return self

    def _labels(self, labels: Any, texts: int) -> list[Any]:
        """Return the label of each text, or the labels, to compare with; warn of those that are none of the classes."""
        check_is_fitted(self, "model_")
        targets = read_targets(labels, texts, "y")
        check_kind(targets, self.label_kind_, "y")
        if targets.kind == MATRIX:
            return decode(targets.encode(self.classes_, "y"), self.classes_)
        for message in unknown_labels(targets.names(), self.classes_.tolist()):
            warnings.warn(message, LabelWarning, stacklevel=4)
        return targets.values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags


def _plainly(explanations: Iterator[Explanation]) -> Iterator[Explanation]:
    """Yield explanations that are made as if the program had not changed torch's defaults."""
    while True:
        with plain_torch(gradients=True):
            found = next(explanations, None)
        if found is None:
            return
        yield found


def prediction_config(classifier: FittedMixin) -> dict[str, Any]:
    """Return what predictions follow from beside the network, for JSON."""
    thresholds = classifier.thresholds_
    return {
        "labels": classifier.label_kind_,
        "temperature": classifier.temperature_,
        "thresholds": None if thresholds is None else thresholds.tolist(),
    }


def is_multilabel(config: dict[str, Any]) -> bool:
    """Return whether the configuration of a saved model says that a text may have several labels."""
    stored = config.get("prediction")
    return isinstance(stored, dict) and stored.get("labels") != LABEL


def restore_prediction(classifier: FittedMixin, stored: Any, classes: int) -> None:
    """Give a classifier what :func:`prediction_config` returned; models from before that have None.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if stored is None:
        return
    if not isinstance(stored, dict):
        raise ValueError(f"expected 'prediction' to be of the type dict, got {type(stored).__name__}")
    kind, temperature, thresholds = (stored.get(name) for name in ("labels", "temperature", "thresholds"))
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"expected 'labels' to be one of {', '.join(KINDS)}, got {kind!r}")
    if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
        raise ValueError(f"expected 'temperature' to be a number above 0, got {temperature!r}")
    if kind != LABEL:
        numbers = thresholds if isinstance(thresholds, list) else []
        if len(numbers) != classes or not all(isinstance(number, int | float) for number in numbers):
            raise ValueError(f"expected 'thresholds' to be {classes} numbers, got {thresholds!r:.80}")
        classifier.thresholds_ = np.array(numbers, dtype=np.float64)
    classifier.label_kind_, classifier.temperature_ = kind, float(temperature)
