"""The methods of the estimator that need a fit, and its attributes: what ``state_`` has, in scikit-learn's names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.base import ClassifierMixin

from textnn.classification import prediction
from textnn.classification.evaluation.calibration import Calibration
from textnn.classification.evaluation.judging import Report
from textnn.classification.state import Array, State
from textnn.data.inputs import renamed
from textnn.estimator import Estimator, fitted
from textnn.models import TextModel
from textnn.text import Tokenizer, Vocabulary

if TYPE_CHECKING:
    from textnn.classification.explanation import Explanation

Texts = Iterable[str]
Self = TypeVar("Self", bound="FittedClassifier")


# Of the predictor.
_INPUTS = {"model", "tokenizer", "vocabulary", "characters", "options"}


class FittedClassifier(ClassifierMixin, Estimator[State]):
    """What a classifier has and does once it is fitted."""

    label_kind_: str = fitted()
    classes_: Array = fitted()
    tokenizer_: Tokenizer = fitted()
    vocabulary_: Vocabulary = fitted()
    characters_: Vocabulary | None = fitted()
    model_: TextModel = fitted()
    n_texts_: int = fitted()
    temperature_: float = fitted()
    calibration_: Calibration | None = fitted()
    thresholds_: Array | None = fitted()
    validation_report_: Report | None = fitted()

    def _change(self, field: str, value: Any) -> None:
        state = copy(self._state)  # a copy of the classifier has the same one; and a frozen network stays
        setattr(state, field, value)
        if field in _INPUTS:
            state.get_ready()
        self.state_ = state

    @property
    def _before(self) -> State | None:
        return vars(self).get("state_")

    @property
    def frozen_(self) -> TextModel | None:
        """The frozen form of the network, from the first prediction or from :meth:`freeze` on; else None."""
        return self._state.predictor.frozen

    @property
    def multilabel_(self) -> bool:
        """Whether a text may have several labels, or none."""
        return self._state.multilabel

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
        return prediction.predict_proba(self._state, X)

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
        return prediction.stream_proba(self._state, X)

    @renamed(texts="X")
    def predict(self, X: Texts) -> Any:
        """Return the most probable class of each text, [texts]; raises as :meth:`predict_proba` does.

        Where a text may have several labels: those whose probability reaches their threshold, as a list for each text,
        or as a matrix of 0 and 1, int64 [texts, classes], if the classifier was fitted with one.
        """
        return prediction.choose(self._state, self.predict_proba(X))

    @renamed(texts="X", labels="y")
    def score(self, X: Texts, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of texts, weighted if asked for, whose label was predicted.

        Where a text may have several labels, it counts if all of them were predicted and no other.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        return prediction.score(self._state, X, y, sample_weight, self.predict)

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
        return prediction.evaluate(self._state, X, y, worst, self.predict_proba)

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
        textnn.classification.explanation.Explanation
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
        from textnn.classification.explanation import explain

        return explain(self._state, X, label, method)

    def export(
        self,
        format: str,  # noqa: A002
        path: str | PathLike[str],
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

        export_classifier(self._state, format, path, tables)

    def freeze(self: Self, memory_limit: int | None = None, dtype: str | None = None) -> Self:
        """Choose the form of the network that predictions come from, until the next fit.

        A network is frozen by itself at its first prediction, in the dtype of its weights and with tables of 256 MB at
        most. For ``"textcnn"`` and ``"wide-textcnn"`` a table of the products of tokens and kernels takes the place of
        a convolution; see :meth:`textnn.EmbeddingTextConv.freeze`. LSTMs, GRUs and RNNs can be frozen in ``"bfloat16"``
        (:meth:`textnn.GRU.freeze`), LSTMs also in ``"int8"`` (:meth:`textnn.LSTM.freeze`); in ``"float32"`` they
        predict as before, with a warning, as ``"mlp"`` does in any dtype. ``model_`` stays, and is what :meth:`save`
        writes. After a change of ``model_`` (``load_state_dict()``, ``to()``, a step of an optimizer, a change in
        place) the next prediction freezes it once more; weights written through ``.data`` need a call of this method.

        Parameters
        ----------
        memory_limit
            Bytes that each table may take; the most frequent tokens come first. None is no limit.
        dtype
            ``"float32"`` (default), ``"int16"``, ``"int8"`` or ``"bfloat16"``; all but the first round, so that
            probabilities change a little.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        self._state.predictor.freeze(memory_limit, dtype)
        return self

    def unfreeze(self: Self) -> Self:
        """Predict from ``model_`` itself, until the next :meth:`freeze` or fit."""
        self._state.predictor.unfreeze()
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags
