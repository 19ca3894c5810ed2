"""The options of architectures and training, each declared once: its type, what a sensible value is, what it does.

    value from a user or from a model's config.json -> ``check_option`` -> the same value in its plain type, or an error
    OPTIONS -> the options of the command line (_textnn_cli/parameters.py)

The limits are wide. They catch slips (a rate of 10, a size of 0), and they keep a tampered config.json from asking for
more than any machine has. This file imports no torch, and the command line runs it without importing the package.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

Check = Callable[[str, Any], Any]

# What textnn.training.schedule knows.
SCHEDULES = ("constant", "linear", "cosine")
# What the states of a language model are carried through in training.
CONTEXTS = ("text", "stream")

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
"""What the products of a training multiply; see textnn/training/precision.py."""

CLASSIFICATION, TAGGING, LANGUAGE, TRANSLATION = "classification", "tagging", "language", "translation"

TEXT, NETWORK, TRAINING = "From text to tokens", "The network (defaults: the architecture's own)", "The training"


class Option(NamedTuple):
    """An option of architectures, each of which has a default of its own for it.

    Attributes
    ----------
    name, kind, check
        Its name, type, and what checks a value.
    panel, sentence
        What the command line shows. Without them it is no parameter, but the architecture's own business.
    metavar, option
        What stands for a value, and the name on the command line if that is not the option's own.
    tasks
        Whose estimators have it for a parameter.
    default
        Of the parameter: None leaves it to the architecture.
    """

    name: str
    kind: type
    check: Check
    panel: str = ""
    sentence: str = ""
    metavar: str | None = None
    option: str | None = None
    tasks: tuple[str, ...] = (CLASSIFICATION, TAGGING, LANGUAGE, TRANSLATION)
    default: Any = None


class Parameter(NamedTuple):
    """A parameter of an estimator that is no option of architectures (``parameters`` of each task's parameters.py).

    Attributes
    ----------
    name, kind, default
        Its name, the type of what is typed for it, and its default.
    panel, sentence, metavar, option
        As for :class:`Option`; without them the command line does not have it, or under a name of its own.
    """

    name: str
    kind: type
    default: Any = None
    panel: str = ""
    sentence: str = ""
    metavar: str | None = None
    option: str | None = None


def check_option(option: str, value: Any) -> Any:
    """Return the value of an option as a plain Python value.

    Raises
    ------
    TypeError
        If the value is of another type than the option's.
    ValueError
        If the value is outside the option's range.
    """
    return OPTIONS[option].check(option, value)


def integer(low: int, high: int = 2**31) -> Check:
    """Make a check for integers from ``low`` to ``high``."""

    def check(option: str, value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{option}: expected an integer, got {type(value).__name__} {value!r:.80}")
        number = int(value.__index__())
        if not low <= number <= high:
            raise ValueError(f"{option}: expected an integer from {low} to {high}, got {_shown(number)}")
        return number

    return check


def number(low: float, high: float = math.inf, *, above: bool = False, below: bool = True) -> Check:
    """Make a check for numbers from ``low``, or ``above`` it, to ``high``, or ``below`` it."""

    def check(option: str, value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise TypeError(f"{option}: expected a number, got {type(value).__name__} {value!r:.80}")
        try:
            plain = float(value)
        except OverflowError:
            raise ValueError(f"{option}: expected a number that a float can hold, got a larger one") from None
        if not ((low < plain if above else low <= plain) and (plain < high if below else plain <= high)):
            start = f"{'above' if above else 'from'} {low:g}"
            end = "" if math.isinf(high) else f" {'and below' if below else 'to'} {high:g}"
            raise ValueError(f"{option}: expected a number {start}{end}, got {plain:g}")
        return plain

    return check


def sizes(low: int, high: int, largest: int) -> Check:
    """Make a check for ``low`` to ``high`` sizes from 1 to ``largest``; a single integer stands for itself."""
    expected = f"expected {low} to {high} integers such as (1, 2, 3)"

    def check(option: str, value: Any) -> tuple[int, ...]:
        several = [value] if hasattr(value, "__index__") else value
        if isinstance(several, str) or not isinstance(several, Sequence) or not low <= len(several) <= high:
            raise ValueError(f"{option}: {expected}, got {value!r:.80}")
        return tuple(integer(1, largest)(option, size) for size in several)

    return check


def choice(*names: str) -> Check:
    """Make a check for one of some names."""

    def check(option: str, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{option}: expected a string, got {type(value).__name__} {value!r:.80}")
        if value not in names:
            raise ValueError(f"{option}: expected one of {', '.join(map(repr, names))}, got {value!r:.80}")
        return str(value)

    return check


def _shown(number: int) -> str:
    """Return a number's digits, where there are not too many of them."""
    return str(number) if abs(number) < 10**30 else f"{'-' if number < 0 else ''}an integer of more than 30 digits"


def _boolean(option: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{option}: expected True or False, got {type(value).__name__} {value!r:.80}")
    return value


_C, _T, _L, _R = (CLASSIFICATION,), (TAGGING,), (LANGUAGE,), (TRANSLATION,)
_CT, _TL, _LR, _CR = (*_C, *_T), (*_T, *_L), (*_L, *_R), (*_C, *_R)
_SIZES, _NAMES = "N,N,...", "constant, linear or cosine"
_PRECISION = "What training multiplies: float32, or bfloat16, which is faster on the CPUs and GPUs that have it."
_ALL = (
    Option("min_count", int, integer(1), TEXT, "Rarer tokens count as unknown."),
    Option("max_vocabulary", int, integer(3), TEXT, "Maximum size of the vocabulary.", tasks=(*_C, *_LR)),
    Option("max_length", int, integer(1), TEXT, "Cut texts after this many tokens.", tasks=_C),
    Option("max_characters", int, integer(1), TEXT, "Cut texts after this many characters.", tasks=_C),
    Option(
        "lowercase", bool, _boolean, TEXT, "Whether source texts are read in lower case.", None,
        "--lowercase/--no-lowercase", _R,
    ),
    Option("embedding_dim", int, integer(1, 65536), NETWORK, "Size of a token's vector."),
    Option("hidden_size", int, integer(1, 65536), NETWORK, "Hidden units of an LSTM, GRU, RNN or MLP."),
    Option("num_layers", int, integer(1, 32), NETWORK, "Layers of an LSTM, GRU, RNN or MLP."),
    Option("channels", int, integer(1, 65536), NETWORK, "Channels of each kernel size.", tasks=_CT),
    Option("kernel_sizes", tuple, sizes(1, 32, 64), NETWORK, "Kernel sizes over words: 1,2,3.", _SIZES, tasks=_C),
    Option("character_kernel_sizes", tuple, sizes(1, 32, 64), NETWORK, "The same over characters.", _SIZES, tasks=_C),
    Option("word_ngrams", tuple, sizes(0, 8, 16), NETWORK, "Sizes of word n-grams, or '' for none.", _SIZES, tasks=_C),
    Option("character_ngrams", tuple, sizes(0, 8, 16), NETWORK, "Sizes of character n-grams, or ''.", _SIZES, tasks=_C),
    Option(
        "ngram_buckets", int, integer(0, 2**26), NETWORK, "Rows of the tables that n-grams are hashed into.", tasks=_CT
    ),
    Option("ngram_dropout", float, number(0, 1), NETWORK, "Share of n-grams to drop.", tasks=_CT),
    Option("ensemble", int, integer(1, 16), NETWORK, "Number of networks to train side by side and average.", tasks=_C),
    Option("dropout", float, number(0, 1), NETWORK, "Share of features to drop."),
    Option("word_dropout", float, number(0, 1), NETWORK, "Share of words to drop.", tasks=(*_CT, *_R)),
    Option("bigram_dim", int, integer(0, 65536), NETWORK, "Size of the vector of a pair of characters.", tasks=_T),
    Option("embedding_dropout", float, number(0, 1), NETWORK, "Share of what the encoder reads to drop.", tasks=_TL),
    Option("weight_dropout", float, number(0, 1), NETWORK, "Share of a layer's recurrent weights to drop.", tasks=_L),
    Option(
        "tied", bool, _boolean, NETWORK, "Whether the output has the weights of the embedding.", None,
        "--tied/--no-tied", _LR,
    ),
    Option(
        "context", str, choice(*CONTEXTS), TRAINING, "text: each text begins anew; stream: after what was before it.",
        "NAME", tasks=_L,
    ),
    Option(
        "shuffle", bool, _boolean, TRAINING, "Whether each epoch has the texts in a new order.", None,
        "--shuffle/--no-shuffle", _L,
    ),
    Option("window", int, integer(1), TRAINING, "Tokens through which gradients flow back.", tasks=_L),
    Option("epochs", int, integer(1), TRAINING, "Maximum number of passes over FILE."),
    Option("batch_size", int, integer(1), TRAINING, "Texts, sentences, pairs or streams a batch, over all processes."),
    Option("learning_rate", float, number(0, above=True), TRAINING, "Learning rate of Adam."),
    Option("weight_decay", float, number(0), TRAINING, "Decay of the weights."),
    Option("label_smoothing", float, number(0, 1), TRAINING, "Share of a target spread over all classes.", tasks=_CR),
    Option("clip_norm", float, number(0), TRAINING, "Maximum norm of all gradients; 0: no limit."),
    Option("schedule", str, choice(*SCHEDULES), TRAINING, f"Learning-rate schedule: {_NAMES}.", "NAME"),
    Option("warmup", float, number(0, 1), TRAINING, "Share of the steps in which the learning rate rises."),
    Option("precision", str, choice(*PRECISIONS), TRAINING, _PRECISION, "NAME", default=FLOAT32),
    Option(
        "output", str, choice("softmax", "sigmoid"), NETWORK, "softmax; or, for two labels, sigmoid with one logit.",
        "NAME", "--output-layer", _C,  # --output is where the model goes
    ),
    Option("validation_fraction", float, number(0, 1), TRAINING, "Share of FILE to use as validation split."),
    Option("patience", int, integer(0), TRAINING, "Stop after this many epochs without progress; 0: never."),
    Option("character_embedding_dim", int, integer(1, 65536)),
    Option("character_form", str, choice("text", "words", "all")),
    Option("last", bool, _boolean),
    Option("encoder_cell", str, choice("", "lstm", "gru", "rnn")),
    Option("encoder_reads", str, choice("words", "characters")),
    Option("encoder_dim", int, integer(0, 65536)),
    Option("encoder_size", int, integer(0, 65536)),
    Option("encoder_layers", int, integer(0, 32)),
    Option("min_steps", int, integer(0)),
    Option("full_steps", int, integer(0)),
    Option("bucket", bool, _boolean),
    Option("sparse", bool, _boolean),
)  # fmt: skip
OPTIONS: Mapping[str, Option] = {option.name: option for option in _ALL}
"""Every option, by its name."""


def chosen(task: str) -> tuple[str, ...]:
    """Return those that are parameters of a task's estimator, where None is the architecture's own default."""
    return tuple(option.name for option in _ALL if option.sentence and task in option.tasks)


def resolve(architecture: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an architecture's options with those given in place of the defaults; None stands for "not given".

    Raises
    ------
    ValueError
        If the architecture has no such option, or a value makes no sense.
    TypeError
        If a value is of the wrong type.
    """
    options = dict(defaults)
    for option, value in given.items():
        if value is None:
            continue
        if option not in options:
            known = ", ".join(sorted(name for name in options if OPTIONS[name].sentence))  # of a user's choice
            raise ValueError(f"{option}: the architecture {architecture!r} has no such option; it has {known}")
        options[option] = check_option(option, value)
    return options


def find_name(name: Any, names: Collection[str], argument: str) -> str:
    """Return a name that is one of some.

    Raises
    ------
    ValueError
        If it is none; the message says which is alike.
    """
    if not isinstance(name, str) or name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{argument}: expected one of {', '.join(map(repr, names))}, got {name!r}{hint}")
    return name
