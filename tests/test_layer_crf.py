"""textnn.CRF: pytorch-crf's calls, every form of a batch, forbidden transitions."""

from __future__ import annotations

import io
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

import textnn
import textnn.functional as F
from textnn.layers import allowed_transitions

LENGTHS = [3, 7, 1, 5]
K = 5
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def batch(lengths: list[int] = LENGTHS) -> tuple[Tensor, Tensor, Tensor]:
    """Emissions [B, T, K], tags [B, T] and a mask [B, T]."""
    B, T = len(lengths), max(lengths)
    mask = torch.arange(T) < torch.tensor(lengths)[:, None]
    return torch.randn(B, T, K), torch.randint(K, (B, T)), mask


def flat(t: Tensor, lengths: list[int] = LENGTHS) -> Tensor:
    return torch.cat([t[b, :n] for b, n in enumerate(lengths)])


OFFSETS = [0, *itertools.accumulate(LENGTHS[:-1])]


# --- pytorch-crf ---


@pytest.mark.parametrize("batch_first", [False, True])
def test_equals_pytorch_crf(batch_first: bool) -> None:
    torchcrf = pytest.importorskip("torchcrf", reason="pytorch-crf is not installed")
    theirs = torchcrf.CRF(K, batch_first=batch_first)
    ours = textnn.CRF(K, batch_first=batch_first)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x, tags, mask = (t if batch_first else t.transpose(0, 1) for t in batch())
    for reduction in ("none", "sum", "mean", "token_mean"):
        for m in (mask, mask.to(torch.uint8), None):
            torch.testing.assert_close(
                ours(x, tags, m, reduction), theirs(x, tags, None if m is None else m.bool(), reduction)
            )
    assert ours.decode(x, mask) == theirs.decode(x, mask)
    assert ours.decode(x) == theirs.decode(x)
    for crf in (ours, theirs):
        crf(x, tags, mask).backward()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=lambda m, n=name: f"{n}: {m}")


def test_parameters_are_those_of_pytorch_crf() -> None:
    crf = textnn.CRF(4, tags=["O", "B", "I", "B-X"], scheme="BIO")
    shapes = {"start_transitions": (4,), "end_transitions": (4,), "transitions": (4, 4)}
    assert {name: tuple(t.shape) for name, t in crf.state_dict().items()} == shapes
    assert all(0 < float(p.abs().max()) <= 0.1 for p in crf.parameters())
    assert repr(crf) == "textnn.CRF(num_tags=4, scheme='BIO')"


# --- forms of a batch ---


@pytest.mark.parametrize("scheme", [None, "BIO"])
def test_every_form_gives_the_same(scheme: str | None) -> None:
    names = None if scheme is None else NAMES
    crf = textnn.CRF(K, batch_first=True, tags=names, scheme=scheme)
    x, _, mask = batch()
    paths = crf.decode(x, mask)
    tags = torch.zeros(x.shape[:2], dtype=torch.int64)
    for b, path in enumerate(paths):
        tags[b, : len(path)] = torch.tensor(path)
    want, marginals = crf(x, tags, mask, "none"), crf.marginals(x, mask)
    assert want.isfinite().all()
    lengths = torch.tensor(LENGTHS)
    time_first = textnn.CRF(K, tags=names, scheme=scheme)
    time_first.load_state_dict(crf.state_dict())
    jagged = [torch.nested.nested_tensor(list(flat(t).split(LENGTHS)), layout=torch.jagged) for t in (x, tags)]
    packed = [pack_padded_sequence(t, lengths.cpu(), batch_first=True, enforce_sorted=False) for t in (x, tags)]
    forms: dict[str, tuple[textnn.CRF, Any, Any, dict[str, Any]]] = {
        "lengths": (crf, x, tags, {"lengths": LENGTHS}),
        "time first": (time_first, x.transpose(0, 1), tags.t(), {"lengths": lengths}),
        "mask": (time_first, x.transpose(0, 1), tags.t(), {"mask": mask.t()}),
        "offsets": (crf, flat(x), flat(tags), {"offsets": OFFSETS}),
        "nested": (crf, jagged[0], jagged[1], {}),
        "packed": (crf, packed[0], packed[1], {}),
    }
    for name, (layer, emissions, given, sizes) in forms.items():
        for reduction in ("none", "sum", "mean", "token_mean"):
            got = layer(emissions, given, reduction=reduction, **sizes)
            torch.testing.assert_close(got, crf(x, tags, mask, reduction), msg=lambda m, n=name: f"{n}: {m}")
        assert layer.decode(emissions, **sizes) == paths, name
        y = layer.marginals(emissions, **sizes)
        if name == "packed":
            torch.testing.assert_close(y.data, pack_padded_sequence(marginals, lengths.cpu(), True, False).data)
            assert torch.equal(y.unsorted_indices, packed[0].unsorted_indices)
        elif name in ("offsets", "nested"):
            torch.testing.assert_close(y.values() if name == "nested" else y, flat(marginals))
        else:
            torch.testing.assert_close(y if layer is crf else y.transpose(0, 1), marginals)


