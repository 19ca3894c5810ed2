"""What the tests of the tagger share: fitted taggers that no test changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tagged_samples import make_characters, make_sentences, make_tagger, make_words

from textnn import SequenceTagger


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread costs time, much of it where other programs run too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tagger() -> SequenceTagger:
    """A tagger of words that finds people and places."""
    return make_tagger("bilstm-crf", channels=4, epochs=6).fit(*make_sentences(150))


@pytest.fixture(scope="session")
def character_tagger() -> SequenceTagger:
    """A tagger of characters that finds people and places."""
    return make_tagger("cnn-crf", bigram_dim=3, epochs=6).fit(*make_characters(150))


@pytest.fixture(scope="session")
def segmenter() -> SequenceTagger:
    """A tagger that cuts text into words."""
    return make_tagger(epochs=6).fit_words(make_words(150))
