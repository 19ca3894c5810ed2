"""Architectures: ragged ids in, logits out; the lecture's recipe to the letter; options and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from samples import SMALL
from torch import Tensor, nn

from textnn import reference
from textnn.models import (
    ARCHITECTURES,
    TextModel,
    build_model,
    drop_words,
    get_architecture,
    register,
    resolve_options,
)
from textnn.models.wide import PACE

NAMES = list(ARCHITECTURES)
TEXTS = [[5, 2, 7, 7, 3], [4], [0], list(range(2, 20)), [9, 1]]


def ragged(texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(text) for text in texts])
    return torch.tensor([token for text in texts for token in text]), lengths.cumsum(0) - lengths


def small_model(name: str, classes: int = 2, **options: object) -> TextModel:
    sizes = [20] * len(get_architecture(name).streams)
    options = {"ensemble": 1, **SMALL[name], **options}
    return build_model(name, sizes, classes, resolve_options(name, options))


def inputs_of(name: str, texts: list[list[int]]) -> tuple[Tensor, ...]:
    """Return texts for an architecture; where it reads characters, they are not of the words' number or order."""
    characters = [[*text[::-1], *text[:2]] for text in texts]
    return (*ragged(texts), *ragged(characters))[: 2 * len(get_architecture(name).streams)]


def test_the_registry_has_the_public_architectures() -> None:
    recurrent = {"lecture-lstm", "rnn", "gru", "bigru", "lstm", "bilstm"}
    assert set(NAMES) == recurrent | {"mlp", "textcnn", "wide-textcnn", "tfidf-textcnn"}


def test_the_page_on_the_classifier_lists_all_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "classifier.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:3] == "| `"
    ]
    _, *names = next(
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| option | `")
    )
    assert set(names) == set(NAMES)
    listed = {
        (row[0], name): cell for row in rows if len(row) > len(names) for name, cell in zip(names, row[1:], strict=True)
    }
    for name in NAMES:
        for option, value in ARCHITECTURES[name].defaults.items():
            if option in ("bucket", "sparse", "last") or option.startswith("encoder_"):
                continue
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            shown = "no limit" if value is None else f"{shown:g}" if isinstance(shown, float) else str(shown)
            assert listed.pop((option, name)) == shown, (option, name)
    assert set(listed.values()) <= {"–"}


@pytest.mark.parametrize("name", ["textcn", "", None, 3])
def test_unknown_architecture_is_an_error_with_the_known_names(name: object) -> None:
    with pytest.raises(ValueError, match=r"architecture: expected one of .*'bilstm'.*, got") as error:
        get_architecture(name)  # type: ignore[arg-type]
    assert ("did you mean 'textcnn'" in str(error.value)) == (name == "textcn")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="'textcnn' is registered already"):
        register(ARCHITECTURES["textcnn"])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_one_row_of_logits_a_text(name: str, classes: int) -> None:
    logits = small_model(name, classes)(*inputs_of(name, TEXTS))
    assert logits.shape == (len(TEXTS), classes), name
    assert logits.isfinite().all(), name


@pytest.mark.parametrize("name", NAMES)
def test_a_text_has_the_same_logits_alone_and_in_any_company(name: str) -> None:
    model = fill(small_model(name).eval())
    together = model(*inputs_of(name, TEXTS))
    for row, text in enumerate(TEXTS):
        alone = model(*inputs_of(name, [text]))
        # Another shape may take another order of additions in the matrix products.
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-6, msg=f"{name}, text {text}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("rnn", nn.RNN), ("gru", nn.GRU), ("bigru", nn.GRU), ("lstm", nn.LSTM), ("bilstm", nn.LSTM)],
)
def test_pooled_recurrent_networks_equal_torch_on_each_text(name: str, kind: type[nn.RNNBase]) -> None:
    model = small_model(name).eval()
    encoder = model.encoder
    plain = kind(8, 8, bidirectional=name.startswith("bi"), batch_first=True)
    plain.load_state_dict(getattr(encoder, kind.__name__.lower()).state_dict())
    logits = model(*ragged(TEXTS))
    for row, text in enumerate(TEXTS):
        steps = plain(encoder.weight[torch.tensor([text])])[0][0]
        expected = model.output(torch.cat([steps.amax(0), steps.mean(0)]))
        torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-6, msg=f"{name}, text {text}")