def test_gradients_reach_the_emissions_of_every_form() -> None:
    crf = textnn.CRF(K, batch_first=True)
    x, tags, mask = batch()
    leaf = x.requires_grad_()
    crf(leaf, tags, mask).backward()
    want, leaf.grad = leaf.grad, None
    packed = [pack_padded_sequence(t, torch.tensor(LENGTHS).cpu(), True, False) for t in (leaf, tags)]
    crf(*packed).backward()
    torch.testing.assert_close(leaf.grad, want)


def test_packed_in_sorted_order() -> None:
    crf = textnn.CRF(K)
    parts = [torch.randn(n, K) for n in (4, 2, 2)]
    assert [len(p) for p in crf.decode(pack_sequence(parts))] == [4, 2, 2]
    assert crf.decode(pack_sequence(parts)) == [crf.decode(p, offsets=[0])[0] for p in parts]


def test_empty_sentences_and_batches() -> None:
    crf = textnn.CRF(K, batch_first=True)
    x, tags, _ = batch()
    assert crf.decode(x, lengths=[0, 2, 0, 0]) == [[], crf.decode(x[1:2, :2])[0], [], []]
    assert crf(x, tags, lengths=[0, 2, 0, 0], reduction="none")[[0, 2, 3]].tolist() == [0, 0, 0]
    assert crf.decode(x[:0]) == []
    assert crf.decode(torch.zeros(0, K), offsets=[]) == []
    assert float(crf(x[:, :0], tags[:, :0])) == 0
    assert crf.decode(x, torch.zeros(x.shape[:2], dtype=torch.bool)) == [[]] * 4


def test_n_best() -> None:
    crf = textnn.CRF(2)
    x = torch.randn(2, 3, 2)
    found = crf.decode(x, n_best=6, lengths=[2, 1, 0])
    assert [len(paths) for paths in found] == [4, 2, 1]  # all there are
    assert found[2] == [([], 0.0)]
    scores = [score for _, score in found[0]]
    assert scores == sorted(scores, reverse=True)
    assert found[0][0][0] == crf.decode(x, lengths=[2, 1, 0])[0]
    log_z = F.crf_log_partition(x[:, :1], *crf.scores())
    torch.testing.assert_close(torch.tensor(scores).logsumexp(0), log_z[0].detach())


# --- forbidden transitions ---


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("BIO", NAMES),
        ("IOB1", ["O", "I-PER", "B-PER", "I-LOC", "B-LOC"]),
        ("BIOES", ["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-X", "I-X", "E-X", "S-X"]),
        ("BMES", ["B", "M", "E", "S"]),
    ],
)
def test_decoding_keeps_to_the_scheme(scheme: str, names: list[str]) -> None:
    masks = allowed_transitions(names, scheme)
    crf = textnn.CRF(len(names), tags=names, scheme=scheme)
    x = 5 * torch.randn(9, 40, len(names))
    for path in crf.decode(x):
        assert masks.start[path[0]]
        assert masks.end[path[-1]]
        assert all(masks.transitions[a, b] for a, b in itertools.pairwise(path))
    free = textnn.CRF(len(names))
    free.load_state_dict(crf.state_dict())
    assert scheme == "IOB1" or free.decode(x) != crf.decode(x)


