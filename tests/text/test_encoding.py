"""From texts to ids in bulk: the same ids as one text at a time, for whatever a text may hold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import (
    CharacterTable,
    Encoder,
    RaggedDataset,
    Vocabulary,
    encode_tokens,
    make_tokenizer,
    split_characters,
)

# Lone surrogates, white space of all kinds and characters beyond 16 bits included.
TEXTS = st.lists(
    st.text(st.characters(), max_size=12) | st.text("ab 好\u3000\n\ud800😀\u00a0\x1c", max_size=12), max_size=8
)
CHARACTERS = Vocabulary(["[PAD]", "[UNK]", "a", "好", "😀", "\ud800", "longer"])


def same(one: RaggedDataset, other: RaggedDataset) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.batch(range(len(one))).inputs, other.batch(range(len(other))).inputs, strict=True)
    )


@given(TEXTS, st.none() | st.integers(1, 5))
def test_characters_of_many_texts_are_those_of_each(texts: list[str], limit: int | None) -> None:
    one_by_one = encode_tokens(map(split_characters, texts), CHARACTERS, limit)
    assert same(CharacterTable(CHARACTERS).encode(texts, limit), one_by_one)


def test_every_white_space_there_is_stands_in_the_table() -> None:
    every = "".join(chr(code) for code in range(0x110000))
    ids = CharacterTable(CHARACTERS).encode([every]).batch([0]).ids
    assert len(ids) == len(split_characters(every))


def test_a_text_of_white_space_has_one_padding() -> None:
    batch = CharacterTable(CHARACTERS).encode(["", "a", " \n"]).batch([0, 1, 2])
    assert batch.ids.tolist() == [0, 2, 0]
    assert batch.offsets.tolist() == [0, 1, 2]


def test_labels_and_weights_go_along() -> None:
    data = CharacterTable(CHARACTERS).encode(["a", "b"], labels=[1, 0], weights=[0.5, 2.0])
    batch = data.batch([1, 0])
    assert batch.labels is not None
    assert batch.weights is not None
    assert (batch.labels.tolist(), batch.weights.tolist()) == ([0, 1], [2.0, 0.5])


@given(TEXTS, st.none() | st.integers(1, 5), st.none() | st.integers(1, 5))
def test_an_encoder_gives_words_and_characters(texts: list[str], words: int | None, characters: int | None) -> None:
    tokenizer, vocabulary = make_tokenizer("whitespace"), Vocabulary(["[PAD]", "[UNK]", "a", "ab", "好"])
    both = Encoder(tokenizer, vocabulary, CharacterTable(CHARACTERS), words, characters)(texts)
    assert same(
        Encoder(tokenizer, vocabulary, None, words)(texts), encode_tokens(map(tokenizer, texts), vocabulary, words)
    )
    [other] = both.others
    assert same(other, encode_tokens(map(split_characters, texts), CHARACTERS, characters))


def test_texts_without_any_character_can_be_encoded() -> None:
    data = Encoder(make_tokenizer("char"), CHARACTERS, CharacterTable(CHARACTERS))(["", ""])
    assert data.lengths.tolist() == [1, 1]
    assert len(Encoder(make_tokenizer("char"), CHARACTERS, CharacterTable(CHARACTERS))([])) == 0


@pytest.mark.parametrize("lengths", [[1], [1, 2], [0, 2]])
def test_flat_ids_and_lengths_have_to_fit(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="lengths: expected numbers from 1 with the sum 2"):
        RaggedDataset.of_flat(torch.tensor([1, 2], dtype=torch.int32), torch.tensor(lengths))
