"""textnn.functional.crf_*: log-likelihood, log Z, marginals and best tags of a conditional random field."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from ragged import TOLERANCE, compare
from torch import Tensor

import textnn.functional as fast
import textnn.reference as slow

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

NONE = float("-inf")
FORMS = ("time_major", "batch_major", "flat")
LENGTHS = {"one": [1], "ragged": [3, 7, 1, 5, 2], "with empty": [0, 3, 0, 5], "all empty": [0, 0], "none": []}
TAGS = (1, 2, 7, 17, 45)


def make(form: str, lengths: list[int], K: int, dtype: torch.dtype = torch.float64) -> tuple[list[Any], dict[str, Any]]:
    """Emissions, tags, start, end, transitions, and what says how long sequences are; padding is NaN and tag -100."""
    N, B, T = sum(lengths), len(lengths), max(lengths, default=0) + 1
    scores = [torch.randn(K, dtype=dtype), torch.randn(K, dtype=dtype), torch.randn(K, K, dtype=dtype)]
    if form == "flat":
        offsets = torch.tensor([sum(lengths[:b]) for b in range(B)], dtype=torch.int64)
        return [torch.randn(N, K, dtype=dtype), torch.randint(K, (N,)), *scores], {"offsets": offsets}
    x, tags = torch.full((B, T, K), float("nan"), dtype=dtype), torch.full((B, T), -100)
    for b, n in enumerate(lengths):
        x[b, :n], tags[b, :n] = torch.randn(n, K, dtype=dtype), torch.randint(K, (n,))
    sizes = {"lengths": torch.tensor(lengths, dtype=torch.int64), "batch_first": form == "batch_major"}
    return [x, tags, *scores] if form == "batch_major" else [x.transpose(0, 1), tags.t(), *scores], sizes


def without_tags(inputs: list[Any]) -> list[Any]:
    return [inputs[0], *inputs[2:]]


def paths(x: Tensor, start: Tensor, end: Tensor, transitions: Tensor) -> dict[tuple[int, ...], float]:
    """The scores of all sequences of tags for one sequence."""
    T, K = x.shape
    found = {}
    for y in itertools.product(range(K), repeat=T):
        score = start[y[0]] + end[y[-1]] + sum(x[t, y[t]] for t in range(T))
        found[y] = float(score + sum(transitions[a, b] for a, b in itertools.pairwise(y)))
    return found


@pytest.fixture(params=["any", "forbidden"])
def one(request: pytest.FixtureRequest) -> list[Tensor]:
    """Scores of one sequence of 4 steps and 3 tags: emissions, start, end, transitions."""
    scores = [torch.randn(*shape, dtype=torch.float64) for shape in ((4, 3), (3,), (3,), (3, 3))]
    if request.param == "forbidden":
        scores[1][2], scores[2][1], scores[3][0, 2], scores[3][1, 0] = NONE, NONE, NONE, NONE
    return scores


# --- against all sequences of tags ---


def test_log_likelihood_is_that_of_all_sequences(capability: str, one: list[Tensor]) -> None:
    every = paths(*one)
    log_z = torch.tensor(list(every.values()), dtype=torch.float64).logsumexp(0)
    for y, score in every.items():
        got = fast.crf_log_likelihood(one[0][None], torch.tensor([y]), *one[1:], batch_first=True)
        torch.testing.assert_close(
            got, torch.tensor(score, dtype=torch.float64) - log_z, msg=lambda m, y=y: f"{y}: {m}"
        )
    got = fast.crf_log_partition(one[0][:, None], *one[1:])
    torch.testing.assert_close(got, log_z[None])


def test_marginals_are_those_of_all_sequences(capability: str, one: list[Tensor]) -> None:
    every = paths(*one)
    p = torch.tensor(list(every.values()), dtype=torch.float64).softmax(0)
    want = torch.zeros_like(one[0])
    for y, probability in zip(every, p, strict=True):
        want[torch.arange(4), torch.tensor(y)] += probability
    torch.testing.assert_close(fast.crf_marginals(*one, offsets=[0]), want)


def test_the_best_are_those_of_all_sequences(capability: str, one: list[Tensor]) -> None:
    ordered = sorted(((s, y) for y, s in paths(*one).items() if s > NONE), reverse=True)
    tags, score = fast.crf_decode(*one, offsets=[0])
    assert tuple(tags.tolist()) == ordered[0][1]
    torch.testing.assert_close(float(score), ordered[0][0])
    n = len(ordered) + 3  # more than there are
    for count in (1, 5, n):
        tags, scores = fast.crf_decode(*one, offsets=[0], n_best=count)
        there = min(count, len(ordered))
        assert [tuple(path) for path in tags[:there].tolist()] == [y for _, y in ordered[:there]]
        torch.testing.assert_close(scores[:there, 0].tolist(), [s for s, _ in ordered[:there]])
        assert (scores[there:] == NONE).all()
        assert not tags[there:].any()


def test_partial_labels_sum_over_what_fits(capability: str, one: list[Tensor]) -> None:
    possible = torch.tensor([[True, True, False], [True, True, True], [False, True, False], [True, False, True]])
    every = paths(*one)
    fits = [s for y, s in every.items() if all(possible[t, tag] for t, tag in enumerate(y))]
    log_z, part = (torch.tensor(s, dtype=torch.float64).logsumexp(0) for s in (list(every.values()), fits))
    inputs = [one[0], possible, *one[1:]]
    torch.testing.assert_close(fast.crf_log_likelihood(*inputs, offsets=[0]), part - log_z)
    compare(fast.crf_log_likelihood, slow.crf_log_likelihood, inputs, torch.float64, "partial", offsets=[0])
    if one[3][0, 2] == NONE:  # 0 cannot be followed by 2
        none = torch.tensor([[True, False, False], [False, False, True], [True] * 3, [True] * 3])
        assert fast.crf_log_likelihood(one[0], none, *one[1:], offsets=[0]) == NONE


# --- against the reference ---


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("K", TAGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability: str, form: str, lengths: list[int], K: int, dtype: torch.dtype) -> None:
    inputs, sizes = make(form, lengths, K, dtype)
    case = f"{capability} {form} {lengths} K={K}"
    compare(fast.crf_log_likelihood, slow.crf_log_likelihood, inputs, dtype, case, reduction="none", **sizes)
    rest = without_tags(inputs)
    compare(fast.crf_log_partition, slow.crf_log_partition, rest, dtype, case, **sizes)
    torch.testing.assert_close(
        fast.crf_marginals(*rest, **sizes), slow.crf_marginals(*rest, **sizes), **TOLERANCE[dtype]
    )
    for n in (None, 3):
        (tags, scores), (want, best) = (f.crf_decode(*rest, n_best=n, **sizes) for f in (fast, slow))
        torch.testing.assert_close(scores, best, **TOLERANCE[dtype], msg=lambda m: f"{case}: {m}")
        if dtype == torch.float64:
            assert torch.equal(tags, want), case


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 12.0, 40.0, 1e4])
def test_forbidden_transitions_and_wide_scores(capability: str, form: str, dtype: torch.dtype, scale: float) -> None:
    """The scaled recursion, the one in double, and logarithms; the reference is exact in double."""
    for lengths, K in (([9, 1, 0, 30], 5), ([12, 4], 19)):
        inputs, sizes = make(form, lengths, K, dtype)
        x, _tags, start, end, transitions = inputs
        x *= scale
        for scores in (start, end, transitions):
            scores.view(-1)[torch.rand(scores.numel()).argsort()[: scores.numel() // 3]] = NONE
        exact = [t.double() if t.is_floating_point() else t for t in inputs]
        case = f"{capability} {form} {dtype} scale={scale} K={K}"
        got, want = (
            _result_and_gradients(f.crf_log_partition, without_tags(i), sizes)
            for f, i in ((fast, inputs), (slow, exact))
        )
        # Of exponents that are rounded as the scores are.
        tolerance = {"rtol": 2e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12 * scale}
        if capability == "auto" and dtype == torch.float32:  # CUDA kernels know no double for these
            tolerance = {"rtol": 1e-3, "atol": 1e-3}
        for i, (a, b) in enumerate(zip(got, want, strict=True)):
            torch.testing.assert_close(a.double(), b, **tolerance, msg=lambda m, i=i, c=case: f"{c}, result {i}: {m}")
        _, scores = fast.crf_decode(*without_tags(inputs), **sizes)
        best = slow.crf_decode(*without_tags(exact), **sizes)[1]
        torch.testing.assert_close(scores.double(), best, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_extreme_emissions_with_finite_transitions(capability: str, scale: float) -> None:
    inputs, sizes = make("flat", [40, 3, 25], 9, torch.float32)
    inputs[0] *= scale
    exact = [t.double() if t.is_floating_point() else t for t in inputs]
    got, want = (
        _result_and_gradients(f.crf_log_likelihood, i, {**sizes, "reduction": "none"})
        for f, i in ((fast, inputs), (slow, exact))
    )
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=2e-5, atol=2e-5)


def test_transitions_of_minus_ten_thousand_are_exact(capability: str) -> None:
    """A habit of pytorch-crf's users: wider than any scaling, and a path along them counts all the same."""
    inputs, sizes = make("flat", [12, 5], 4, torch.float32)
    inputs[4][0, 1] = inputs[4][2] = -1e4
    exact = [t.double() if t.is_floating_point() else t for t in inputs]
    inputs[1][:2] = torch.tensor([0, 1])
    got, want = (_result_and_gradients(f.crf_log_likelihood, i, sizes) for f, i in ((fast, inputs), (slow, exact)))
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-4)