def legal(scheme: str, tags: tuple[str, ...]) -> bool:
    """Read tags from left to right, as a person does who knows the scheme."""
    open_type: str | None = None  # of a span that has not ended, where the scheme marks ends
    before, kind_before = "O", ""
    for tag in tags:
        prefix, _, kind = tag.partition("-")
        if scheme in ("BIOES", "BMES"):
            middle = "I" if scheme == "BIOES" else "M"
            if prefix in (middle, "E"):
                if open_type != kind:
                    return False
            elif open_type is not None:
                return False
            open_type = kind if prefix in ("B", middle) else None
        elif scheme == "BIO":
            if prefix == "I" and (before == "O" or kind_before != kind):
                return False
        elif prefix == "B" and (before == "O" or kind_before != kind):  # IOB1: B only behind a span of its type
            return False
        before, kind_before = prefix, kind
    return open_type is None


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES", "BMES"])
def test_a_scheme_allows_what_a_reader_would(scheme: str) -> None:
    prefixes = {"BIO": "BI", "IOB1": "BI", "BIOES": "BIES", "BMES": "BMES"}[scheme]
    names = ["O", *(f"{p}-{kind}" for kind in "XY" for p in prefixes)]
    masks = allowed_transitions(names, scheme)
    for length in (1, 2, 3):
        for path in itertools.product(range(len(names)), repeat=length):
            allowed = bool(masks.start[path[0]] and masks.end[path[-1]])
            allowed &= all(bool(masks.transitions[a, b]) for a, b in itertools.pairwise(path))
            tags = tuple(names[i] for i in path)
            assert allowed == legal(scheme, tags), tags


def test_what_is_forbidden_stays_forbidden_in_training() -> None:
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[0, 1] = False
    crf = textnn.CRF(3, allowed=allowed)
    x, tags = torch.randn(4, 2, 3), torch.tensor([[0, 0], [2, 0], [1, 2], [1, 1]])
    (-crf(x, tags)).backward()
    assert crf.transitions.grad[0, 1] == 0
    assert crf.start_transitions.grad.abs().sum() > 0
    assert crf(x, torch.tensor([[0, 0], [1, 0], [1, 2], [1, 1]]), reduction="none").tolist()[0] == float("-inf")
    start = torch.tensor([True, False, True])
    only = textnn.CRF(3, allowed=(start, None, allowed))
    assert all(path[0] != 1 for path in only.decode(5 * torch.randn(3, 30, 3)))


def test_partial_labels() -> None:
    crf = textnn.CRF(K, batch_first=True)
    x, tags, mask = batch()
    known = nn.functional.one_hot(tags, K).bool()
    torch.testing.assert_close(crf(x, known, mask), crf(x, tags, mask))
    assert float(crf(x, torch.ones_like(known), mask).abs()) < 1e-4  # any tags
    known[:, 1] = True
    assert float(crf(x, known, mask)) > float(crf(x, tags, mask))


# --- as a module ---


def test_learns_transitions() -> None:
    crf, steps = textnn.CRF(3), torch.arange(12) % 3  # 0 1 2 0 1 2 ...
    optimizer = torch.optim.Adam(crf.parameters(), lr=0.2)
    for _ in range(40):
        optimizer.zero_grad()
        (-crf(torch.zeros(12, 1, 3), steps[:, None])).backward()
        optimizer.step()
    assert crf.decode(torch.zeros(12, 1, 3)) == [steps.tolist()]


