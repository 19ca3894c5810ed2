"""The HTTP interface of taggers: entities, words and tags, and how mistakes are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from answers import error_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_taggers import TEXT, cut_words, find_names, tag_words
from starlette.testclient import TestClient
from waiting import HANG, wait_until

from textnn import SentimentClassifier, SequenceTagger
from textnn.serving import create_app
from textnn.serving.tasks.tagging.bodies import LONGEST_WORD
from textnn.serving.tasks.tagging.examples import NAMES, SENTENCES, find_examples

Serve = Callable[..., TestClient]
JSON = {"Content-Type": "application/json"}
TEXTS = [TEXT, "", " \n", "😀杜甫在北京\u0000。", "</p><script>", "杜甫在长安。\n" * 300]


@pytest.fixture(scope="module")
def tagger(_one_thread: None) -> SequenceTagger:
    return find_names()


@pytest.fixture(scope="module")
def segmenter(_one_thread: None) -> SequenceTagger:
    return cut_words()


@pytest.fixture(scope="module")
def speech(_one_thread: None) -> SequenceTagger:
    return tag_words()


def test_entities_have_type_place_and_confidence(serve: Serve, tagger: SequenceTagger) -> None:
    found = serve(tagger).post("/entities", json={"text": TEXT}).json()
    assert [(one["start"], one["end"], one["type"], one["text"]) for one in found["entities"]] == [
        (0, 2, "PER", "李白"),
        (4, 6, "LOC", "苏州"),
    ]
    assert [one["confidence"] for one in found["entities"]] == pytest.approx(
        [entity.confidence for entity in tagger.entities(TEXT)]
    )


def test_several_texts_get_theirs_in_order_whatever_is_in_them(serve: Serve, tagger: SequenceTagger) -> None:
    found = serve(tagger).post("/entities", json={"texts": TEXTS}).json()["predictions"]
    assert len(found) == len(TEXTS)
    for text, one in zip(TEXTS, found, strict=True):
        assert [entity[:4] for entity in tagger.entities(text)] == [
            (each["start"], each["end"], each["type"], each["text"]) for each in one["entities"]
        ]
        assert all(text[each["start"] : each["end"]] == each["text"] for each in one["entities"])
    assert len(found[-1]["entities"]) == 600


def test_words_have_parts_of_speech_where_the_model_learnt_them(serve: Serve, segmenter: SequenceTagger) -> None:
    client = serve(segmenter)
    expected = {"words": ["李白", "来到", "苏州", "。"], "pos": ["nr", "v", "ns", "w"]}
    assert client.post("/cut", json={"text": TEXT}).json() == expected
    several = client.post("/cut", json={"texts": [TEXT, "", "杜甫 在\n北京"]}).json()["predictions"]
    assert several[0] == expected
    assert several[1] == {"words": [], "pos": []}
    assert several[2]["words"] == ["杜甫", "在", "北京"]
    plain = serve(cut_words(kinds=False)).post("/cut", json={"text": TEXT}).json()
    assert plain == {"words": expected["words"], "pos": None}


def test_words_of_the_dictionary_are_cut_out(serve: Serve, segmenter: SequenceTagger) -> None:
    client = serve(segmenter)
    asked = {"text": TEXT, "dictionary": ["白来", "苏州。"]}
    assert client.post("/cut", json=asked).json()["words"] == segmenter.cut(TEXT, ["白来", "苏州。"])
    assert {"白来", "苏州。"} <= set(client.post("/cut", json=asked).json()["words"])
    for none in ([], None):
        assert client.post("/cut", json={**asked, "dictionary": none}).json()["words"] == segmenter.cut(TEXT)


def test_tokens_get_tags_in_the_scheme_of_the_training(serve: Serve, tagger: SequenceTagger) -> None:
    client = serve(tagger)
    expected = ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "O"]
    assert client.post("/tags", json={"tokens": list(TEXT)}).json() == {"tags": expected}
    several = client.post("/tags", json={"sentences": [list(TEXT), [], ["李白", "x"]]}).json()["predictions"]
    assert [one["tags"] for one in several] == tagger.predict([list(TEXT), [], ["李白", "x"]])


def test_marginals_are_those_of_the_tagger(serve: Serve, speech: SequenceTagger) -> None:
    client = serve(speech)
    asked = {"sentences": [["李白", "在", "北京"], []], "marginals": True}
    found = client.post("/tags", json=asked).json()["predictions"]
    assert found[0]["tags"] == ["nr", "v", "ns"]
    assert client.get("/model").json()["tags"] == speech.tags_
    for one, rows in zip(found, speech.predict_marginals(asked["sentences"]), strict=True):
        assert one["marginals"] == [pytest.approx(row, abs=1e-6) for row in rows.tolist()]


def test_tags_and_marginals_take_one_run_of_the_network(serve: Serve, speech: SequenceTagger) -> None:
    client, runs = serve(speech), list[None]()
    handle = speech.state_.model.register_forward_hook(lambda *_: runs.append(None))
    try:
        client.post("/tags", json={"tokens": ["李白", "在"], "marginals": True})
    finally:
        handle.remove()
    assert len(runs) == 1


class Held:
    """A tagger that waits before it works, but for that with which a server warms up."""

    def __init__(self, inner: SequenceTagger) -> None:
        self._inner, self.go = inner, threading.Event()
        self.calls: list[list[Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _note(self, items: list[Any]) -> list[Any]:
        self.calls.append(items)
        assert self.go.wait(HANG)
        return items

    def stream_entities(self, texts: list[str]) -> Any:
        return self._inner.stream_entities(self._note(texts))

    def stream_cut(self, texts: list[str], words: Any = None) -> Any:
        return self._inner.stream_cut(self._note(texts), words)


def queued(client: TestClient, queue: str) -> int:
    return int(float(client.get("/metrics").text.split(f'textnn_queue_length{{queue="{queue}"}} ')[1].split()[0]))


def test_requests_of_the_same_moment_are_one_batch_whose_answers_do_not_depend_on_it(
    serve: Serve, tagger: SequenceTagger
) -> None:
    alone = {text: serve(tagger).post("/entities", json={"text": text}).json() for text in TEXTS}
    held = Held(tagger)
    client = serve(held)
    with ThreadPoolExecutor(len(TEXTS) + 1) as pool:
        first = pool.submit(client.post, "/entities", json={"text": "王维"})
        wait_until(lambda: held.calls)
        others = {text: pool.submit(client.post, "/entities", json={"text": text}) for text in TEXTS}
        wait_until(lambda: queued(client, "entities") == len(TEXTS))
        held.go.set()
        assert first.result().status_code == 200
        for text, other in others.items():
            found, expected = other.result().json()["entities"], alone[text]["entities"]
            assert [{**one, "confidence": 0} for one in found] == [{**one, "confidence": 0} for one in expected]
            assert [one["confidence"] for one in found] == pytest.approx([one["confidence"] for one in expected])
    assert [len(call) for call in held.calls] == [1, len(TEXTS)]


def test_each_request_of_a_batch_has_its_own_dictionary(serve: Serve, segmenter: SequenceTagger) -> None:
    held = Held(segmenter)
    client = serve(held)
    dictionaries = [["白来"], None, ["到苏"], ["白来"]]
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.post, "/cut", json={"text": "王维"})
        wait_until(lambda: held.calls)
        others = [pool.submit(client.post, "/cut", json={"text": TEXT, "dictionary": each}) for each in dictionaries]
        wait_until(lambda: queued(client, "cut") == len(dictionaries))
        held.go.set()
        assert first.result().status_code == 200
        for words, other in zip(dictionaries, others, strict=True):
            assert other.result().json()["words"] == segmenter.cut(TEXT, words)
    assert sorted(map(len, held.calls)) == [1, 1, 1, 2], "those with the same dictionary are cut together"


@pytest.mark.parametrize("make", [find_names, cut_words, tag_words], ids=lambda make: make.__name__)
def test_a_path_of_another_task_says_what_the_model_can_do(serve: Serve, make: Callable[[], SequenceTagger]) -> None:
    client = serve(make())
    own = client.get("/model").json()["paths"]
    for path in ("/predict", "/explain", "/entities", "/cut", "/tags"):
        response = client.post(path, json={"text": TEXT})
        if path in own:
            assert response.status_code == (422 if path == "/tags" else 200), response.text
            continue
        error = error_of(response, 404)
        assert error["code"] == "not_for_this_model"
        assert error["message"].startswith(f"{path} is not for this model, which ")
        assert error["message"].endswith(f"it has {' and '.join(own)}.")
    assert error_of(client.post("/nothing"), 404)["code"] == "not_found"


def test_a_classifier_finds_no_entities(client: TestClient) -> None:
    error = error_of(client.post("/entities", json={"text": TEXT}), 404)
    message = "/entities is not for this model, which classifies texts; it has /predict and /explain."
    assert (error["code"], error["message"]) == ("not_for_this_model", message)
    facts = client.get("/model").json()
    assert (facts["task"], facts["paths"]) == ("classification", ["/predict", "/explain"])


@pytest.mark.parametrize(
    ("path", "body", "code", "part"),
    [
        ("/entities", {}, "invalid_request", "expected either 'text', a string, or 'texts', a list of strings"),
        ("/entities", {"text": 5}, "invalid_request", "text: "),
        ("/entities", {"text": "a", "dictionary": []}, "invalid_request", "dictionary: "),
        ("/entities", {"texts": []}, "no_texts", "texts: expected at least one text"),
        ("/entities", {"texts": ["a", "b" * 10_001]}, "text_too_long", "texts[1]: expected at most 10,000 characters"),
        ("/entities", {"texts": ["a"] * 257}, "too_many_texts", "at most 256, got 257"),
        ("/tags", {"text": "a"}, "invalid_request", "text: "),
        ("/tags", {}, "invalid_request", "'tokens', a list of strings, or 'sentences', a list of such lists"),
        ("/tags", {"tokens": "ab"}, "invalid_request", "tokens: "),
        ("/tags", {"tokens": ["a", ""]}, "invalid_request", "tokens[1]: "),
        ("/tags", {"sentences": [["a"], ["b", 1]]}, "invalid_request", "sentences[1][1]: "),
        ("/tags", {"sentences": []}, "no_texts", "sentences: expected at least one sentence"),
        ("/tags", {"tokens": ["a" * 5001, "b" * 5000]}, "text_too_long", "tokens: expected at most 10,000"),
        ("/tags", {"sentences": [["a"], ["b" * 10_001]]}, "text_too_long", "sentences[1]: "),
        ("/tags", {"tokens": ["a"], "marginals": 1}, "invalid_request", "marginals: "),
        ("/tags", {"sentences": [["a"] * 9000] * 9, "marginals": True}, "too_many_marginals", "at most 262,144"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_told_in_one_form(
    serve: Serve, tagger: SequenceTagger, path: str, body: dict[str, Any], code: str, part: str
) -> None:
    error = error_of(serve(tagger).post(path, json=body), 422)
    assert error["code"] == code
    assert part in error["message"]


@pytest.mark.parametrize(
    ("dictionary", "code", "part"),
    [
        ("苏州", "invalid_request", "dictionary: "),
        ([1], "invalid_request", "dictionary[0]: "),
        (["a", ""], "invalid_request", "dictionary[1]: expected a word without white space."),
        (["a b"], "invalid_request", "dictionary[0]: expected a word without white space."),
        (["a\x1cb"], "invalid_request", "dictionary[0]: expected a word without white space."),
        (["a" * (LONGEST_WORD + 1)], "invalid_request", "dictionary[0]: "),
        (["a"] * 10_001, "dictionary_too_large", "at most 10,000 words, got 10,001"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_dictionary_that_is_none_says_why(
    serve: Serve, segmenter: SequenceTagger, dictionary: Any, code: str, part: str
) -> None:
    error = error_of(serve(segmenter).post("/cut", json={"text": TEXT, "dictionary": dictionary}), 422)
    assert error["code"] == code
    assert part in error["message"]


NAMES_OF_FIELDS = st.sampled_from(["text", "texts", "tokens", "sentences", "marginals", "dictionary"])
BODIES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES_OF_FIELDS, inner, max_size=4),
    max_leaves=20,
)
TEXT_LISTS = st.lists(st.text(max_size=20), max_size=4)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(max_size=20),
        "texts": TEXT_LISTS,
        "tokens": TEXT_LISTS,
        "sentences": st.lists(TEXT_LISTS, max_size=4),
        "marginals": st.booleans(),
        "dictionary": TEXT_LISTS,
    },
)


@pytest.fixture(scope="module")
def clients(tagger: SequenceTagger, segmenter: SequenceTagger, speech: SequenceTagger) -> Any:
    from contextlib import ExitStack

    from textnn.serving import Settings

    with ExitStack() as stack:
        apps = [create_app(one, Settings(rate_limit="0")) for one in (tagger, segmenter, speech)]
        yield [stack.enter_context(TestClient(app)) for app in apps]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | st.dictionaries(NAMES_OF_FIELDS, BODIES) | FIELDS)
def test_no_body_makes_the_server_fail(clients: list[TestClient], body: Any) -> None:
    for client in clients:
        for path in ("/entities", "/cut", "/tags"):
            response = client.post(path, content=json.dumps(body).encode(), headers=JSON)
            assert response.status_code in (200, 400, 404, 422), (body, response.text)
            if response.status_code != 200:
                error_of(response, response.status_code)


@pytest.mark.parametrize("make", [find_names, cut_words, tag_words], ids=lambda make: make.__name__)
def test_the_description_has_examples_that_the_model_answers(serve: Serve, make: Callable[[], SequenceTagger]) -> None:
    client = serve(make())
    described, facts = client.get("/openapi.json").json(), client.get("/model").json()
    assert set(described["paths"]) == {*facts["paths"], "/model", "/healthz", "/metrics"}
    for path in facts["paths"]:
        post = described["paths"][path]["post"]
        assert {"200", "400", "408", "413", "415", "422", "429", "500", "503", "504"} <= set(post["responses"])
        asked = post["requestBody"]["content"]["application/json"]["examples"]
        answers = post["responses"]["200"]["content"]["application/json"]["examples"]
        assert len(asked) == len(answers) == 2
        for name, example in asked.items():
            response = client.post(path, json=example["value"])
            assert response.status_code == 200, response.text
            assert set(response.json()) == set(answers[name]["value"])


def test_the_model_is_described(serve: Serve, tagger: SequenceTagger, segmenter: SequenceTagger) -> None:
    facts = serve(tagger).get("/model").json()
    assert (facts["task"], facts["types"], facts["scheme"]) == ("entities", ["LOC", "PER"], "BIO")
    assert (facts["level"], facts["architecture"]) == ("char", "ngram-crf")
    assert facts["training_sentences"] == tagger.state_.n_sentences
    assert facts["limits"]["max_marginals"] == 1 << 18
    words = serve(segmenter).get("/model").json()
    assert (words["task"], words["types"], words["scheme"]) == ("segmentation", ["nr", "ns", "v", "w"], "BMES")
    assert words["paths"] == ["/cut", "/tags"]


def test_only_texts_that_the_model_knows_are_offered(tagger: SequenceTagger, speech: SequenceTagger) -> None:
    assert find_examples(tagger.state_, "entities") == []
    assert find_examples(tagger.state_, "segmentation") == []
    texts = [*NAMES["char"], *SENTENCES]
    wide = SequenceTagger("ngram-crf", min_count=1, epochs=1, random_state=0, verbose=0, validation_fraction=0.0)
    wide.fit([list(text) for text in texts], [["B-PER", *["O"] * (len(text) - 1)] for text in texts])
    assert find_examples(wide.state_, "entities") == list(NAMES["char"])
    assert find_examples(wide.state_, "segmentation") == list(SENTENCES)
    assert find_examples(speech.state_, "tagging") == []


def test_figures_count_texts_and_batches(serve: Serve, tagger: SequenceTagger) -> None:
    client = serve(tagger)
    client.post("/entities", json={"texts": [TEXT, TEXT]})
    client.post("/tags", json={"tokens": ["a"]})
    client.post("/predict", json={"text": TEXT})
    figures = client.get("/metrics").text
    assert 'textnn_requests_total{path="/entities",status="200"} 1.0' in figures
    assert 'textnn_requests_total{path="other",status="404"} 1.0' in figures
    assert "textnn_texts_total 3.0" in figures
    assert "textnn_batch_texts_sum 3.0" in figures


def test_work_is_limited_on_every_path(serve: Serve, tagger: SequenceTagger) -> None:
    client = serve(tagger, rate_limit="2/year")
    for path, body in (("/entities", {"text": TEXT}), ("/tags", {"tokens": ["a"]})):
        assert client.post(path, json=body).status_code == 200
    assert error_of(client.post("/entities", json={"text": TEXT}), 429)["code"] == "rate_limited"


def test_the_page_is_that_of_the_task(
    serve: Serve, tagger: SequenceTagger, segmenter: SequenceTagger, client: TestClient
) -> None:
    for one, task in ((serve(tagger), "entities"), (serve(segmenter), "segmentation"), (client, "classification")):
        assert f'data-task="{task}"' in one.get("/").text
        assert one.get("/model").json()["task"] == task


def test_only_a_fitted_estimator_is_served(classifier: SentimentClassifier) -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        create_app(SequenceTagger())
    with pytest.raises(TypeError, match=r"model: expected a SentimentClassifier, .*, got str"):
        create_app("model/")  # type: ignore[arg-type]
