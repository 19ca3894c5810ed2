"""``SequenceTagger``: sentences of tokens and tags in; tags, entities and words of new texts out.

fit               sentences, tags -> ``fitting`` -> ``state_``, all at once
predict, ...      ``fitted.FittedTagger``
save, load        ``state_`` <-> ``bundle``
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from textnn.data.inputs import PAIR_NAMES, pair_of
from textnn.distributed import ALONE, Group
from textnn.tagging import bundle
from textnn.tagging.encoding import CHAR, Tokens
from textnn.tagging.fitted import FittedTagger
from textnn.tagging.fitting import fit
from textnn.tagging.intake import tagged_words
from textnn.training.checkpoint import Checkpoint


@dataclass(eq=False, repr=False, match_args=False)
class SequenceTagger(FittedTagger):
    """Gives each token of a sentence a tag: named entities, parts of speech, or where words begin and end.

    Every parameter that is None takes the architecture's own default, which docs/tagging.md lists; ``options_`` has
    what it came to.

    Parameters
    ----------
    architecture : str, default="bilstm-crf"
        ``"bilstm-crf"``, ``"bigru-crf"``, ``"birnn-crf"``, ``"cnn-crf"``, or ``"ngram-crf"``, which has no network: a
        linear model of the n-grams around each token, which the others have beside the network. All end in a
        conditional random field (:class:`textnn.CRF`).
    level : {"auto", "char", "word"}, default="auto"
        Whether tokens are characters or words; ``"auto"``: characters if nine of ten have the length 1. Characters are
        read with their pairs, words with a convolution over their letters.
    scheme : str or None, default="auto"
        How tags mark spans: ``"BIO"``, ``"IOB1"``, ``"BIOES"``, ``"BMES"``, ``"BILOU"`` or ``"IO"``; None if they mark
        none, as parts of speech; ``"auto"`` tells by their letters. The network learns BIOES, whatever the scheme.
    vectors : path, optional
        Path of a file of vectors with which the embedding of tokens begins; see :func:`textnn.text.read_vectors`.
    min_count : int, optional
        Tokens, and pairs of characters, that occur less often in the training sentences are unknown.
    embedding_dim, bigram_dim : int, optional
        Sizes of the vectors of a token, and of a pair of neighbouring characters (0: none).
    hidden_size, num_layers : int, optional
        Units of each direction, and layers.
    channels : int, optional
        Of the convolution over the letters of words.
    ngram_buckets : int, optional
        Rows of the table that n-grams are hashed into; 0: none.
    ngram_dropout, dropout, embedding_dropout, word_dropout : float, optional
        Shares that are dropped in training: of the n-grams, of what the encoder puts out, of what it reads, and of the
        tokens, which become the unknown one.
    epochs, batch_size, learning_rate, weight_decay, clip_norm, schedule, warmup, precision : optional
        As for :class:`textnn.SentimentClassifier`; batches count sentences.
    validation_fraction : float, optional
        Share of the sentences that is held out, unless ``fit`` is given validation data.
    patience : int, optional
        Stop after so many epochs in a row without a better F1 of spans on the validation part (of tags that mark none:
        accuracy), or of equal ones a smaller loss, and go back to the best weights. 0: train all epochs, keep the
        last weights.
    random_state : int or RandomState, optional
        A seed gives the same weights, to the bit, whenever the number of threads is the same. None: another each time.
    device : str, default="cpu"
        Where the model is trained and used.
    verbose : int, default=1
        0: silent. 1: progress on standard error.

    Attributes
    ----------
    state_ : State
        All that a fit came to, in one record.
    tags_ : list of str
        The tags that the network tells apart, in the order of the columns of ``predict_marginals``.
    scheme_, level_ : str or None, str
        How the user's tags mark spans; whether tokens are characters or words.
    options_ : dict
        All options of the architecture as they were used.
    history_ : list of dict
        The figures of each epoch.
    best_epoch_, seed_ : int
        The epoch, from 1, whose weights the model has; the seed that was used.

    Examples
    --------
    >>> names = ["Ann", "Bob", "Eve", "Max"]
    >>> X = [["then", one, "ran", "."] for one in names]
    >>> X += [[one, "met", other, "."] for one in names for other in names]
    >>> y = [["B-PER" if token in names else "O" for token in tokens] for tokens in X]
    >>> tagger = textnn.SequenceTagger(epochs=20, random_state=0, verbose=0).fit(X, y)
    >>> tagger.predict([["Ann", "ran", "."]])
    [['B-PER', 'O', 'O']]
    >>> [entity.text for entity in tagger.entities("Bob met Ann.")]
    ['Bob', 'Ann']
    """

    architecture: str = "bilstm-crf"
    level: str = "auto"
    scheme: str | None = "auto"
    vectors: str | PathLike[str] | None = None
    min_count: int | None = None
    embedding_dim: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    channels: int | None = None
    ngram_buckets: int | None = None
    ngram_dropout: float | None = None
    dropout: float | None = None
    word_dropout: float | None = None
    bigram_dim: int | None = None
    embedding_dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    schedule: str | None = None
    warmup: float | None = None
    precision: str = "float32"
    validation_fraction: float | None = None
    patience: int | None = None
    random_state: int | np.random.RandomState | None = None
    device: str = "cpu"
    verbose: int = 1

    _bundle: ClassVar[Any] = bundle

    def fit(
        self,
        X: Iterable[Tokens],
        y: Iterable[Iterable[str]],
        validation_data: tuple[Any, Any] | None = None,
        distributed: bool = False,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
    ) -> SequenceTagger:
        """Train on sentences and their tags.

        Parameters
        ----------
        X : iterable of sequences of str
            The tokens of each sentence; a string stands for its characters.
        y : iterable of sequences of str
            A tag for each token. :func:`textnn.tagging.read_tagged` reads both from files.
        validation_data : tuple, optional
            Sentences and tags to measure by, and with ``patience`` to choose the best epoch; no part of ``X`` is held
            out then.
        distributed : bool, default=False
            Whether the processes of ``torch.distributed``'s default group train one tagger together, each called with
            a share of the sentences: every n-th one gives the tagger of one process that has them all.
        checkpoint : path or Checkpoint, optional
            Directory to keep the state of the training in, so that it can be resumed after a break.

        Returns
        -------
        SequenceTagger
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter makes no sense.
        TrainingError
            If the loss becomes infinite or NaN.

        Warns
        -----
        UserWarning
            If there are tags that their scheme does not allow where they stand.
        """
        return self._fit(fit, X, y, validation_data, distributed=distributed, checkpoint=checkpoint)

    def fit_words(
        self,
        X: Iterable[str | Iterable[str]],
        y: Iterable[Iterable[str]] | None = None,
        validation_data: tuple[Any, Any] | None = None,
        distributed: bool = False,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
    ) -> SequenceTagger:
        """Train word segmentation, of characters tagged B, M, E and S; with ``y`` joint with parts of speech.

        Parameters
        ----------
        X : iterable of sequences of str
            The words of each sentence; or a string with spaces between them.
        y : iterable of sequences of str, optional
            A part of speech for each word.
        validation_data : tuple, optional
            X and y (or None) to measure by.
        distributed, checkpoint
            As for :meth:`fit`.

        Returns
        -------
        SequenceTagger
            Itself; :meth:`cut` cuts texts into words.

        Raises
        ------
        TypeError, ValueError, TrainingError
            As :meth:`fit` does.

        Examples
        --------
        >>> segmenter = textnn.SequenceTagger("ngram-crf", validation_fraction=0.0, random_state=0, verbose=0)
        >>> segmenter.fit_words(["我 来到 北京", "他 来到 上海", "我 在 上海"] * 20).cut("他在北京")
        ['他', '在', '北京']
        """
        held_out = None
        with (Group.default() if distributed else ALONE).together():
            characters, tags = tagged_words(X, y)
            if validation_data is not None:
                held_out = tagged_words(*pair_of(validation_data, "sentences and their tags"), PAIR_NAMES)
        forms = {"scheme": "BMES", "level": CHAR}
        return self._fit(fit, characters, tags, held_out, distributed=distributed, checkpoint=checkpoint, forms=forms)

    def _exporter(self) -> Callable[[Any, str, Any], None]:
        from textnn.export.tagging import export_tagger

        return export_tagger

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "cpu") -> SequenceTagger:
        """Load a saved tagger; its predictions are those of the saved one.

        Raises
        ------
        BundleError
            If the directory is no saved tagger, or is damaged; the message names the file.
        ValueError
            If there is no such device.
        """
        return cls._loaded(path, device=device)