def _result_and_gradients(f: Any, inputs: list[Any], options: dict[str, Any]) -> list[Tensor]:
    leaves = [t.detach().requires_grad_() if t.is_floating_point() else t for t in inputs]
    y = f(*leaves, **options)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape) + 2
    if not y.requires_grad:  # of no step
        return [y, *(torch.zeros_like(t) for t in leaves if t.is_floating_point())]
    gradients = torch.autograd.grad(
        (y * weights).sum(), [t for t in leaves if t.is_floating_point()], materialize_grads=True, allow_unused=True
    )
    return [y.detach(), *gradients]


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=9),
    K=st.integers(1, 40),
    form=st.sampled_from(FORMS),
    forbidden=st.integers(0, 60),
)
def test_equals_the_reference_for_any_shape(lengths: list[int], K: int, form: str, forbidden: int) -> None:
    inputs, sizes = make(form, lengths, K)
    inputs[4].view(-1)[torch.randperm(K * K)[: K * K * forbidden // 100]] = NONE
    rest = without_tags(inputs)
    got, want = (_result_and_gradients(f.crf_log_partition, rest, sizes) for f in (fast, slow))
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE[torch.float64])
    (tags, scores), (expected, best) = (f.crf_decode(*rest, n_best=2, **sizes) for f in (fast, slow))
    torch.testing.assert_close(scores, best, **TOLERANCE[torch.float64])
    assert torch.equal(tags, expected)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "token_mean"])
