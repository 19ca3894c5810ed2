"""What convolutions with an output for each position refuse, and what their backward operators do by hand."""

from __future__ import annotations

import pytest
import torch

import textnn.functional as fast
from textnn import EmbeddingTextConv, TextConv

OPERATORS = ["text_conv_positions", "embedding_text_conv_positions"]
X, W = torch.randn(2, 6, 4), [torch.randn(3, 4, 2), torch.randn(3, 4, 3)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fast.text_conv_positions(X, W), ValueError, r"different sizes .* got \(2, 3\): give padding='same'"),
        (
            lambda: fast.text_conv_positions(X, W, padding=-1),
            ValueError,
            "padding must be .* or a number from 0 to 2147483647, got -1",
        ),
        (lambda: fast.text_conv_positions(X, W, padding="full"), ValueError, "padding must be 'valid' or 'same'"),
        (lambda: fast.text_conv_positions(X, W[:1], stride=0), ValueError, "stride must be an integer from 1"),
        (lambda: fast.text_conv_positions(X[0], W[:1]), ValueError, r"x must have shape \[B, L, D\], got \[6, 4\]"),
        (lambda: fast.text_conv_positions(X.double(), W[:1]), TypeError, r"weight\[0\] must have the dtype of x"),
        (lambda: TextConv(4, 3, stride=2), ValueError, "stride and a number as padding need pooling=None"),
        (lambda: TextConv(4, 3, padding=1), ValueError, "stride and a number as padding need pooling=None"),
        (lambda: TextConv(4, 3, pooling="mean"), ValueError, "pooling must be 'max' or None, got 'mean'"),
        (lambda: TextConv(4, 3, pooling=None), ValueError, r"different sizes .* got \(3, 4, 5\)"),
        (
            lambda: EmbeddingTextConv(9, 4, 3, (2,), pooling=None).freeze(),
            NotImplementedError,
            "a convolution with pooling=None cannot be frozen",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"padding": -1}, r"padding must lie in \[0, 2147483648\), got -1"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"weight": W}, "kernels must be equally wide, got 2 and 3 taps"),
        ({"activation": 3}, "activation must be 0, 1 or 2, got 3"),
        ({"precision": "medium"}, "precision must be ieee or bf16, got medium"),
    ],
)
def test_the_operator_itself_refuses_what_it_cannot_do(changed, message):
    given = {"x": X, "weight": W[:1], "bias": [], "sizes": None, "flat": False, "same": False}
    given |= {"padding": 0, "stride": 1, "activation": 1, "precision": "ieee", **changed}
    with pytest.raises(RuntimeError, match=message):
        torch.ops.textnn.text_conv_positions(**given)


@pytest.mark.cpu
def test_a_call_without_enough_memory_says_so():
    weight = torch.ones(1, 1, 1).expand(8192, 8, 1)
    with pytest.raises(RuntimeError, match=r"textnn: torch could not make a tensor of shape \[2, 4294967297, 8192\]"):
        fast.text_conv_positions(torch.ones(2, 3, 8), [weight], padding=(1 << 31) - 1)


def by_hand(changed, operator="text_conv_positions"):
    """Call a backward operator with a batch of two sentences, [2, 6, 4], or flat."""
    given = {"dy": torch.ones(2, 5, 3), "x": X, "weight": W[:1], "sizes": None, "flat": False, "same": False}
    given |= {"padding": 0, "stride": 1, "activation": 0, "precision": "ieee", "y": torch.ones(2, 5, 3)}
    if "y" in changed:
        changed = {**changed, "dy": changed["y"]}
    if operator == "text_conv_positions":
        given |= {"need_dx": True} | changed
    else:
        given |= {"padding_idx": -1, "sparse": False, "need_dtable": True} | changed
        x = given.pop("x")
        ids = torch.zeros(x.shape[:-1], dtype=torch.int64)
        given = {"dy": given.pop("dy"), "ids": ids, "table": torch.ones(9, 4), **given}
    return getattr(torch.ops.textnn, operator + "_backward")(*given.values())


FLAT = {"x": X.view(-1, 4), "sizes": torch.tensor([0, 6]), "flat": True}


@pytest.mark.cpu
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": torch.ones(2, 4, 3)}, r"y must have a row for each window and 3 columns, \[2, 5, 3\], got \[2, 4, 3\]"),
        ({"y": torch.ones(1, 5, 3)}, "y must have a row for each window"),
        ({"y": torch.ones(2, 5, 6)}, "y must have a row for each window and 3 columns"),
        ({"y": torch.ones(10, 3)}, r"y must have 3 dimensions, got shape \[10, 3\]"),
        ({"y": torch.ones(10, 1, 3), **FLAT}, r"y must have 2 dimensions, got shape \[10, 1, 3\]"),
        ({"x": torch.ones(2, 6, 1, 4)}, r"(x|ids) must have . dimensions, got shape \[2, 6, 1"),
        ({"y": torch.ones(9, 3), **FLAT}, r"y must have a row for each window and 3 columns, \[10, 3\], got \[9, 3\]"),
        ({"y": torch.ones(11, 3), "same": True, **FLAT}, r"3 columns, \[12, 3\], got \[11, 3\]"),
        ({"y": torch.ones(2, 5, 3).double()}, "dy must have dtype torch.float32, got torch.float64"),
        ({"dy": torch.ones(2, 5)}, r"dy must have the shape of y, \[2, 5, 3\], got \[2, 5\]"),
        ({"weight": []}, "weight must hold at least one tensor"),
        ({"weight": [torch.ones(3, 8, 2)]}, r"weight must have shape \[3, 4, K > 0\], got \[3, 8, 2\]"),
        ({"weight": [W[0], torch.ones(4, 4, 2)]}, r"weight must have shape \[3, 4, K > 0\], got \[4, 4, 2\]"),
        ({"weight": [torch.ones(3, 4)]}, r"weight must have shape \[-1, 4, K > 0\], got \[3, 4\]"),
        ({"weight": W, "y": torch.ones(2, 5, 6)}, "kernels must be equally wide"),
        ({"padding": 1 << 31}, r"padding must lie in \[0, 2147483648\), got 2147483648"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"activation": 3}, r"activation must lie in \[0, 3\), got 3"),
        ({"sizes": torch.tensor([6, 7])}, "lengths must lie between 0 and 6, got 7"),
    ],
)
def test_a_backward_operator_refuses_by_hand_what_does_not_fit(operator, changed, message):
    by_hand({}, operator)
    with pytest.raises(RuntimeError, match=message):
        by_hand(changed, operator)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("C", [0, 3])
@pytest.mark.parametrize("kernels", [1, 2])
def test_results_of_a_backward_operator_have_memory_of_their_own(operator, C, kernels):
    """Of one sentence too, as compiled programs take it for granted."""
    changed = {"x": X[:1], "y": torch.ones(1, 6, C * kernels), "same": True, "weight": [torch.ones(C, 4, 3)] * kernels}
    for t in by_hand(changed, operator):
        assert t.storage_offset() == 0
        assert t.untyped_storage().nbytes() == t.numel() * t.element_size()
