"""Valid calls of every operator and public function: what the examples of the docstrings, and some layers, call.

examples, CASES -> run under Recorder -> forward calls -> each again with gradients -> calls of backward operators
operators that nothing calls          -> arguments made from the schema
"""

from __future__ import annotations

import contextlib
import doctest
import functools
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import textnn
import textnn.functional

PUBLIC = "functional."
MOST = 200  # calls kept of each operator or function


@dataclass(frozen=True)
class Call:
    """A call of an operator, or of a public function where the name begins with ``functional.``."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @property
    def function(self) -> Callable[..., Any]:
        """What is called."""
        if self.name.startswith(PUBLIC):
            return getattr(textnn.functional, self.name[len(PUBLIC) :])  # type: ignore[no-any-return]
        return getattr(torch.ops.textnn, self.name).default  # type: ignore[no-any-return]


def operators() -> list[str]:
    """The operators of the registry, by name."""
    schemas = torch._C._jit_get_all_schemas()
    return sorted({s.name.split("::")[1] for s in schemas if s.name.startswith("textnn::")})


def schema_of(name: str) -> Any:
    """An operator's schema."""
    return getattr(torch.ops.textnn, name).default._schema


def copied(value: Any) -> Any:
    """The value with tensors of its own."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return type(value)(copied(v) for v in value)
    return {k: copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def _form(value: Any) -> Any:
    """What tells calls of different kinds apart."""
    if isinstance(value, Tensor):
        return value.dtype, value.dim()
    if isinstance(value, (list, tuple)):
        return tuple(_form(v) for v in value)
    return tuple((k, _form(v)) for k, v in value.items()) if isinstance(value, dict) else repr(value)


class Recorder(TorchDispatchMode):
    """Keeps the calls of textnn's operators that are made under it, and those of the public functions."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, dict[Any, Call]] = {}

    def keep(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        of_name = self.calls.setdefault(name, {})
        if len(of_name) < MOST:
            form = _form(arguments), _form(keywords)
            of_name.setdefault(form, Call(name, copied(arguments), copied(keywords)))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "textnn":
            self.keep(func._schema.name.split("::")[1], tuple(args), dict(kwargs or {}))
        return func(*args, **(kwargs or {}))

    @contextlib.contextmanager
    def public_functions(self) -> Iterator[None]:
        """Keep the calls of textnn.functional as well."""
        before = {name: getattr(textnn.functional, name) for name in textnn.functional.__all__}

        def watched(name: str) -> Callable[..., Any]:
            @functools.wraps(before[name])
            def call(*arguments: Any, **keywords: Any) -> Any:
                arguments = tuple(list(a) if isinstance(a, Iterator) else a for a in arguments)
                self.keep(PUBLIC + name, arguments, keywords)
                return before[name](*arguments, **keywords)

            return call

        for name in before:
            setattr(textnn.functional, name, watched(name))
        try:
            yield
        finally:
            for name, function in before.items():
                setattr(textnn.functional, name, function)


def _examples() -> None:
    """Run the examples of the docstrings of textnn.functional."""
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    names = {"torch": torch, "textnn": textnn, "math": __import__("math")}
    for name in textnn.functional.__all__:
        for test in finder.find(getattr(textnn.functional, name), name, globs=dict(names)):
            runner.run(test, out=io.StringIO().write, clear_globs=False)


def _train(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
    """Call a layer or a function, and make the gradients of all its results."""
    _backward(function(*arguments, **keywords))


def _backward(results: Any) -> None:
    tensors = [t for t in torch.utils._pytree.tree_leaves(results) if isinstance(t, Tensor) and t.requires_grad]
    if tensors:
        sum(t.sum() for t in tensors).backward()  # type: ignore[union-attr]


def _recurrent() -> None:
    lengths = torch.tensor([3, 0, 2])
    flat = torch.tensor([0, 3, 3])
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(3, 2, 5), torch.tensor([3, 2]))
    for bidirectional in (False, True):
        for layer in (textnn.LSTM(5, 6, proj_size=2, bidirectional=bidirectional), textnn.RNN(5, 6, batch_first=True)):
            _train(layer, torch.randn(3, 3, 5), lengths=lengths)
        gru = textnn.GRU(5, 6, bidirectional=bidirectional)
        _train(gru, torch.randn(5, 5), offsets=flat)
        _train(gru, packed)
        for sparse in (False, True):
            layer = textnn.EmbeddingLSTM(9, 5, 6, sparse=sparse, bidirectional=bidirectional, padding_idx=1)
            _train(layer, torch.randint(0, 9, (5,)), offsets=flat, return_cells=sparse)
    _train(textnn.RNN(5, 6, nonlinearity="relu", bias=False), torch.randn(3, 2, 5), outputs=False)
    torch.func.vmap(textnn.GRU(5, 6))(torch.randn(2, 3, 2, 5))
    weights = torch.randn(18, 5), torch.randn(18, 6)
    textnn.functional.gru(torch.randn(5, 5), torch.zeros(3, 6), *weights, offsets=flat, reverse=True)


def _steps() -> None:
    with torch.no_grad():
        textnn.LSTM(5, 6, 2, proj_size=3).step(torch.randn(4, 5))
        for nonlinearity in ("tanh", "relu"):
            textnn.RNN(5, 6, bias=False, nonlinearity=nonlinearity).step(torch.randn(4, 5))
        textnn.EmbeddingGRU(9, 5, 6, num_layers=2).step(torch.randint(0, 9, (4,)))
    for kind, sums in (("lstm", 4), ("gru", 3), ("rnn_relu", 1), ("rnn_tanh", 1)):
        state = torch.randn(2, 6)
        own = state if kind == "gru" else None, state if kind == "lstm" else None
        textnn.functional.recurrent_cell(kind, torch.randn(2, sums * 6), torch.randn(2, sums * 6), *own)


def _convolution() -> None:
    offsets = torch.tensor([0, 4, 4])
    for same in ("valid", "same"):
        for sparse in (False, True):
            options = {"padding": same, "sparse": sparse, "padding_idx": 1}
            pooled = textnn.EmbeddingTextConv(9, 5, 6, (1, 3), **options)
            for layer in (pooled, textnn.EmbeddingTextConv(9, 5, 6, (3,), pooling=None, **options)):
                _train(layer, torch.randint(0, 9, (10,)), offsets=offsets)
                _train(layer, torch.randint(0, 9, (3, 7)), lengths=torch.tensor([7, 0, 2]))
                layer.weight.requires_grad_(False)
                _train(layer, torch.randint(0, 9, (3, 7)))
        for pooling in ("max", None):
            layer = textnn.TextConv(5, 6, (3,), padding=same, pooling=pooling)
            _train(layer, torch.randn(3, 7, 5), lengths=torch.tensor([7, 0, 2]))
            _train(layer, torch.randn(10, 5), offsets=offsets)
    x = torch.randn(10, 5, requires_grad=True)
    weight = [torch.randn(6, 5, k, requires_grad=True) for k in (2, 3)]
    textnn.functional.text_conv(x, weight, offsets=offsets, activation="tanh").sum().backward()
    textnn.functional.max_mean_pool(x, offsets=offsets).sum().backward()
    textnn.functional.max_mean_pool(torch.randn(2, 3, 5, requires_grad=True)).sum().backward()
    table = torch.randn(9, 4, requires_grad=True)
    textnn.functional.embedding(torch.randint(0, 9, (3, 4)), table, padding_idx=2, sparse=True).sum().backward()
    textnn.functional.hash_ngrams(torch.randint(0, 9, (10,)), (1, 3), 50, offsets=offsets, distinct=True)


def _attention() -> None:
    query, states = torch.randn(3, 2, 4, requires_grad=True), torch.randn(3, 5, 4, requires_grad=True)
    for batch in ({}, {"lengths": torch.tensor([5, 0, 2])}):
        _train(textnn.functional.ragged_attention, query, states, return_weights=True, scale=0.5, **batch)
    flat = states.detach().view(15, 4)
    textnn.functional.ragged_attention(query.detach(), flat, offsets=torch.tensor([0, 3, 3]))


def _language() -> None:
    x, w = torch.randn(6, 4, requires_grad=True), torch.randn(7, 4, requires_grad=True)
    target, b, weight = torch.tensor([0, 6, -100, 3, 3, 1]), torch.randn(7, requires_grad=True), torch.rand(7)
    for reduction in ("mean", "sum", "none"):
        rest = {"reduction": reduction, "label_smoothing": 0.1}
        _train(textnn.functional.linear_cross_entropy, x, w, target, linear_bias=b, weight=weight, **rest)
        _train(textnn.functional.linear_cross_entropy, x, w.detach(), target, **rest)
        _train(textnn.functional.linear_cross_entropy, x.detach(), w, target, **rest)


def _fields() -> None:
    tags, lengths = torch.randint(0, 3, (2, 4)), torch.tensor([4, 1])
    for batch_first in (False, True):
        crf, x = textnn.CRF(3, batch_first=batch_first), torch.randn(*((2, 4) if batch_first else (4, 2)), 3)
        _train(crf, x, tags if batch_first else tags.T, lengths=lengths)
        crf.decode(x, lengths=lengths)
        scores = crf.start_transitions, crf.end_transitions, crf.transitions
        _train(textnn.functional.crf_marginals, x, *scores, lengths=lengths, batch_first=batch_first)
        textnn.functional.crf_decode(x, *scores, n_best=2, batch_first=batch_first)
    _train(textnn.functional.crf_marginals, torch.randn(5, 3), *scores, offsets=[0, 2])


def _in_16_bits() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        for case in (_recurrent, _steps, _convolution, _attention, _language):
            case()


def _frozen() -> None:
    layer = textnn.EmbeddingTextConv(60, 5, 6, (1, 3)).requires_grad_(False)
    for kind in (None, "int16", "int8"):
        for limit in (None, 4000):
            layer.freeze(memory_limit=limit, dtype=kind)(torch.randint(0, 60, (3, 7)))
    frozen = textnn.EmbeddingTextConv(60, 5, 6, (1, 3), padding="same").requires_grad_(False)
    frozen = frozen.freeze(memory_limit=4000, order=torch.arange(59, -1, -1))
    frozen(torch.randint(0, 60, (10,)), offsets=torch.tensor([0, 4, 4]))
    lstm = textnn.LSTM(5, 6, bidirectional=True).requires_grad_(False).freeze()
    lstm(torch.randn(3, 2, 5), lengths=[3, 1], outputs=False)
    lstm(torch.randn(5, 5), offsets=[0, 3])
    lstm(torch.nn.utils.rnn.pack_sequence([torch.randn(3, 5), torch.randn(2, 5)]))
    textnn.LSTM(5, 6, batch_first=True).requires_grad_(False).freeze()(torch.randn(3, 2, 5))
    torch.ops.textnn.advise_huge_pages(torch.zeros(1000))


def _adam() -> None:
    for exact in (True, False):
        layer = textnn.EmbeddingTextConv(30, 6, 5, (2,), sparse=True)
        optimizer = textnn.optim.Adam(layer.parameters(), lr=0.1, exact=layer if exact else None)
        for _ in range(2):
            layer(torch.randint(0, 29, (3, 5))).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        if exact:
            optimizer.flush()


CASES = (
    _examples,
    _recurrent,
    _steps,
    _convolution,
    _attention,
    _language,
    _fields,
    _in_16_bits,
    _frozen,
    _adam,
)


def _of_type(kind: str) -> Any:
    """A value of a schema's type."""
    if kind.startswith("List["):
        return [_of_type(kind[5:-1])] * 2
    if kind.startswith("Optional["):
        return None
    return {"Tensor": torch.randn(2, 3), "int": 1, "bool": False, "float": 0.5, "str": ""}.get(kind)


def _differentiate(call: Call) -> None:
    """Make an operator's call once more, with gradients: of all results, and of each by itself."""

    def leaf(value: Any) -> Any:
        if isinstance(value, list):
            return [leaf(v) for v in value]
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.detach().clone().requires_grad_() if floating else value

    def results() -> list[Any]:
        return torch.utils._pytree.tree_leaves(call.function(*[leaf(a) for a in call.arguments], **call.keywords))

    made = results()
    _backward(made)
    for place in range(len(made)) if len(made) > 1 else ():
        _backward(results()[place])


def _complete(call: Call) -> Call:
    """The call with the last arguments of its schema, which torch leaves out where they have their defaults."""
    if call.name.startswith(PUBLIC):
        return call
    missing = schema_of(call.name).arguments[len(call.arguments) :]
    given = (call.keywords.get(a.name, a.default_value) for a in missing)
    return Call(call.name, (*call.arguments, *given), {})


def _works(call: Call) -> bool:
    try:
        call.function(*copied(call.arguments), **copied(call.keywords))
    # A backward operator without what the forward pass was not asked to keep; what autocast alone brings together.
    except (RuntimeError, TypeError, ValueError):
        return False
    return True


@functools.cache
def valid_calls() -> dict[str, list[Call]]:
    """Valid calls by name, of all operators and public functions, the same in every process."""
    recorder = Recorder()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        for case in CASES:
            with recorder, recorder.public_functions():
                case()
        for name in [name for name in recorder.calls if not name.startswith(PUBLIC)]:
            if name.endswith("_backward") or any(a.alias_info for a in schema_of(name).arguments):
                continue
            for call in list(recorder.calls[name].values()):
                with contextlib.suppress(RuntimeError), recorder:  # of what has no gradients
                    _differentiate(call)
        found = {name: [_complete(c) for c in calls.values() if _works(c)] for name, calls in recorder.calls.items()}
        for name in operators():
            if not found.get(name):
                found[name] = [Call(name, tuple(_of_type(str(a.type)) for a in schema_of(name).arguments), {})]
    return dict(sorted(found.items()))