@pytest.mark.parametrize("form", FORMS)
def test_reductions(form: str, reduction: str) -> None:
    inputs, sizes = make(form, [3, 0, 5], 4)
    compare(fast.crf_log_likelihood, slow.crf_log_likelihood, inputs, torch.float64, form, reduction=reduction, **sizes)


def test_a_sequence_without_any_path_has_no_gradient(capability: str) -> None:
    for forbid in ("emissions", "transitions"):
        inputs, sizes = make("flat", [4, 3], 3)
        if forbid == "emissions":
            inputs[0][1] = NONE
        else:
            inputs[4][:] = NONE
        got = _result_and_gradients(fast.crf_log_likelihood, inputs, {**sizes, "reduction": "none"})
        assert got[0][0] == NONE
        assert not got[1][:4].any()
        assert not got[1].isnan().any()
        assert not fast.crf_marginals(*without_tags(inputs), **sizes)[:4].any()
        assert fast.crf_decode(*without_tags(inputs), **sizes)[1][0] == NONE


def test_nan_stays_in_its_sequence(capability: str) -> None:
    for forbidden in (False, True):
        inputs, sizes = make("flat", [4, 3, 5], 3)
        inputs[0][5, 1] = float("nan")
        if forbidden:
            inputs[4][0, 1] = NONE
        log_z = fast.crf_log_partition(*without_tags(inputs), **sizes)
        assert log_z.isnan().tolist() == [False, True, False]
        tags, _ = fast.crf_decode(*without_tags(inputs), **sizes)
        assert 0 <= int(tags.min()) <= int(tags.max()) < 3


# --- derivatives and transforms ---


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(capability: str, form: str) -> None:
    inputs, sizes = make(form, [0, 3, 5], 4)
    inputs[0] = inputs[0].nan_to_num()
    leaves = [t.detach().requires_grad_() for t in without_tags(inputs)]
    tags = inputs[1]
    possible = torch.rand(inputs[0].shape) < 0.8
    possible[..., 0] = True

    def likelihood(x: Tensor, *scores: Tensor) -> Tensor:
        return fast.crf_log_likelihood(x, tags, *scores, reduction="none", **sizes)

    assert torch.autograd.gradcheck(likelihood, leaves)
    assert torch.autograd.gradgradcheck(likelihood, leaves)
    assert torch.autograd.gradcheck(
        lambda x, *scores: fast.crf_log_likelihood(x, possible, *scores, reduction="none", **sizes), leaves
    )
    assert torch.autograd.gradcheck(lambda *a: fast.crf_marginals(*a, **sizes), leaves)


