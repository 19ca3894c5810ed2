"""``Translator``: texts and their translations in; translations of new texts out.

fit                  pairs of texts -> ``fitting`` -> ``state_``, all at once
predict, stream      ``translating``
align                ``alignment``
score                ``evaluation``
save, load           ``state_`` <-> ``bundle``
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from textnn.data.inputs import iter_texts
from textnn.estimator import Estimator
from textnn.text import Tokenizer, Vocabulary
from textnn.training.checkpoint import Checkpoint
from textnn.translation import alignment, bundle, evaluation, fitting, translating
from textnn.translation.alignment import Alignment
from textnn.translation.state import State

Level = str | PathLike[str] | Tokenizer | Callable[[str], list[str]]


@dataclass(eq=False, repr=False, match_args=False)
class Translator(Estimator[State]):
    """Learns from pairs of texts to translate: an encoder and a decoder of recurrent layers, with attention.

    Every parameter that is None takes a default of its own, which docs/translation.md lists; ``options_`` has what it
    came to.

    Parameters
    ----------
    source_level, target_level : {"word", "char"}, or a tokenizer, default="word"
        The tokens of either side: words and punctuation, with each Chinese character by itself; characters; or what a
        tokenizer finds, given as for :class:`textnn.SentimentClassifier` (``"jieba"``, a function, ...).
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        The recurrent layers of both sides.
    attention : {"general", "dot"} or None, default="general"
        How the decoder looks at the source at each step, by Luong's scores; None: it knows the source's final states
        alone.
    min_count : int, optional
        Tokens that occur less often in the training texts of their side are unknown.
    max_vocabulary : int, optional
        Most of the tokens of a side that are known; the most frequent ones are kept.
    max_length : int, optional
        Pairs with more tokens on either side are left out of the training.
    lowercase : bool, optional
        Whether source texts are read in lower case.
    embedding_dim, hidden_size, num_layers : int, optional
        Size of a token's vector, units of the decoder's layers (each direction of the encoder has half of them), and
        layers of either side.
    tied : bool, optional
        Whether the output has the weights of the target's embedding.
    dropout, word_dropout : float, optional
        Shares that are dropped in training: of what goes from layer to layer, out of the encoder and to the output, and
        of the tokens, which become the unknown one.
    label_smoothing : float, optional
        Share of each target that is spread over the whole vocabulary in training.
    epochs, learning_rate, weight_decay, clip_norm, schedule, warmup, precision : optional
        As for :class:`textnn.SentimentClassifier`.
    batch_size : int, optional
        Pairs of a batch.
    validation_fraction : float, optional
        Share of the pairs that is held out, unless ``fit`` is given validation data; pairs with the same source stay
        together. With fewer than five different sources nothing is held out.
    patience : int, optional
        Stop after so many epochs in a row without a smaller perplexity on the validation split, and go back to the best
        weights. 0: train all epochs, keep the last weights.
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
    source_vocabulary_, target_vocabulary_ : Vocabulary
        The tokens. ``[PAD]`` stands for the beginning and the end of a target, ``[UNK]`` for tokens that are not known.
    options_ : dict
        All options as they were used.
    history_ : list of dict
        The metrics of each epoch; ``loss`` and ``perplexity`` are those of training, label smoothing and dropout
        included.
    best_epoch_, seed_ : int
        The epoch, from 1, whose weights the model has; the seed that was used.

    Examples
    --------
    >>> X = [f"{who} {what}." for who in ("I", "you", "we") for what in ("come", "go", "sleep", "eat")]
    >>> y = [f"{who}{what}。" for who in ("我", "你", "我们") for what in ("来", "走", "睡", "吃")]
    >>> translator = textnn.Translator(hidden_size=64, epochs=60, random_state=0, verbose=0)
    >>> translator.fit(X * 5, y * 5).predict(["you sleep.", "we eat."])
    ['你睡。', '我们吃。']
    """

    source_level: Level = "word"
    target_level: Level = "word"
    cell: str = "lstm"
    attention: str | None = "general"
    min_count: int | None = None
    max_vocabulary: int | None = None
    max_length: int | None = None
    lowercase: bool | None = None
    embedding_dim: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    tied: bool | None = None
    dropout: float | None = None
    word_dropout: float | None = None
    label_smoothing: float | None = None
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
        X: Iterable[str],
        y: Iterable[str],
        validation_data: tuple[Iterable[str], Iterable[str]] | None = None,
        distributed: bool = False,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
    ) -> Translator:
        """Train on texts and their translations.

        Parameters
        ----------
        X : iterable of str
            Texts; a sentence or two each.
        y : iterable of str
            The translation of each. Pairs with an empty side are left out.
        validation_data : tuple, optional
            X and y to measure by, and with ``patience`` to choose the best epoch; no part of ``X`` is held out then.
        distributed : bool, default=False
            Whether the processes of ``torch.distributed``'s default group train one model together, each called with a
            share of the pairs.
        checkpoint : path or Checkpoint, optional
            Directory to keep the state of the training in, so that it can be resumed after a break.

        Returns
        -------
        Translator
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter makes no sense.
        TrainingError
            If the loss becomes infinite or NaN.
        """
        return self._fit(fitting.fit, X, y, validation_data, distributed=distributed, checkpoint=checkpoint)

    @property
    def source_vocabulary_(self) -> Vocabulary:
        """The tokens of sources that are known."""
        return self._state.source_vocabulary

    @property
    def target_vocabulary_(self) -> Vocabulary:
        """The tokens of targets that are known."""
        return self._state.target_vocabulary

    def predict(self, X: Iterable[str], beam: int = 5, length_penalty: float = 1.0, max_tokens: int = 200) -> list[str]:
        """Translate texts.

        Parameters
        ----------
        X : iterable of str
            Texts such as those that the model learnt from. The translation of a text without tokens is empty.
        beam : int, default=5
            Hypotheses of each translation that are kept side by side; 1 is greedy: it takes the most probable token
            each time.
        length_penalty : float, default=1.0
            How much a beam favours long translations: their log-probabilities are divided by
            ``((5 + tokens) / 6) ** length_penalty`` (Wu et al. 2016). 0: not at all; 10 at most.
        max_tokens : int, default=200
            Tokens of a translation at most; and never more than 20 and three for each token of the source.

        Returns
        -------
        list of str
            Where the network writes the unknown token, the source token that it looked at most is copied, an unknown
            one if there is any. A model without attention never writes it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the translator has not been fitted.
        TypeError, ValueError
            If an argument makes no sense.
        """
        return list(self.stream(X, beam, length_penalty, max_tokens))

    def stream(
        self, X: Iterable[str], beam: int = 5, length_penalty: float = 1.0, max_tokens: int = 200
    ) -> Iterator[str]:
        """Yield the translation of each of any number of texts, in order, in constant memory.

        Parameters
        ----------
        X, beam, length_penalty, max_tokens
            As for :meth:`predict`, which raises the same.
        """
        state, request = self._state, translating.check_request(beam, length_penalty, max_tokens)
        return translating.translate_each(state, iter_texts(X, "X"), request)

    def align(self, text: str, beam: int = 5, length_penalty: float = 1.0, max_tokens: int = 200) -> Alignment:
        """Translate a text, and say which of its tokens the attention looked at for each token of the translation.

        Parameters
        ----------
        text : str
            The text.
        beam, length_penalty, max_tokens
            As for :meth:`predict`.

        Returns
        -------
        Alignment
            Tokens of both sides and the weights between them; ``plot`` draws them.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense, or the model has no attention.
        """
        return alignment.align(self._state, text, translating.check_request(beam, length_penalty, max_tokens))

    def score(self, X: Iterable[str], y: Iterable[str | Iterable[str]]) -> float:
        """Return the BLEU of the translations of some texts, from 0 to 100, as the package sacrebleu computes it.

        Parameters
        ----------
        X : iterable of str
            Texts.
        y : iterable of str, or of several str each
            The right translation of each text, or several.

        Returns
        -------
        float
            Of characters if most letters of ``y`` are of a script without spaces, else of words.

        Raises
        ------
        ImportError
            If sacrebleu is not installed: ``pip install sacrebleu``.
        TypeError, ValueError
            If an argument makes no sense.
        """
        return evaluation.score(self._state, X, y)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        source_tokenizer: Level | None = None,
        target_tokenizer: Level | None = None,
        device: str = "cpu",
    ) -> Translator:
        """Load a saved model; what it gives is what the saved one gave.

        Parameters
        ----------
        path : path
            The directory.
        source_tokenizer, target_tokenizer : optional
            The function that was the tokenizer of a side, which no file holds; of a model with another tokenizer, one
            to use in its place.
        device : str, default="cpu"
            Where it is to work.

        Raises
        ------
        BundleError
            If the directory is no saved translator, or is damaged; the message names the file.
        TypeError, ValueError
            If there is no such device, or a tokenizer is none.
        """
        return cls._loaded(path, source_tokenizer, target_tokenizer, device=device)
