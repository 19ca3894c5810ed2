"""What the tests of the translator share: fitted translators that no test changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pair_samples import CHINESE, ENGLISH, make_translator

from textnn import Translator


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread costs time, much of it where other programs run too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def translator() -> Translator:
    """A translator that knows all pairs by heart."""
    return make_translator(epochs=60, hidden_size=32, embedding_dim=16).fit(ENGLISH, CHINESE)


@pytest.fixture(scope="session")
def blind() -> Translator:
    """The same without attention."""
    return make_translator(epochs=120, hidden_size=32, embedding_dim=16, attention=None).fit(ENGLISH, CHINESE)
