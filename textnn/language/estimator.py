"""``LanguageModel``: texts in; how probable texts are, and new text, out.

fit                    texts -> ``fitting`` -> ``state_``, all at once
score_texts, ...       ``scoring``
generate, stream       ``generation``
save, load             ``state_`` <-> ``bundle``
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from textnn.data.inputs import iter_texts
from textnn.estimator import ExportedEstimator, fitted
from textnn.language import bundle, fitting, generation, scoring
from textnn.language.sampling import Sampling
from textnn.language.state import State
from textnn.models.options import integer
from textnn.text import Tokenizer, Vocabulary
from textnn.training.checkpoint import Checkpoint

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(eq=False, repr=False, match_args=False)
class LanguageModel(ExportedEstimator[State]):
    """Learns from texts what comes next: says how probable texts are, and writes new ones.

    Every parameter that is None takes a default of its own, which docs/language.md lists; ``options_`` has what it came
    to.

    Parameters
    ----------
    level : {"char", "word"}, or a tokenizer, default="char"
        The tokens: characters, white space among them; words with the space before them, and punctuation; or
        what a tokenizer finds, given as for :class:`textnn.SentimentClassifier` (``"jieba"``, a function, ...).
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        The recurrent layers.
    min_count : int, optional
        Tokens that occur less often in the training texts are unknown.
    max_vocabulary : int, optional
        Most of the tokens that are known; the most frequent ones are kept.
    embedding_dim, hidden_size, num_layers : int, optional
        Size of a token's vector, units of a layer, and layers.
    dropout, embedding_dropout, weight_dropout : float, optional
        Shares that are dropped in training: of what goes from layer to layer and to the output, of what the first layer
        reads (the same units at all steps), and of the weights of W_hh.
    tied : bool, optional
        Whether the output has the weights of the embedding.
    context : {"text", "stream"}, optional
        Whether each text is learnt by itself, or behind the ones before it.
    shuffle : bool, optional
        Whether each epoch has the texts in a new order.
    window : int, optional
        Tokens through which gradients flow back; states are carried further.
    epochs, learning_rate, weight_decay, clip_norm, schedule, warmup, precision : optional
        As for :class:`textnn.SentimentClassifier`.
    batch_size : int, optional
        Streams that the texts are divided into; a step reads a window of each.
    validation_fraction : float, optional
        Share of the texts that is held out, unless ``fit`` is given validation data; of fewer than five different
        texts, this share of each, at its end.
    patience : int, optional
        Stop after so many epochs in a row without a smaller perplexity on the validation split, and go back to the
        best weights. 0: train all epochs, keep the last weights.
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
    vocabulary_ : Vocabulary
        The tokens. ``[PAD]`` stands for the end of a text, ``[UNK]`` for tokens that are not known.
    options_ : dict
        All options as they were used.
    history_ : list of dict
        The metrics of each epoch.
    best_epoch_, seed_ : int
        The epoch, from 1, whose weights the model has; the seed that was used.

    Examples
    --------
    >>> texts = ["one two three", "two three one", "three one two"] * 20
    >>> model = textnn.LanguageModel("word", epochs=20, validation_fraction=0.0, random_state=0, verbose=0).fit(texts)
    >>> model.generate("one two", n=1, temperature=0)
    ' three'
    >>> model.perplexity(["one two three"]) < model.perplexity(["three two one"])
    True
    """

    level: str | PathLike[str] | Tokenizer | Callable[[str], list[str]] = "char"
    cell: str = "lstm"
    min_count: int | None = None
    max_vocabulary: int | None = None
    embedding_dim: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    dropout: float | None = None
    embedding_dropout: float | None = None
    weight_dropout: float | None = None
    tied: bool | None = None
    context: str | None = None
    shuffle: bool | None = None
    window: int | None = None
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
    vocabulary_: ClassVar[Vocabulary] = fitted()

    def fit(
        self,
        X: Iterable[str],
        y: object = None,
        validation_data: Iterable[str] | None = None,
        distributed: bool = False,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
    ) -> LanguageModel:
        """Train on texts.

        Parameters
        ----------
        X : iterable of str
            Texts of any length; empty ones are left out.
        y : object, optional
            Ignored: the texts are their own targets.
        validation_data : iterable of str, optional
            Texts to measure by, and with ``patience`` to choose the best epoch; no part of ``X`` is held out then.
        distributed : bool, default=False
            Whether the processes of ``torch.distributed``'s default group train one model together, each called with a
            share of the texts.
        checkpoint : path or Checkpoint, optional
            Directory to keep the state of the training in, so that it can be resumed after a break.

        Returns
        -------
        LanguageModel
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter makes no sense.
        TrainingError
            If the loss becomes infinite or NaN.
        """
        return self._fit(fitting.fit, X, validation_data, distributed=distributed, checkpoint=checkpoint)

    def score_texts(self, X: Iterable[str]) -> Array:
        """Return the log-probability of each text, its end included: float64 [texts], natural logarithms.

        Parameters
        ----------
        X : iterable of str
            Texts; each is read by itself. A token that is not known counts as the unknown one.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model has not been fitted.
        TypeError, ValueError
            If ``X`` makes no sense.
        """
        return np.array([scores.sum() for scores in self.score_tokens(X)], dtype=np.float64)

    def score_tokens(self, X: Iterable[str]) -> Iterator[Array]:
        """Yield for each text the log-probability of each token behind those before it, in constant memory.

        The last number is that of the end of the text: float64 [tokens + 1].

        Parameters
        ----------
        X
            As for :meth:`score_texts`, which raises the same.
        """
        return scoring.score_each(self._state, iter_texts(X, "X"))

    def perplexity(self, X: Iterable[str]) -> float:
        """Return exp of minus the mean log-probability of all tokens of some texts, ends of texts among them.

        Parameters
        ----------
        X
            As for :meth:`score_texts`, which raises the same; any number of texts, in constant memory.
        """
        return scoring.perplexity(self._state, iter_texts(X, "X"))

    def score(self, X: Iterable[str], y: object = None) -> float:
        """Return the mean log-probability of the tokens of some texts: larger is better, as scikit-learn has it."""
        return -math.log(self.perplexity(X))

    def next_tokens(self, prompt: str = "", top: int = 10) -> list[tuple[str, float]]:
        """Return the most probable tokens behind a prompt, with their probabilities; ``""`` is the end of the text.

        Parameters
        ----------
        prompt : str, default=""
            What stands before.
        top : int, default=10
            How many tokens at most.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model has not been fitted.
        TypeError, ValueError
            If an argument makes no sense.
        """
        state = self._state
        request = generation.check_request(state, prompt, 1, None)
        scores = generation.next_tokens(state, request.prompt)
        order = scores.argsort(descending=True, stable=True)[: integer(1)("top", top)].tolist()
        names = ["" if id_ == generation.END else state.vocabulary.decode([id_])[0] for id_ in order]
        return list(zip(names, scores[order].exp().tolist(), strict=True))

    def generate(
        self,
        prompt: str = "",
        n: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        beam: int | None = None,
        seed: int | None = None,
        stop: str | Iterable[str] | None = None,
    ) -> str:
        """Write on from a prompt; return what is written, without the prompt.

        Parameters
        ----------
        prompt : str, default=""
            What stands before. Empty: a text begins.
        n : int, default=200
            Tokens at most; the text may end before.
        temperature : float, default=1.0
            Below 1 the probable tokens become more probable still; 0 is greedy: it takes the most probable one each
            time.
        top_k, top_p : int and float, optional
            Draw from the ``top_k`` most probable tokens alone; from the fewest that together have the probability
            ``top_p``.
        beam : int, optional
            Beam search for the most probable text, with so many hypotheses, instead of drawing one.
        seed : int, optional
            The same seed gives the same text. None: another each time.
        stop : str or iterable of str, optional
            The text ends behind the first of these strings.

        Returns
        -------
        str
            Never with the unknown token in it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model has not been fitted.
        TypeError, ValueError
            If an argument makes no sense.

        Warns
        -----
        UserWarning
            If a token of the prompt is not in the vocabulary; it is read as the unknown one.
        """
        if beam is None:
            return "".join(self.stream(prompt, n, temperature, top_k, top_p, seed, stop))
        if temperature != 1.0 or top_k is not None or top_p is not None or seed is not None:
            raise ValueError("beam: expected no temperature, top_k, top_p or seed beside it: it draws nothing")
        state = self._state
        width = integer(1)("beam", beam)
        return generation.beam_search(state, generation.check_request(state, prompt, n, stop), width)[0]

    def stream(
        self,
        prompt: str = "",
        n: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | Iterable[str] | None = None,
    ) -> Iterator[str]:
        """Yield what :meth:`generate` returns, piece by piece as it is written.

        Parameters
        ----------
        prompt, n, temperature, top_k, top_p, seed, stop
            As for :meth:`generate`, which raises the same, at once.
        """
        state = self._state
        sampling = Sampling(temperature, top_k, top_p).check()
        seed = secrets.randbits(62) if seed is None else integer(0, 2**63 - 1)("seed", seed)
        return generation.sample(state, generation.check_request(state, prompt, n, stop), sampling, seed)

    def _exporter(self) -> Callable[[Any, str, Any], None]:
        from textnn.export.language import export_language_model

        return export_language_model

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        tokenizer: str | PathLike[str] | Callable[[str], list[str]] | Tokenizer | None = None,
        device: str = "cpu",
    ) -> LanguageModel:
        """Load a saved model; what it gives is what the saved one gave.

        Parameters
        ----------
        path : path
            The directory.
        tokenizer : optional
            The function that was the tokenizer, which no file holds; of a model with another tokenizer, one to use in
            its place.
        device : str, default="cpu"
            Where it is to work.

        Raises
        ------
        BundleError
            If the directory is no saved language model, or is damaged; the message names the file.
        TypeError, ValueError
            If there is no such device, or ``tokenizer`` is none.
        """
        return cls._loaded(path, tokenizer, device=device)
