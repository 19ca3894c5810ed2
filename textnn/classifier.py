"""The classifier: raw text and labels in, labels and probabilities out.

    fit       texts, labels -> ``fitting.fit`` -> fitted attributes, all at once
    predict   texts -> tokens -> ids -> logits -> softmax -> classes_[argmax]

It follows scikit-learn's contract for estimators, so that ``clone``, ``cross_val_score`` and searches work on it. A fit
that fails or is interrupted leaves the classifier as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from textnn.distributed import ALONE, Group
from textnn.evaluation import EvaluationReport
from textnn.fitting import fit, softmax
from textnn.inputs import check_texts
from textnn.labels import check_labels
from textnn.text import Tokenizer, Vocabulary, encode
from textnn.training import predict_logits

if TYPE_CHECKING:
    from textnn.models import TextModel

Array = np.ndarray[Any, np.dtype[Any]]
Texts = Iterable[str]

# Texts that are tokenized and classified at a time: memory stays bounded, batches of similar lengths stay possible.
_CHUNK = 4096


class SentimentClassifier(ClassifierMixin, BaseEstimator):
    """Classifies texts with a neural network; two or more classes.

    Every parameter that is None takes the architecture's own default; ``options_`` has what it came to.

    Parameters
    ----------
    architecture
        ``"textcnn"``, ``"bilstm"``, ``"lstm"`` or ``"lecture-lstm"``.
    tokenizer
        ``"jieba"``, ``"char"``, ``"whitespace"``, a function from a text to its tokens, or a Tokenizer.
    user_dictionary, stop_words
        Path of a text file with one entry a line, or the entries; see :func:`textnn.text.make_tokenizer`.
    min_count
        Tokens that occur less often in the training texts are unknown words.
    max_vocabulary
        Size of the vocabulary at most.
    max_length
        Tokens of a text after this many are cut off.
    embedding_dim, hidden_size, num_layers, channels, kernel_sizes
        Sizes of the network; an architecture has only some of them.
    dropout
        Share of the features that are dropped before the last layer, in training.
    word_dropout
        Share of the tokens that are replaced by the unknown word, in training.
    epochs
        Passes over the training texts at most.
    batch_size, learning_rate, weight_decay, label_smoothing
        As usual.
    validation_fraction
        Share of the texts that is held out, stratified by class, unless ``fit`` is given validation data.
    patience
        Stop after so many epochs in a row without a better accuracy on the validation part, and go back to the best
        weights. 0: train all epochs, keep the last weights.
    random_state
        A seed gives the same weights, to the bit, whenever the number of threads is the same. None: another each time.
        Torch's and numpy's global generators are left as they are.
    device
        Where the model is trained and used: ``"cpu"``, ``"cuda"``, ...
    verbose
        0: silent. 1: progress on standard error.

    Attributes
    ----------
    classes_
        The labels, [classes], in the order of the columns of ``predict_proba``.
    tokenizer_, vocabulary_
        From text to ids.
    model_
        The network, in evaluation mode.
    frozen_
        After :meth:`freeze` the form of the network that predictions come from, else None.
    options_
        All options of the architecture as they were used.
    history_
        The figures of each epoch, a list of dictionaries.
    best_epoch_
        The epoch, from 1, whose weights the model has.
    validation_report_
        An :class:`~textnn.evaluation.EvaluationReport` of the validation part, or None without one.
    n_texts_
        The number of texts that the model was trained on, without those of the validation part.
    seed_
        The seed that was used: give it as ``random_state`` to repeat the fit.

    Examples
    --------
    >>> texts = ["很 好", "非常 好", "很 差", "非常 差"] * 10
    >>> labels = ["pos", "pos", "neg", "neg"] * 10
    >>> clf = SentimentClassifier(tokenizer="whitespace", random_state=0, verbose=0).fit(texts, labels)
    >>> clf.predict(["真的 很 好"]).tolist()
    ['pos']
    """

    def __init__(
        self,
        architecture: str = "textcnn",
        tokenizer: str | Callable[[str], list[str]] | Tokenizer = "jieba",
        user_dictionary: str | PathLike[str] | Iterable[str] | None = None,
        stop_words: str | PathLike[str] | Iterable[str] | None = None,
        min_count: int | None = None,
        max_vocabulary: int | None = None,
        max_length: int | None = None,
        embedding_dim: int | None = None,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        channels: int | None = None,
        kernel_sizes: Sequence[int] | None = None,
        dropout: float | None = None,
        word_dropout: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        label_smoothing: float | None = None,
        validation_fraction: float | None = None,
        patience: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
        verbose: int = 1,
    ) -> None:
        self.architecture = architecture
        self.tokenizer = tokenizer
        self.user_dictionary = user_dictionary
        self.stop_words = stop_words
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.max_length = max_length
        self.embedding_dim = embedding_dim
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.channels = channels
        self.kernel_sizes = kernel_sizes
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    classes_: Array
    tokenizer_: Tokenizer
    vocabulary_: Vocabulary
    model_: TextModel
    frozen_: TextModel | None = None
    options_: dict[str, Any]
    history_: list[dict[str, Any]]
    best_epoch_: int
    validation_report_: EvaluationReport | None
    n_texts_: int
    seed_: int

    def fit(
        self,
        texts: Texts,
        labels: Iterable[Hashable],
        validation_data: tuple[Texts, Iterable[Hashable]] | None = None,
        distributed: bool = False,
    ) -> SentimentClassifier:
        """Train on texts and their labels.

        Parameters
        ----------
        texts
            Strings.
        labels
            One a text, any hashable values, at least two different ones.
        validation_data
            Texts and labels to choose the best epoch by; no part of ``texts`` is held out then.
        distributed
            Whether the processes of ``torch.distributed``'s default group train one classifier together. Each gives its
            share of the texts, process r of W the texts ``all_texts[r::W]``, and of the validation data, and gets the
            same classifier; docs/distributed.md has more. The seed is that of process 0.

        Returns
        -------
        SentimentClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter makes no sense.
        TrainingError
            If the loss becomes infinite or NaN.
        PeerError
            If another process fails.
        """
        fitted = fit(self, texts, labels, validation_data, Group.default() if distributed else ALONE)
        self.classes_, self.tokenizer_, self.vocabulary_ = fitted.classes, fitted.tokenizer, fitted.vocabulary
        self.model_, self.frozen_ = fitted.model, None
        self.options_, self.seed_, self.n_texts_ = fitted.options, fitted.seed, fitted.n_texts
        self.history_ = [epoch.to_dict() for epoch in fitted.trained.history]
        self.best_epoch_, self.validation_report_ = fitted.trained.best_epoch, fitted.report
        return self

    def predict_proba(self, texts: Texts) -> Array:
        """Return the probability of each class, float64 [texts, classes]; each row sums to 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the classifier has not been fitted.
        TypeError
            If ``texts`` is not a collection of strings.
        """
        check_is_fitted(self, "model_")
        texts = check_texts(texts)
        model, device = self.frozen_ or self.model_, next(self.model_.parameters()).device
        probabilities = np.empty((len(texts), len(self.classes_)))
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            data = encode(chunk, self.tokenizer_, self.vocabulary_, self.options_["max_length"])
            probabilities[start : start + len(chunk)] = softmax(predict_logits(model, data, device=device))
        return probabilities

    def predict(self, texts: Texts) -> Array:
        """Return the most probable class of each text, [texts]; raises as :meth:`predict_proba` does."""
        probabilities = self.predict_proba(texts)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, texts: Texts, labels: Iterable[Hashable], sample_weight: Sequence[float] | None = None) -> float:
        """Return the accuracy: the share of texts, weighted if asked for, whose label was predicted.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        texts = check_texts(texts)
        values = check_labels(labels, len(texts))
        if not texts:
            raise ValueError("texts: expected at least one text to score, got none")
        right = [predicted == label for predicted, label in zip(self.predict(texts).tolist(), values, strict=True)]
        return float(np.average(right, weights=sample_weight))

    def evaluate(self, texts: Texts, labels: Iterable[Hashable], worst: int = 10) -> EvaluationReport:
        """Compare the predictions with labels.

        Parameters
        ----------
        texts, labels
            As for :meth:`fit`. A label that the classifier does not know counts as an error wherever it occurs.
        worst
            How many errors to list.

        Returns
        -------
        EvaluationReport
            Accuracy, figures of each class, confusion matrix, the errors that the classifier was surest of.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        texts = check_texts(texts)
        values = check_labels(labels, len(texts))
        return EvaluationReport.from_predictions(
            self.classes_.tolist(), values, self.predict_proba(texts), texts, worst
        )

    def freeze(self, memory_limit: int | None = None, dtype: str | None = None) -> SentimentClassifier:
        """Predict from a form of the network for inference only, until the next fit.

        For ``"textcnn"`` a table of the products of words and kernels takes the place of the convolution; see
        :meth:`textnn.EmbeddingTextConv.freeze`. The LSTMs can be frozen in ``"int8"`` (:meth:`textnn.LSTM.freeze`); in
        ``"float32"`` they predict as before, with a warning. ``model_`` stays, and is what :meth:`save` writes.

        Parameters
        ----------
        memory_limit
            Bytes that the table may take; the most frequent words come first. None is no limit.
        dtype
            ``"float32"`` (default), ``"int16"`` or ``"int8"``; the latter two round, so that probabilities change a
            little.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        check_is_fitted(self, "model_")
        self.frozen_ = self.model_.freeze(memory_limit, dtype)
        return self

    def save(self, path: str | PathLike[str], report: EvaluationReport | None = None) -> None:
        """Save the fitted classifier as a directory; see :func:`textnn.bundle.save`.

        Parameters
        ----------
        path
            The directory. One that holds a textnn model is replaced at once; any other is refused.
        report
            An evaluation to show in the model card.

        Raises
        ------
        BundleError
            If the directory cannot be written, or holds something else.
        """
        from textnn.bundle import save

        check_is_fitted(self, "model_")
        save(self, path, report)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        tokenizer: Callable[[str], list[str]] | None = None,
        device: str = "cpu",
        frozen: bool | str = False,
    ) -> SentimentClassifier:
        """Load a saved classifier; its predictions are those of the saved one, to the bit unless frozen.

        Parameters
        ----------
        path
            The directory.
        tokenizer
            The function that the model was trained with, if it was trained with one: functions are not saved.
        device
            Where to use the model.
        frozen
            Whether to :meth:`freeze` it: True, or the dtype.

        Raises
        ------
        BundleError
            If the directory is none of textnn's, or is damaged; the message names the file.
        ValueError
            If ``frozen`` is no dtype that the network can be frozen in.
        """
        from textnn.bundle import load

        classifier = load(path, tokenizer, device, cls)
        return classifier.freeze(dtype=None if frozen is True else frozen) if frozen else classifier

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
