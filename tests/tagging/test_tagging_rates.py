"""The table of n-grams learns faster than the rest."""

from __future__ import annotations

import torch

from textnn.tagging.architectures import build_network, resolve_options
from textnn.tagging.encoding import CHAR
from textnn.tagging.network import TaggingNetwork
from textnn.tagging.objective import TAGS, TaggingObjective
from textnn.tagging.tags import TagSet
from textnn.text import RaggedDataset
from textnn.training.loop import TrainingOptions, train

RATE = 1e-3


def test_the_first_step_of_each_parameter_is_its_rate() -> None:
    torch.manual_seed(0)
    tags = TagSet.of([["B", "M", "E", "S"]], "BMES")
    options = resolve_options("bilstm-crf", {"hidden_size": 4, "ngram_buckets": 1000, "learning_rate": RATE}, CHAR)
    options |= {"epochs": 1, "clip_norm": 0.0, "warmup": 0.0, "patience": 0, "batch_size": 8}
    network = build_network("bilstm-crf", 9, 0, 0, False, tags, options)
    before = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
    numbers = torch.tensor([0, 2, 3, 0, 1, 2], dtype=torch.int64)
    data = RaggedDataset([[2, 3, 4], [5, 6, 7]], aligned={TAGS: numbers})
    objective = TaggingObjective(network.crf, tags)
    train(network, data, TrainingOptions.of(options), torch.Generator().manual_seed(0), objective)
    steps = {name: float((tensor.detach() - before[name]).abs().max()) for name, tensor in network.named_parameters()}
    assert TaggingNetwork.rates == {"ngrams.weight": 2.5}
    for name, step in steps.items():  # of Adam, that is the rate but for epsilon
        wanted = 2.5 * RATE if name == "ngrams.weight" else RATE
        assert abs(step - wanted) < 0.02 * wanted, name