def test_compiles_saves_and_moves() -> None:
    crf = textnn.CRF(K, batch_first=True, tags=NAMES, scheme="BIO")
    x, tags, mask = batch()
    tags[:] = 0
    compiled = torch.compile(crf, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, tags, mask), crf(x, tags, mask))
    file = io.BytesIO()
    torch.save(crf, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert again.decode(x, mask) == crf.decode(x, mask)
    wide = crf.double()
    assert wide(x.double(), tags, mask).dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: textnn.CRF(0), ValueError, "num_tags must be positive, got 0"),
        (lambda: textnn.CRF(3, tags=["O", "B"], scheme="BIO"), ValueError, "tags must be 3 names, got 2"),
        (lambda: textnn.CRF(3, scheme="BIO"), ValueError, "tags and scheme belong together"),
        (lambda: textnn.CRF(2, tags=["O", "S-X"], scheme="BIO"), ValueError, "tags of BIO must be O, B-TYPE, I-TYPE"),
        (lambda: textnn.CRF(2, tags=["O", "O"], scheme="BIO"), ValueError, "got 'O' twice"),
        (lambda: textnn.CRF(2, tags=["O", "B"], scheme="XY"), ValueError, "scheme must be one of"),
        (lambda: textnn.CRF(2, allowed=torch.ones(2, 2)), TypeError, "allowed transitions must be bool"),
        (
            lambda: textnn.CRF(2, allowed=torch.ones(3, 3) > 0),
            ValueError,
            r"allowed transitions must have shape \[2, 2\]",
        ),
    ],
)
def test_errors_of_the_constructor(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_errors_of_calls() -> None:
    crf = textnn.CRF(K, batch_first=True)
    x, tags, mask = batch()
    gap = mask.clone()
    gap[1, 2] = False
    for options, message in (
        ({"mask": gap}, "sequence 1 has True behind False"),
        ({"mask": mask.t()}, r"mask must have shape \[4, 7\]"),
        ({"mask": mask, "lengths": LENGTHS}, "at most one of mask, lengths and offsets"),
    ):
        with pytest.raises(ValueError, match=message):
            crf(x, tags, **options)
    with pytest.raises(TypeError, match="mask must be bool or uint8"):
        crf(x, tags, mask.float())
    with pytest.raises(ValueError, match="emissions must have 5 tags last"):
        crf(x[..., :3], tags)
    with pytest.raises(ValueError, match="reduction must be"):
        crf(x, tags, reduction="max")
    with pytest.raises(ValueError, match="n_best must be at least 1"):
        crf.decode(x, n_best=0)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS).cpu(), True, False)
    with pytest.raises(ValueError, match="has its own lengths"):
        crf.decode(packed, mask)
    with pytest.raises(ValueError, match="tags of a PackedSequence must be one"):
        crf(packed, tags)
    with pytest.raises(TypeError, match="mask must be a tensor, got list"):
        crf(x, tags, [[1]])
    with pytest.raises(TypeError, match="emissions must be a tensor, got NoneType"):
        crf(None, tags)
    with pytest.raises(TypeError, match=r"n_best must be an int, got 2\.5"):
        crf.decode(x, n_best=2.5)
    with pytest.raises(ValueError, match="allowed must be a tensor or three of them"):
        textnn.CRF(2, allowed=(torch.ones(2, 2).bool(),) * 2)


# --- torch's own tools ---


def test_what_is_forbidden_survives_a_start_on_the_meta_device() -> None:
    ready = textnn.CRF(K, tags=NAMES, scheme="BIO")
    for options in ({}, {"assign": True}):
        with torch.device("meta"):
            crf = textnn.CRF(K, tags=NAMES, scheme="BIO")
        assert crf.scores()[2].device.type == "meta"
        if not options:
            crf.to_empty(device="cpu")
        crf.load_state_dict(ready.state_dict(), **options)
        for got, want in zip(crf.scores(), ready.scores(), strict=True):
            assert torch.equal(got, want)


def test_shapes_on_the_meta_device() -> None:
    crf, x = textnn.CRF(K, device="meta"), torch.empty(7, 2, K, device="meta")
    tags, mask = (torch.ones(7, 2, device="meta").to(dtype) for dtype in (torch.int64, torch.bool))
    assert crf(x, tags, mask, reduction="none").shape == (2,)


def test_a_trace_passes_its_own_check() -> None:
    crf, (x, tags, _) = textnn.CRF(K, batch_first=True), batch([4, 4])
    traced = torch.jit.trace(crf, (x, tags))
    torch.testing.assert_close(traced(2 * x, tags), crf(2 * x, tags))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_do_not_look_like_forbidden_ones(value: float) -> None:
    x, zeros = torch.zeros(3, 2), torch.zeros(2)
    x[1, 0] = value
    assert F.crf_marginals(x, zeros, zeros, torch.zeros(2, 2), offsets=[0]).isnan().any()