@pytest.mark.parametrize("form", FORMS)
def test_opcheck(form: str) -> None:
    # Without padding, where alphas are not written.
    inputs, sizes = make(form, [4, 1, 0, 6] if form == "flat" else [4, 4], 3, torch.float32)
    if form != "flat":
        time = int(form == "batch_major")
        inputs[:2] = (t.narrow(time, 0, 4) for t in inputs[:2])
    x, tags, *scores = (t.requires_grad_() if t.is_floating_point() else t for t in inputs)
    size = sizes.get("offsets", sizes.get("lengths"))
    for given_tags in (tags, None):
        arguments = (x, given_tags, *scores, size, form, True)
        torch.library.opcheck(torch.ops.textnn.crf_log_likelihood.default, arguments)
        plain = [t.detach() for t in (x, *scores)]
        y, alphas = torch.ops.textnn.crf_log_likelihood(plain[0], given_tags, *plain[1:], size, form, True)
        backward = (torch.randn_like(y), plain[0], given_tags, *plain[1:], size, form, alphas)
        basic = ("test_schema", "test_faketensor")
        torch.library.opcheck(torch.ops.textnn.crf_log_likelihood_backward.default, backward, test_utils=basic)
        torch.library.opcheck(torch.ops.textnn.crf_decode.default, (*plain, size, form, 2), test_utils=basic)
    torch.library.opcheck(torch.ops.textnn.crf_marginals.default, (x, *scores, size, form))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_compiles_to_one_graph(form: str, dynamic: bool) -> None:
    options: dict[str, Any] = {"fullgraph": True, "dynamic": dynamic, "backend": "aot_eager"}
    likelihood = torch.compile(fast.crf_log_likelihood, **options)
    decode, marginals = torch.compile(fast.crf_decode, **options), torch.compile(fast.crf_marginals, **options)
    for lengths in ([4, 2, 6], [3, 8, 2, 2]):
        inputs, sizes = make(form, lengths, 5)
        compare(likelihood, slow.crf_log_likelihood, inputs, torch.float64, f"{form} {lengths}", **sizes)
        rest = without_tags(inputs)
        assert torch.equal(decode(*rest, **sizes)[0], slow.crf_decode(*rest, **sizes)[0])
        torch.testing.assert_close(marginals(*rest, **sizes), slow.crf_marginals(*rest, **sizes))


def test_meta_tensors() -> None:
    inputs, sizes = make("flat", [4, 2], 3)
    x, tags, *scores = (t.to("meta") for t in inputs)
    assert fast.crf_log_likelihood(x, tags, *scores, reduction="none", **sizes).shape == (2,)
    assert fast.crf_marginals(x, *scores, **sizes).shape == (6, 3)
    assert fast.crf_decode(x, *scores, n_best=4, **sizes)[0].shape == (4, 6)


def test_half_precision_and_autocast_compute_in_float32() -> None:
    inputs, sizes = make("flat", [30, 20], 5, torch.bfloat16)
    wide = [t.float() if t.is_floating_point() else t for t in inputs]
    want = fast.crf_log_likelihood(*wide, **sizes)
    assert torch.equal(fast.crf_log_likelihood(*inputs, **sizes), want.bfloat16())
    device = inputs[0].device.type
    with torch.autocast(device, torch.bfloat16):
        got = fast.crf_log_likelihood(inputs[0], inputs[1], *wide[2:], **sizes)
        assert got.dtype == torch.float32
        assert torch.equal(got, want)
        assert fast.crf_marginals(inputs[0], *wide[2:], **sizes).dtype == torch.float32


@pytest.mark.parametrize("forbidden", [False, True])
def test_same_result_for_every_run_and_number_of_threads(capability: str, forbidden: bool) -> None:
    inputs, sizes = make("flat", [30, 2, 17, 9] * 25, 45, torch.float32)
    if forbidden:
        inputs[4][::2, ::3] = NONE
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4, 2):
            torch.set_num_threads(threads)
            results.append(_result_and_gradients(fast.crf_log_likelihood, inputs, sizes))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_sequence_does_not_depend_on_its_batch(capability: str) -> None:
    inputs, sizes = make("flat", [5, 9, 2], 6, torch.float32)
    y = fast.crf_log_likelihood(*inputs, reduction="none", **sizes)
    one = fast.crf_log_likelihood(inputs[0][5:14], inputs[1][5:14], *inputs[2:], offsets=[0])
    assert y[1] == one


def test_strided_input() -> None:
    inputs, sizes = make("batch_major", [3, 5], 6)
    x = torch.stack([inputs[0].nan_to_num()] * 2, dim=-1)[..., 0]
    transitions = inputs[4].t().contiguous().t()
    assert not x.is_contiguous()
    assert not transitions.is_contiguous()
    other = [x, inputs[1], *inputs[2:4], transitions]
    assert torch.equal(fast.crf_log_likelihood(*other, **sizes), fast.crf_log_likelihood(*inputs, **sizes))


def test_all_labels_of_a_long_sequence_as_partial_ones():
    """The difference of two log Z of thousands of steps keeps its digits."""
    x, tags = torch.randn(3000, 9), torch.randint(9, (3000,))
    scores = torch.randn(9), torch.randn(9), torch.randn(9, 9)
    want = fast.crf_log_likelihood(x, tags, *scores, offsets=[0])
    got = fast.crf_log_likelihood(x, torch.nn.functional.one_hot(tags, 9).bool(), *scores, offsets=[0])
    torch.testing.assert_close(got, want, rtol=1e-6, atol=0)
