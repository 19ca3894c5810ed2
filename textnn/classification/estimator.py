"""``SentimentClassifier``: raw text and labels in, labels and probabilities out.

fit, partial_fit   texts, labels -> ``fitting`` -> ``state_``, all at once
predict, ...       ``fitted.FittedClassifier``
save, load         ``state_`` <-> ``bundle``
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from textnn.classification import bundle
from textnn.classification.evaluation.judging import Report
from textnn.classification.fitted import FittedClassifier, Texts
from textnn.classification.fitting import fit
from textnn.classification.state import State
from textnn.data.inputs import renamed
from textnn.distributed import ALONE, Group
from textnn.language.handover import language_weights
from textnn.text import Tokenizer
from textnn.training.checkpoint import Checkpoint


@dataclass(eq=False, repr=False, match_args=False)
class SentimentClassifier(FittedClassifier):
    """Classifies texts with a neural network; two or more classes, of which a text has one, or any number.

    Every parameter that is None takes the architecture's own default, which docs/classifier.md lists; ``options_`` has
    what it came to.

    Parameters
    ----------
    architecture : str, default="tfidf-textcnn"
        ``"tfidf-textcnn"``, ``"wide-textcnn"``, ``"textcnn"``, ``"bilstm"``, ``"lstm"``, ``"bigru"``, ``"gru"``,
        ``"rnn"``, ``"mlp"`` or ``"lecture-lstm"``; docs/accuracy.md compares them.
    tokenizer : str, path, callable or Tokenizer, default="auto"
        ``"auto"`` looks at the scripts of the training texts: jieba's words for Chinese (by rjieba where it is
        installed), words by Unicode's rules with case folded where there are spaces between words, both where texts
        have both, characters for Japanese, Thai and the like. Or ``"jieba"``, ``"rjieba"`` (the same words, 20 times
        faster), ``"unicode"``, ``"mixed"``, ``"char"``, ``"whitespace"``, the directory of a saved
        :class:`textnn.SequenceTagger` that cuts words, a function from a text to its tokens, or a Tokenizer.
    user_dictionary, stop_words : path or iterable of str, optional
        Path of a text file with one entry a line, or the entries; see :func:`textnn.text.make_tokenizer`.
    min_count : int, optional
        Tokens that occur less often in the training texts are unknown words.
    max_vocabulary : int, optional
        Size of the vocabulary at most.
    max_length : int, optional
        Tokens of a text after this many are cut off.
    max_characters : int, optional
        The same of characters, for an architecture that reads them.
    embedding_dim, hidden_size, num_layers, channels : int, optional
        Sizes of the network; an architecture has only some of them.
    kernel_sizes, character_kernel_sizes : sequence of int, optional
        Those of the convolutions over words and over characters.
    vectors : path, optional
        Path of a file of word vectors, with which the embedding of words begins: word2vec's text or binary format or
        fastText's text format, compressed or not; see :func:`textnn.text.read_vectors`. The training goes on from
        them. With ``embedding_dim=None`` the network takes their number of values.
    pretrained : path or LanguageModel, optional
        A language model, fitted or the directory of a saved one, whose embedding and recurrent layers the network
        begins with, and whose tokens it knows. ``"lstm"``, ``"gru"`` and ``"rnn"`` are then the encoder of a language
        model of this cell, with its tokenizer and vocabulary; ``"tfidf-textcnn"`` is joined with such an encoder.
        docs/pretraining.md has more. It is not needed any more once the classifier is fitted.
    word_ngrams, character_ngrams, ngram_buckets, ngram_dropout : sequence of int, int or float, optional
        Lengths of the n-grams of words and of characters that the wide part looks at, rows of the table that they are
        hashed into, and the share of them that is dropped in training.
    ensemble : int, optional
        So many networks are trained at once, and the mean of their logits counts.
    dropout : float, optional
        Share of the features that are dropped before the last layer, in training.
    word_dropout : float, optional
        Share of the tokens that are replaced by the unknown word, in training.
    epochs : int, optional
        Passes over the training texts at most.
    batch_size, learning_rate, weight_decay, label_smoothing : int or float, optional
        As usual.
    clip_norm : float, optional
        Norm of all gradients together at most; 0: no limit.
    schedule, warmup : str and float, optional
        How the learning rate falls over all epochs, ``"constant"``, ``"linear"`` or ``"cosine"``, and the share of all
        steps in which it rises before.
    precision : {"float32", "bfloat16"}, default="float32"
        What the products of a training step multiply, forwards and backwards. Weights, the loss and the optimizer are
        float32 either way, and so are validation and predictions; docs/training.md has more.
    output : str, optional
        ``"softmax"``, or for two classes ``"sigmoid"``: one logit, and binary cross entropy. Labels of which a text may
        have several always take a sigmoid each.
    class_weight : dict or "balanced", optional
        How much the texts of a class count: None, a dictionary from labels to numbers, or ``"balanced"``, by which all
        classes count the same. Where a text may have several labels: how much the texts with a label count against
        those without it.
    threshold : float or "auto", default=0.5
        Where a text may have several labels: the probability from which on it has one, or ``"auto"`` for the one of the
        best F1 of each label on the validation part.
    calibrate : bool, default=True
        Whether to fit a temperature on a validation part of 100 texts or more, so that probabilities are as sure as
        they are right. It does not change which class is the most probable.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit, with its classes, tokenizer and vocabulary.
    validation_fraction : float, optional
        Share of the texts that is held out, stratified by class, unless ``fit`` is given validation data. A text that
        occurs several times is not split up.
    patience : int, optional
        Stop after so many epochs in a row without a better accuracy on the validation part, and go back to the best
        weights. 0: train all epochs, keep the last weights.
    random_state : int or RandomState, optional
        A seed gives the same weights, to the bit, whenever the number of threads is the same. None: another each time.
        Numpy's global generator is left alone, and torch's is as it was after the fit; fits in several threads of a
        process wait for each other.
    device : str, default="cpu"
        Where the model is trained and used: ``"cpu"``, ``"cuda"``, ...
    verbose : int, default=1
        0: silent. 1: progress on standard error.

    Attributes
    ----------
    classes_ : ndarray [classes]
        The labels, [classes], in the order of the columns of ``predict_proba``.
    tokenizer_, vocabulary_, characters_ : Tokenizer, Vocabulary, Vocabulary or None
        From text to ids of words, and of characters; the last one None for an architecture that does not read them.
    model_ : torch.nn.Module
        The network, in evaluation mode.
    frozen_ : torch.nn.Module or None
        The form of it that predictions come from, made at the first of them or by :meth:`freeze`; before, None.
    options_ : dict
        All options of the architecture as they were used.
    history_ : list of dict
        The figures of each epoch, a list of dictionaries.
    best_epoch_ : int
        The epoch, from 1, whose weights the model has.
    validation_report_ : EvaluationReport, MultilabelReport or None
        An :class:`~textnn.evaluation.EvaluationReport` of the validation part, or None without one; for several labels
        a text a :class:`~textnn.evaluation.MultilabelReport`. With fewer than 10,000 texts the linear part of the
        default network learns the validation part too, after this report, temperature and thresholds were made.
    multilabel_ : bool
        Whether a text may have several labels, or none.
    thresholds_ : ndarray [classes] or None
        Then the probability from which on a text has a label, [classes]; else None.
    temperature_, calibration_ : float, Calibration or None
        What logits are divided by, and what that did to the loss on the validation part
        (:class:`~textnn.evaluation.Calibration`), or 1 and None.
    n_texts_ : int
        The number of training texts, without those of the validation part.
    seed_ : int
        The seed that was used: give it as ``random_state`` to repeat the fit.
    state_ : State
        All of these in one record.

    Examples
    --------
    >>> texts = ["很 好", "非常 好", "很 差", "非常 差"] * 10
    >>> labels = ["pos", "pos", "neg", "neg"] * 10
    >>> clf = SentimentClassifier(tokenizer="whitespace", random_state=0, verbose=0).fit(texts, labels)
    >>> clf.predict(["真的 很 好"]).tolist()
    ['pos']
    """

    architecture: str = "tfidf-textcnn"
    tokenizer: str | PathLike[str] | Callable[[str], list[str]] | Tokenizer = "auto"
    user_dictionary: str | PathLike[str] | Iterable[str] | None = None
    stop_words: str | PathLike[str] | Iterable[str] | None = None
    min_count: int | None = None
    max_vocabulary: int | None = None
    max_length: int | None = None
    max_characters: int | None = None
    embedding_dim: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    channels: int | None = None
    kernel_sizes: Sequence[int] | None = None
    character_kernel_sizes: Sequence[int] | None = None
    vectors: str | PathLike[str] | None = None
    pretrained: str | PathLike[str] | Any = None
    word_ngrams: Sequence[int] | None = None
    character_ngrams: Sequence[int] | None = None
    ngram_buckets: int | None = None
    ngram_dropout: float | None = None
    ensemble: int | None = None
    dropout: float | None = None
    word_dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    label_smoothing: float | None = None
    clip_norm: float | None = None
    schedule: str | None = None
    warmup: float | None = None
    precision: str = "float32"
    output: str | None = None
    class_weight: str | Mapping[Any, float] | None = None
    threshold: float | str = 0.5
    calibrate: bool = True
    warm_start: bool = False
    validation_fraction: float | None = None
    patience: int | None = None
    random_state: int | np.random.RandomState | None = None
    device: str = "cpu"
    verbose: int = 1

    _bundle: ClassVar[Any] = bundle

    @renamed(texts="X", labels="y")
    def fit(
        self,
        X: Texts,
        y: Any,
        validation_data: tuple[Texts, Any] | None = None,
        distributed: bool = False,
        sample_weight: Any = None,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
    ) -> SentimentClassifier:
        """Train on texts and their labels.

        Parameters
        ----------
        X : iterable of str
            Strings.
        y : sequence
            One a text, any hashable values, at least two different ones. Or several a text: a list or set for each, or
            a matrix of 0 and 1, [texts, classes], dense or sparse.
        validation_data : tuple of texts and labels, optional
            Texts and labels to measure by, and with ``patience`` to choose the best epoch; no part of ``X`` is held
            out then.
        distributed : bool, default=False
            Whether the processes of ``torch.distributed``'s default group train one classifier together. Each gives its
            share of the texts, process r of W the texts ``all_texts[r::W]``, and of the validation data, and gets the
            same classifier; docs/distributed.md has more. The seed is that of process 0.
        sample_weight : array [texts], optional
            How much each text counts, numbers from 0, [texts]. One of weight n is a text that occurs n times, one of
            weight 0 as good as absent: its words are not learnt either. Also in the figures that choose the best epoch.
        checkpoint : path or Checkpoint, optional
            Directory to keep the state of the training in, so that it can be resumed after a break, or a
            :class:`~textnn.training.Checkpoint`, which says whether to go on; docs/training.md has more.

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

        Warns
        -----
        UserWarning
            If texts occur with different labels, or in the validation data too; if labels or texts look like a mistake.
        """
        before = self._before if self.warm_start else None
        how: dict[str, Any] = {"distributed": distributed, "forms": self._pretrained(before, distributed)}
        data = X, y, validation_data
        return self._fit(fit, *data, checkpoint=checkpoint, sample_weight=sample_weight, before=before, **how)

    @renamed(texts="X", labels="y")
    def partial_fit(
        self,
        X: Texts,
        y: Any,
        classes: Iterable[Hashable] | None = None,
        sample_weight: Any = None,
    ) -> SentimentClassifier:
        """Train on more texts: one pass over them, from the weights that there are.

        The first call makes vocabulary and classes of its texts; in later ones, words that it did not have stay unknown
        and labels have to be among its classes. After :meth:`fit` it goes on from there. Each call begins with a new
        optimizer, and none holds texts out: temperature and thresholds stay as they are.

        Parameters
        ----------
        X, y, sample_weight : iterable of str, sequence, and array [texts], optional
            As for :meth:`fit`.
        classes : iterable, optional
            In the first call: all labels that will ever come, if its own are not all of them.

        Returns
        -------
        SentimentClassifier
            Itself. ``n_texts_`` and ``history_`` add up, with an entry in the latter for each call.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter makes no sense.
        TrainingError
            If the loss becomes infinite or NaN.
        """
        before, forms = self._before, self._pretrained(self._before)
        how: dict[str, Any] = {"one_pass": True, "classes": classes, "forms": forms}
        return self._fit(fit, X, y, sample_weight=sample_weight, before=before, **how)

    def _pretrained(self, before: State | None, distributed: bool = False) -> dict[str, Any]:
        """Return what a fit takes of a language model: nothing, if it goes on from an earlier fit."""
        if self.pretrained is None:
            return {}
        with (Group.default() if distributed else ALONE).together():
            return {"pretrained": language_weights(self.pretrained) if before is None else None}

    def __sklearn_clone__(self) -> Any:
        """Clone for scikit-learn; a fitted language model stays the one that it is."""
        copy: Any = super().__sklearn_clone__()
        copy.pretrained = self.pretrained
        return copy

    def save(self, path: str | PathLike[str], report: Report | None = None) -> None:
        """Save the fitted classifier as a directory; see :func:`textnn.classification.bundle.save`.

        Parameters
        ----------
        path : path
            The directory. One that holds a textnn model is replaced at once; any other is refused.
        report : EvaluationReport or MultilabelReport, optional
            An evaluation to show in the model card.

        Raises
        ------
        BundleError
            If the directory cannot be written, or holds something else.
        """
        bundle.save(self._state, self.get_params(deep=False), path, report)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        tokenizer: str | PathLike[str] | Callable[[str], list[str]] | Tokenizer | None = None,
        device: str = "cpu",
        frozen: bool | str = True,
    ) -> SentimentClassifier:
        """Load a saved classifier; its predictions are those of the saved one.

        The tokenizer is a part of it: where that of the training is not installed, or in another version, the model is
        refused unless ``tokenizer`` asks for one.

        Parameters
        ----------
        path : path
            The directory.
        tokenizer : str, path, callable or Tokenizer, optional
            To be used in place of that of the training, with a warning if it is not the same: a name (``"rjieba"``,
            which takes over the options, user dictionary and stop words of the training), the directory of a segmenter
            (which takes over the latter two), a function or a Tokenizer. A model that was trained with a function needs
            that function: functions are not saved.
        device : str, default="cpu"
            Where to use the model.
        frozen : bool or str, default=True
            The dtype to :meth:`freeze` the network in; True lets it be frozen by itself at the first prediction, False
            keeps it as it was trained.

        Returns
        -------
        SentimentClassifier
            The classifier, fitted.

        Raises
        ------
        BundleError
            If the directory is none of textnn's, or is damaged; the message names the file. If the tokenizer of the
            training is not here and ``tokenizer`` is None; the message says what is needed.
        TypeError, ValueError
            If ``tokenizer`` is none, or its library is not installed; if ``frozen`` is no dtype that the network can be
            frozen in.
        """
        classifier = cls._loaded(path, tokenizer, device=device)
        if frozen is True:
            return classifier
        return classifier.freeze(dtype=frozen) if frozen else classifier.unfreeze()
