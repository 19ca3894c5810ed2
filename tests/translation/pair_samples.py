"""Small pairs of texts, networks and translators for the tests."""

from __future__ import annotations

from typing import Any

import torch

from textnn import Translator
from textnn.text import Vocabulary
from textnn.text.levels import Splitter
from textnn.translation.defaults import build_network, resolve_options
from textnn.translation.network import TranslationNetwork
from textnn.translation.state import State

WHO = {"I": "我", "You": "你", "We": "我们", "Tom": "汤姆"}
WHAT = {"eat": "吃", "sleep": "睡觉", "read a book": "看书", "run away": "跑了"}
PAIRS = [(f"{who} {what}.", f"{WHO[who]}{WHAT[what]}。") for who in WHO for what in WHAT]
ENGLISH, CHINESE = (list(side) * 5 for side in zip(*PAIRS, strict=True))
SMALL: dict[str, Any] = {"embedding_dim": 6, "hidden_size": 8, "verbose": 0, "random_state": 0}


def make_translator(**options: Any) -> Translator:
    """Return a translator that is trained in a second; on these few pairs nothing is to be held out."""
    given = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "validation_fraction": 0.0, "dropout": 0.1}
    return Translator(**{**SMALL, **given, **options})


def make_network(
    source: int = 7,
    target: int = 6,
    cell: str = "lstm",
    attention: str | None = "general",
    scale: float = 0.6,
    **options: Any,
) -> TranslationNetwork:
    """Return a network with fresh weights that tell, in double precision and in evaluation mode."""
    given = {"embedding_dim": 5, "hidden_size": 6, "num_layers": 2, **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(cell, attention, source, target, resolve_options(cell, attention, given))
        network = network.double().eval()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=scale)
    return network


def make_state(source: str = "abc", target: str = "xyz", **options: Any) -> State:
    """Return a fitted translator of some characters, with fresh weights in double precision."""
    vocabularies = [Vocabulary([Vocabulary.PAD, Vocabulary.UNK, *tokens]) for tokens in (source, target)]
    network = make_network(*map(len, vocabularies), **options)
    settings = resolve_options("lstm", "general", {})
    return State(
        Splitter("char"), vocabularies[0], Splitter("char"), vocabularies[1], network, settings, 0, 0, 0, [], 0
    )