def test_the_mlp_equals_torch_on_each_text() -> None:
    model = small_model("mlp", num_layers=2).eval()
    first, second = model.hidden[0], model.hidden[3]
    logits = model(*ragged(TEXTS))
    for row, text in enumerate(TEXTS):
        mean = model.encoder.weight[torch.tensor(text)].mean(0)
        expected = model.output(second(first(mean).relu()).relu())
        torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-6, msg=f"text {text}")


def test_weights_of_saved_lstms_keep_their_names() -> None:
    lstm = [f"encoder.lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    assert list(small_model("lstm").state_dict()) == ["encoder.weight", *lstm, "output.weight", "output.bias"]
    reverse = [f"{name}_reverse" for name in lstm]
    weights = ["encoder.weight", *lstm, *reverse, "output.weight", "output.bias"]
    assert list(small_model("bilstm").state_dict()) == weights


def test_lecture_recipe_is_the_plain_pytorch_one() -> None:
    """Ids cut or padded with 0 to length 10, Embedding, 2-layer LSTM, last time step, two linear layers; no more."""
    options = resolve_options("lecture-lstm", {})
    model = build_model("lecture-lstm", [30], 2, options)
    embedding, lstm = nn.Embedding(30, 100), nn.LSTM(100, 256, 2, batch_first=True)
    first, second = nn.Linear(256, 100), nn.Linear(100, 2)
    embedding.weight.data.copy_(model.encoder.weight)
    lstm.load_state_dict(model.encoder.lstm.state_dict())
    first.load_state_dict(model.hidden.state_dict())
    second.load_state_dict(model.output.state_dict())
    padded = torch.tensor([(text + [0] * 10)[:10] for text in TEXTS])
    expected = second(first(lstm(embedding(padded))[0][:, -1]))
    logits = model(*ragged(TEXTS))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-6)

    # The row of [PAD] is trained like any other.
    weight = torch.randn_like(logits)
    (logits * weight).sum().backward()
    (expected * weight).sum().backward()
    assert embedding.weight.grad is not None
    torch.testing.assert_close(model.encoder.weight.grad.to_dense(), embedding.weight.grad, rtol=1e-3, atol=1e-6)
    assert embedding.weight.grad[0].abs().max() > 0

    recipe = {"batch_size": 128, "epochs": 5, "learning_rate": 0.01, "max_length": 10, "min_count": 1, "patience": 0}
    recipe |= {"bucket": False, "weight_decay": 0.0, "label_smoothing": 0.0, "max_vocabulary": None}
    assert {name: options[name] for name in recipe} == recipe


def test_a_batch_of_empty_texts() -> None:
    model = small_model("lecture-lstm").eval()
    assert model(torch.zeros(0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)).shape == (2, 2)


@pytest.mark.parametrize("name", [name for name in NAMES if len(ARCHITECTURES[name].streams) == 1])
def test_gradient_of_the_table_has_the_rows_of_the_batch(name: str) -> None:
    model = small_model(name, word_dropout=None)
    model.eval()
    model(*ragged(TEXTS[:2])).sum().backward()
    gradient = model.encoder.weight.grad
    assert gradient.is_sparse, name
    padding = {0} if name == "lecture-lstm" else set()  # short texts end in [PAD], which is a word there
    assert gradient._indices()[0].tolist() == sorted({2, 3, 4, 5, 7} | padding), name
    assert [table is model.encoder.weight for table in model.sparse_parameters()] == [True], name


