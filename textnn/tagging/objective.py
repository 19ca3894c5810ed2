"""What the training of a tagger minimises: minus the log-likelihood of the tags under the CRF, a token an example."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from textnn.functional import crf_decode
from textnn.layers import CRF
from textnn.tagging.tags import TagSet
from textnn.text import RaggedBatch
from textnn.training.objective import Objective, Sums

TAGS = "tags"
"""Name of the array of tags beside the ids of a data set, int64 [N]."""


class TaggingObjective(Objective):
    """Trains by the likelihood of tags; measures by the F1 of spans, or of tags that mark none by their accuracy.

    Parameters
    ----------
    crf
        The network's.
    tags
        What it tells apart.
    """

    def __init__(self, crf: CRF, tags: TagSet) -> None:
        self.crf, self.tags = crf, tags
        self.measured_by = "accuracy" if tags.inner is None else "F1"

    def size(self, lengths: Tensor) -> int:
        """Return the number of tokens."""
        return int(lengths.sum())

    def sums(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums over the tokens of a batch."""
        loss = -cast(Tensor, self.crf(outputs, batch.aligned[TAGS], offsets=batch.offsets))
        right = int((self._decode(outputs, batch) == batch.aligned[TAGS]).sum())
        return Sums(loss, right, len(outputs), len(outputs))

    def held_out(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the loss of a batch, and twice the spans that are found over those there are and those predicted."""
        true, found = batch.aligned[TAGS], self._decode(outputs, batch)
        loss = -cast(Tensor, self.crf(outputs, true, offsets=batch.offsets))
        if self.tags.inner is None:
            return Sums(loss, int((found == true).sum()), len(true), len(true))
        right, total = count_spans(self.tags, true.cpu().numpy(), found.cpu().numpy())
        return Sums(loss, right, len(true), total)

    @torch.no_grad()
    def _decode(self, outputs: Tensor, batch: RaggedBatch) -> Tensor:
        return crf_decode(outputs.detach(), *self.crf.scores(), offsets=batch.offsets)[0]


def count_spans(
    tags: TagSet, true: np.ndarray[tuple[int], np.dtype[np.int64]], found: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[int, int]:
    """Return numerator and denominator of F1: twice the spans in both, and the spans in each, of flat tags [N]."""
    spans = [tags.spans(each) for each in (true, found)]
    number = len(tags.types)
    longest = max(int((each.end - each.start).max(initial=0)) for each in spans) + 1
    keys, others = ((each.start * longest + each.end - each.start) * number + each.kind for each in spans)
    return 2 * len(np.intersect1d(keys, others, assume_unique=True)), len(keys) + len(others)
