"""Small texts and language models for the tests."""

from __future__ import annotations

from typing import Any

import torch

from textnn import LanguageModel
from textnn.language.defaults import build_network, resolve_options
from textnn.language.encoding import Splitter
from textnn.language.network import LanguageNetwork
from textnn.language.state import State
from textnn.text import Vocabulary

VERSES = [a + b + "。" for a in ("春风", "秋月", "山雨") for b in ("来去", "何时", "无人")] * 6
SENTENCES = [f"the {a} {b}, and it {c}." for a in ("cat", "dog") for b in ("ran", "sat") for c in ("ate", "slept")] * 5
SMALL: dict[str, Any] = {"embedding_dim": 6, "hidden_size": 8, "verbose": 0, "random_state": 0, "window": 8}


def make_model(level: Any = "char", **options: Any) -> LanguageModel:
    """Return a language model that is trained in a second."""
    return LanguageModel(level, **{**SMALL, "epochs": 2, "batch_size": 4, **options})


def make_network(size: int = 7, cell: str = "lstm", **options: Any) -> LanguageNetwork:
    """Return a network with fresh weights, in double precision and in evaluation mode."""
    given = {"embedding_dim": 5, "hidden_size": 6, "num_layers": 2, **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(cell, size, resolve_options(cell, given)).double().eval()
        torch.nn.init.normal_(network.embedding.weight)
        torch.nn.init.normal_(network.bias)
    return network


def make_state(tokens: str = "abc", **options: Any) -> State:
    """Return a fitted model of some characters, with fresh weights in double precision."""
    vocabulary = Vocabulary([Vocabulary.PAD, Vocabulary.UNK, *tokens])
    network = make_network(len(vocabulary), **options)
    return State(Splitter("char"), vocabulary, network, {}, 0, 0, 0, [], 0)