def test_a_frozen_model_gives_the_same_logits_and_leaves_the_model_alone() -> None:
    model = small_model("textcnn")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    frozen = model.freeze()
    assert [type(part).__name__ for part in frozen.children()] == ["FrozenTextConv", "Dropout", "Linear"]
    assert not frozen.training
    torch.testing.assert_close(frozen(*ragged(TEXTS)), model.eval()(*ragged(TEXTS)), rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert frozen.output.weight.data_ptr() != model.output.weight.data_ptr()


def fill(model: TextModel) -> TextModel:
    """Give the weights that begin as zero others, so that what they do can be seen."""
    for name, value in model.named_parameters():
        if "ngrams" in name:
            value.data[1:].normal_(generator=torch.Generator().manual_seed(len(name)))
    return model


@torch.no_grad()
def test_the_wide_model_adds_convolutions_and_ngrams_of_words_and_characters() -> None:
    model = fill(small_model("wide-textcnn", 3)).eval()
    ids, offsets, characters, starts = inputs_of("wide-textcnn", TEXTS)
    features = torch.cat([model.words(ids, offsets=offsets), model.characters(characters, offsets=starts)], dim=1)
    expected = model.output(features)
    for bag, flat, begin in ((model.word_ngrams, ids, offsets), (model.character_ngrams, characters, starts)):
        rows = reference.hash_ngrams(flat, bag.sizes, 1024, offsets=begin)
        for text, part in enumerate(rows.tensor_split(begin[1:].tolist())):
            found = part[part > 0]
            if len(found):
                expected[text] += PACE * bag.weight[found].sum(dim=0) / len(found) ** 0.5
    torch.testing.assert_close(model(ids, offsets, characters, starts), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("left_out", ["word_ngrams", "character_ngrams", "both"])
def test_the_wide_part_may_be_left_out(left_out: str) -> None:
    none = {name: () for name in ("word_ngrams", "character_ngrams") if left_out in (name, "both")}
    model = small_model("wide-textcnn", ensemble=2, **none)
    inputs = inputs_of("wide-textcnn", TEXTS)
    assert model(*inputs).shape == (2, len(TEXTS), 2)
    torch.testing.assert_close(model.freeze()(*inputs), model.eval()(*inputs), rtol=1e-4, atol=1e-5)


def test_all_tables_of_the_wide_model_have_sparse_gradients() -> None:
    model = small_model("wide-textcnn", ensemble=2)
    model(*inputs_of("wide-textcnn", TEXTS)).sum().backward()
    tables = model.sparse_parameters()
    assert len(tables) == 2 * 4
    for table in tables:
        assert table.grad is not None
        assert table.grad.is_sparse


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tfidf-textcnn"])
def test_an_ensemble_has_the_logits_of_each_member_in_training_and_their_mean_after_it(name: str) -> None:
    ensemble = small_model(
        name, ensemble=3, **({} if name == "lecture-lstm" else {"word_dropout": 0.0, "dropout": 0.0})
    )
    assert (ensemble.name, ensemble.exact) == (name, ARCHITECTURES[name].exact)
    inputs = inputs_of(name, TEXTS)
    members = torch.stack([member(*inputs) for member in ensemble.members])
    assert not torch.equal(members[0], members[1])
    torch.testing.assert_close(ensemble(*inputs), members)
    torch.testing.assert_close(ensemble.eval()(*inputs), members.mean(dim=0))


@pytest.mark.parametrize("given", [{}, {"dtype": "int16"}, {"memory_limit": 2000}], ids=str)
def test_a_frozen_ensemble_of_wide_models_is_one_network(given: dict[str, Any]) -> None:
    ensemble = small_model("wide-textcnn", 3, ensemble=3)
    for member in ensemble.members:
        fill(member)
    ensemble.eval()
    before = {name: value.clone() for name, value in ensemble.state_dict().items()}
    frozen = ensemble.freeze(**given)
    assert isinstance(frozen, ARCHITECTURES["wide-textcnn"])
    assert not frozen.training
    inputs = inputs_of("wide-textcnn", TEXTS)
    torch.testing.assert_close(frozen(*inputs), ensemble(*inputs), rtol=1e-4, atol=1e-3 if "dtype" in given else 1e-5)
    assert all(torch.equal(value, before[name]) for name, value in ensemble.state_dict().items())


def test_a_network_gets_a_vocabulary_for_each_form_it_reads() -> None:
    with pytest.raises(ValueError, match="'wide-textcnn' reads words and characters, got 1 sizes"):
        build_model("wide-textcnn", [20], 2, resolve_options("wide-textcnn", {}))


def test_word_dropout_replaces_words_by_unknown_in_training_only() -> None:
    ids = torch.arange(2, 10_002)
    assert drop_words(ids, 0.3, training=False) is ids
    assert drop_words(ids, 0.0, training=True) is ids
    dropped = drop_words(ids, 0.3, training=True)
    changed = dropped != ids
    assert (dropped[changed] == 1).all()
    # Five standard deviations of a binomial share of 10,000 draws.
    assert abs(changed.double().mean().item() - 0.3) < 0.023


@pytest.mark.parametrize("name", NAMES)
def test_options_are_the_defaults_but_for_those_given(name: str) -> None:
    defaults = dict(ARCHITECTURES[name].defaults)
    assert resolve_options(name, {"epochs": None}) == defaults
    assert resolve_options(name, {"epochs": 77, "dropout": None}) == {**defaults, "epochs": 77}


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("lstm", "channels", 3, "channels: the architecture 'lstm' has no such option; it has .*hidden_size"),
        ("textcnn", "hidden_size", 3, "hidden_size: the architecture 'textcnn' has no such option"),
        ("lecture-lstm", "dropout", 0.5, "dropout: the architecture 'lecture-lstm' has no such option"),
        ("lstm", "hidden_size", 0, "hidden_size: expected an integer from 1 to 65536, got 0"),
        ("lstm", "hidden_size", 10**9, "hidden_size: expected an integer from 1 to 65536, got 1000000000"),
        ("lstm", "hidden_size", 2.5, r"hidden_size: expected an integer, got float 2\.5"),
        ("lstm", "epochs", True, "epochs: expected an integer, got bool True"),
        ("lstm", "max_length", 0, "max_length: expected an integer from 1"),
        ("lstm", "dropout", 1.0, "dropout: expected a number from 0 and below 1, got 1"),
        ("lstm", "dropout", "0.5", "dropout: expected a number, got str '0.5'"),
        ("lstm", "learning_rate", 0, "learning_rate: expected a number above 0, got 0"),
        ("lstm", "learning_rate", float("nan"), "learning_rate: expected a number above 0, got nan"),
        ("lstm", "learning_rate", float("inf"), "learning_rate: expected a number above 0, got inf"),
        ("lstm", "validation_fraction", -0.1, r"validation_fraction: expected a number from 0 and below 1, got -0\.1"),
        ("textcnn", "kernel_sizes", (), "kernel_sizes: expected 1 to 32 integers"),
        ("textcnn", "kernel_sizes", "123", "kernel_sizes: expected 1 to 32 integers"),
        ("textcnn", "kernel_sizes", (1, 0), "kernel_sizes: expected an integer from 1 to 64, got 0"),
        ("textcnn", "sparse", 1, "sparse: expected True or False, got int 1"),
    ],
)
def test_a_bad_option_is_an_error_that_names_it(name: str, option: str, value: object, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        resolve_options(name, {option: value})


def test_a_single_kernel_size_may_be_a_number() -> None:
    assert resolve_options("textcnn", {"kernel_sizes": 3})["kernel_sizes"] == (3,)
    assert resolve_options("textcnn", {"kernel_sizes": [2, 4]})["kernel_sizes"] == (2, 4)
