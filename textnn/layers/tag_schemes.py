"""Which tags may follow each other in the schemes that write spans as tags.

A tag is ``O``, or a prefix and a type: ``B-PER`` or ``B_PER``, or ``B`` alone where there is only one type. In IO a tag
is a type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class _Scheme(NamedTuple):
    prefixes: str
    begins: str  # may stand behind the end of a span, behind O, and at the beginning
    ends: str  # may stand before the beginning of a span, before O, and at the end
    inside: frozenset[str]  # pairs of prefixes that continue a span of the same type


SCHEMES = {
    "BIO": _Scheme("OBI", "OB", "OBI", frozenset({"BI", "II"})),
    "IOB1": _Scheme("OIB", "OI", "OIB", frozenset({"II", "BI", "IB", "BB"})),
    "BIOES": _Scheme("OBIES", "OBS", "OES", frozenset({"BI", "BE", "II", "IE"})),
    "BMES": _Scheme("OBMES", "OBS", "OES", frozenset({"BM", "BE", "MM", "ME"})),
    "BILOU": _Scheme("OBILU", "OBU", "OLU", frozenset({"BI", "BL", "II", "IL"})),
    "IO": _Scheme("OI", "OI", "OI", frozenset()),
}
"""IOB1 writes B only where a span touches one of its type before it; IO cannot tell such spans apart."""

OTHER_NAMES = {"IOB2": "BIO", "IOB": "IOB1", "IOBES": "BIOES", "BIOLU": "BILOU"}


class AllowedTransitions(NamedTuple):
    """What a scheme allows: bool tensors.

    Attributes
    ----------
    start, end : Tensor [K]
        The tags that may be the first, and the last.
    transitions : Tensor [K, K]
        Whether tag j may follow tag i.

    Examples
    --------
    >>> textnn.layers.allowed_transitions(["B", "M", "E", "S"], "BMES").end
    tensor([False, False,  True,  True])
    """

    start: Tensor
    end: Tensor
    transitions: Tensor


def split_tag(tag: str, scheme: str) -> tuple[str, str]:
    """Return prefix and type of a tag; ``scheme`` is one of ``SCHEMES``.

    Raises
    ------
    ValueError
        If the scheme is unknown, or the tag is none of it.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    if scheme == "IO":
        return ("O", "") if tag == "O" else ("I", tag)
    prefix, separator, kind = tag[:1], tag[1:2], tag[2:]
    known = prefix in set(SCHEMES[scheme].prefixes) and separator in ("", "-", "_")
    if not known or (prefix == "O" and separator) or (separator and not kind):
        shown = ", ".join(p if p == "O" else f"{p}-TYPE" for p in SCHEMES[scheme].prefixes)
        raise ValueError(f"tags of {scheme} must be {shown}, got {tag!r}")
    return prefix, kind


def may_follow(before: tuple[str, str], after: tuple[str, str], scheme: str) -> bool:
    """Say whether a tag may stand behind another one; both as :func:`split_tag` gives them. The edge is like O."""
    rules = SCHEMES[scheme]
    inside = before[0] + after[0] in rules.inside and before[1] == after[1]
    return inside or (before[0] in rules.ends and after[0] in rules.begins)


def allowed_transitions(tags: Sequence[str], scheme: str) -> AllowedTransitions:
    """Say which tags may follow each other.

    Parameters
    ----------
    tags : sequence of K str
        The names of the tags, in the order of their numbers.
    scheme : {"BIO", "IOB1", "BIOES", "BMES", "BILOU", "IO"}
        Or another of their names: IOB2, IOB, IOBES, BIOLU.

    Returns
    -------
    AllowedTransitions
        ``start`` [K], ``end`` [K] and ``transitions`` [K, K], bool.

    Raises
    ------
    ValueError
        If the scheme is unknown, or a tag is none of it or appears twice.

    Examples
    --------
    >>> textnn.layers.allowed_transitions(["O", "B-PER", "I-PER"], "BIO").transitions
    tensor([[ True,  True, False],
            [ True,  True,  True],
            [ True,  True,  True]])
    """
    scheme = OTHER_NAMES.get(scheme, scheme)
    parts = [split_tag(tag, scheme) for tag in tags]
    if len(set(tags)) < len(parts):
        twice = next(tag for tag in tags if list(tags).count(tag) > 1)
        raise ValueError(f"tags must differ from each other, got {twice!r} twice")
    rules = SCHEMES[scheme]

    follows = [[may_follow(before, after, scheme) for after in parts] for before in parts]
    return AllowedTransitions(
        torch.tensor([prefix in rules.begins for prefix, _ in parts], dtype=torch.bool, device="cpu"),
        torch.tensor([prefix in rules.ends for prefix, _ in parts], dtype=torch.bool, device="cpu"),
        torch.tensor(follows, dtype=torch.bool, device="cpu").reshape(len(parts), len(parts)),
    )
