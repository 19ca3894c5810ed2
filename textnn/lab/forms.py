"""The five forms of recurrent networks, each unrolled over time, with the task of the package that has it.

    one to one            a plain network       text as one vector -> its class        SentimentClassifier("mlp")
    one to many           continuation          a token -> those behind it             LanguageModel
    many to one           classification        tokens -> the class of the text        SentimentClassifier
    many to many, shifted translation           tokens, all read -> those of another   Translator
    many to many, aligned tagging               tokens -> a tag for each               SequenceTagger

Each form has the tokens that really go in, what a trained model says, and its weights with how often each is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from textnn.lab import samples, small
from textnn.lab.exhibit import Choice, Exhibit, TextField
from textnn.lab.panels import Both, Panel, edge, graph, node, table
from textnn.lab.result import Result
from textnn.tagging.encoding import CHAR
from textnn.tagging.texts import word_places

ONE_TO_ONE, ONE_TO_MANY, MANY_TO_ONE = "one-to-one", "one-to-many", "many-to-one"
SHIFTED, ALIGNED = "many-to-many-shifted", "many-to-many-aligned"
FORMS = (ONE_TO_ONE, ONE_TO_MANY, MANY_TO_ONE, SHIFTED, ALIGNED)
ALL = "all"

LONGEST = 8
"""Steps of a form that are drawn and run: what a board has room for."""


@dataclass(frozen=True, eq=False)
class Form:
    """One form: what goes in and comes out at each step of the unrolled network.

    Attributes
    ----------
    name : str
        One of the five.
    estimator : str
        The class of the package that has this form.
    inputs : list of str
        What is read at each step, of one to one the text itself; empty where a step reads its own last output.
    outputs : list of str
        What is said at each step; empty where nothing is.
    feeds_back : bool
        Whether an output is what the next step reads.
    reads_all : bool
        Whether the output is made of the states of all steps instead of the last.
    backward : int
        How many of the first steps a second layer reads from the end, too.
    weights : list of (str, list of int, int)
        Name and shape of each weight of the network, and how many times this text uses it; ' marks those of a layer
        that reads from the end, and * those of a decoder.
    """

    name: str
    estimator: str
    inputs: list[str]
    outputs: list[str]
    feeds_back: bool
    reads_all: bool
    backward: int
    weights: list[tuple[str, list[int], int]]

    def panels(self) -> list[Panel]:
        """Return the unrolled graph, and the weights with how often each is used."""
        note = Both(
            f"{self.estimator} said this. Arrows of one name are one weight, used at each step.",
            f"以上是 {self.estimator} 的真实输出。同名的箭头是同一个权重，每一步都在用。",
        )
        if self.name == ONE_TO_ONE:
            note = Both(
                f"{self.estimator} said this. Nothing is shared.", f"以上是 {self.estimator} 的真实输出。没有共享。"
            )
        rows = [[name, " × ".join(map(str, shape)), times] for name, shape, times in self.weights]
        return [
            graph(_TITLES[self.name], *self._unrolled(), note),
            table(
                Both("Weights, and how often this text uses each", "权重，以及这段文本用到它们的次数"),
                [Both("weight", "权重"), Both("shape", "形状"), Both("used", "使用次数")],
                rows,
                chosen=[number for number, (_, _, times) in enumerate(self.weights) if times > 1],
            ),
        ]

    def _unrolled(self) -> tuple[list[Panel], list[Panel]]:
        """Return the nodes and edges: inputs below, states, outputs above."""
        nodes, edges = [], []
        T, below = len(self.inputs), 2 if self.backward else 1
        shared = "shared" if T > 1 else ""
        decoder = sum(map(bool, self.inputs)) if self.name == SHIFTED else T + 1  # the step at which it begins
        speaks_often = sum(map(bool, self.outputs)) > 1
        for t, (read, said) in enumerate(zip(self.inputs, self.outputs, strict=True)):
            mark, both = "*" if t >= decoder else "", t < self.backward
            nodes.append(node(f"h{t}", t, 0, f"h{t + 1}" if T > 1 else Both("hidden", "隐藏层"), "state"))
            if t == decoder:
                edges.append(edge(f"h{t - 1}", f"h{t}", Both("state", "状态"), "chosen"))
            elif t:
                edges.append(edge(f"h{t - 1}", f"h{t}", f"W_hh{mark}", shared))
            if both:
                nodes.append(node(f"b{t}", t, 1, f"b{t + 1}", "state"))
                edges += [edge(f"b{t}", f"b{t - 1}", "W_hh'", shared)] if t else []
            if read:
                label = _MEAN if self.name == ONE_TO_ONE else read.strip() or read
                nodes.append(node(f"x{t}", t, below, label, "input"))
                edges.append(edge(f"x{t}", f"h{t}", "W_ih" if T > 1 else "W1", shared))
                edges += [edge(f"x{t}", f"b{t}", "W_ih'", shared)] if both else []
            elif self.feeds_back and t and self.outputs[t - 1]:
                edges.append(edge(f"y{t - 1}", f"h{t}", f"W_ih{mark}", shared))
            if said:
                nodes.append(node(f"y{t}", t, -1, said.strip() or said, "output"))
                name = "W_out" if T > 1 else "W2"
                for s in range(T) if self.reads_all else [t]:
                    kind = shared if speaks_often else ""
                    edges.append(edge(f"h{s}", f"y{t}", name if s == t else "", kind))
                    edges += [edge(f"b{s}", f"y{t}", "", kind)] if s < self.backward else []
        return nodes, edges


@dataclass(frozen=True, eq=False)
class FiveForms(Result):
    """Forms of recurrent networks on a text.

    Attributes
    ----------
    forms : list of Form
        Those that were asked for, in the order of the lecture.
    """

    forms: list[Form]

    def __getitem__(self, name: str) -> Form:
        return {form.name: form for form in self.forms}[name]

    def panels(self) -> list[Panel]:
        """Return the panels of each form."""
        return [panel for form in self.forms for panel in form.panels()]


def five_forms(
    text: str = "",
    source: str = "",
    form: str = ALL,
    classifier: Any = None,
    language_model: Any = None,
    translator: Any = None,
    tagger: Any = None,
    progress: small.Progress | None = None,
) -> FiveForms:
    """Run the five forms of recurrent networks on a sentence.

    Parameters
    ----------
    text : str, optional
        The sentence for all forms but translation; its first tokens count. By default one of the laboratory's.
    source : str, optional
        The sentence to translate; by default an English one.
    form : str, default="all"
        ``"one-to-one"``, ``"one-to-many"``, ``"many-to-one"``, ``"many-to-many-shifted"``,
        ``"many-to-many-aligned"``, or ``"all"``.
    classifier, language_model, translator, tagger : estimators, optional
        Fitted ones; by default small ones of the laboratory's own, trained in some seconds at the first call.
    progress : callable, optional
        Called with a line before a small model is trained.

    Returns
    -------
    FiveForms
        What goes in and comes out at each step; ``.figure()`` draws the unrolled graphs.

    Raises
    ------
    ValueError
        If there is no such form, the text has no token, or a classifier or tagger is not recurrent.

    Examples
    --------
    >>> words = ["我 来到 北京", "他 来到 上海", "我 在 上海"] * 20
    >>> tagger = textnn.SequenceTagger("birnn-crf", epochs=2, validation_fraction=0.0, random_state=0, verbose=0)
    >>> found = textnn.lab.five_forms("他在北京", form="many-to-many-aligned", tagger=tagger.fit_words(words))
    >>> found["many-to-many-aligned"].inputs, len(found["many-to-many-aligned"].outputs)
    (['他', '在', '北', '京'], 4)
    """
    if form not in (ALL, *FORMS):
        raise ValueError(f"form: expected one of {', '.join((ALL, *FORMS))}, got {form!r}")
    text, source = text.strip() or DEFAULT, source.strip() or DEFAULT_SOURCE
    makers: dict[str, Callable[[], Form]] = {
        ONE_TO_ONE: lambda: _one_to_one(text, progress),
        ONE_TO_MANY: lambda: _one_to_many(text, language_model, progress),
        MANY_TO_ONE: lambda: _many_to_one(text, classifier, progress),
        SHIFTED: lambda: _shifted(source, translator, progress),
        ALIGNED: lambda: _aligned(text, tagger, progress),
    }
    return FiveForms([make() for name, make in makers.items() if form in (ALL, name)])


def _one_to_one(text: str, progress: small.Progress | None) -> Form:
    model = small.classifier("mlp", samples.language_of(text), progress)
    label, chance = _answer(model, text)
    state = model.state_
    weights = [(name, module) for name, module in state.model.named_modules() if isinstance(module, nn.Linear)]
    return Form(
        ONE_TO_ONE,
        'SentimentClassifier("mlp")',
        [text],
        [f"{label} {chance:.2f}"],
        False,
        False,
        0,
        [(f"W{number}", list(module.weight.shape), 1) for number, (_, module) in enumerate(weights, 1)],
    )


def _one_to_many(text: str, model: Any, progress: small.Progress | None) -> Form:
    model = small.language_model(samples.language_of(text), progress) if model is None else model
    state = model.state_
    first = state.splitter.split(text)[0]
    if first not in state.vocabulary:
        first = PROMPT[samples.language_of(text)]
    said = state.splitter.split(model.generate(first, n=LONGEST - 1, temperature=0))
    steps = max(1, len(said))
    weights = [*_recurrent(state.model.layers, steps), ("W_out", list(state.model.weight.shape), steps)]
    return Form(
        ONE_TO_MANY,
        "LanguageModel",
        [first, *[""] * (steps - 1)],
        said or ["[END]"],
        True,
        False,
        0,
        weights,
    )


def _many_to_one(text: str, model: Any, progress: small.Progress | None) -> Form:
    model = small.classifier("lstm", samples.language_of(text), progress) if model is None else model
    state = model.state_
    tokens = _first(state.tokenizer(text), text)
    label, chance = _answer(model, text if len(state.tokenizer(text)) <= LONGEST else _joined(tokens, text))
    encoder: Any = getattr(state.model, "encoder", None)
    if not hasattr(encoder, "_layer"):
        raise ValueError(f"classifier: expected a recurrent architecture, got {state.model.name!r}")
    layers = encoder._layer()
    weights = _recurrent(layers, len(tokens))
    if hasattr(state.model, "output"):
        weights.append(("W_out", list(state.model.output.weight.shape), 1))
    return Form(
        MANY_TO_ONE,
        f'SentimentClassifier("{state.model.name}")',
        tokens,
        [*[""] * (len(tokens) - 1), f"{label} {chance:.2f}"],
        False,
        state.model.name != "lecture-lstm",
        len(tokens) if layers.bidirectional else 0,
        weights,
    )


def _shifted(source: str, model: Any, progress: small.Progress | None) -> Form:
    model = small.translator(progress) if model is None else model
    state = model.state_
    read = _first(state.source_splitter.split(source), source)
    said = state.target_splitter.split(model.predict([source])[0])[:LONGEST]
    encoder, decoder = (part._layer() for part in (state.model.encoder, state.model.decoder))
    weights = [
        *_recurrent(encoder, len(read)),
        *((f"{name}*", shape, times) for name, shape, times in _recurrent(decoder, len(said))),
        ("W_out", list(state.model.weight.shape), len(said)),
    ]
    return Form(
        SHIFTED,
        "Translator",
        [*read, *[""] * len(said)],
        [*[""] * len(read), *said],
        True,
        False,
        len(read) if encoder.bidirectional else 0,
        weights,
    )


def _aligned(text: str, model: Any, progress: small.Progress | None) -> Form:
    if model is None:
        model = small.tagger(small.WORDS if samples.language_of(text) == samples.CHINESE else small.NAMES, progress)
    state = model.state_
    if state.level == CHAR:
        tokens = [character for character in text if not character.isspace()]
    else:
        tokens = [text[start:end] for start, end in word_places(text)]
    tokens = _first(tokens, text)
    layers = getattr(state.model.encoder, "layers", None)
    if not isinstance(layers, nn.RNNBase):
        raise ValueError(f"tagger: expected a recurrent architecture, got {state.model.name!r}")
    weights = [*_recurrent(layers, len(tokens)), ("W_out", list(state.model.output.weight.shape), len(tokens))]
    return Form(
        ALIGNED,
        "SequenceTagger",
        tokens,
        model.predict([tokens])[0],
        False,
        False,
        len(tokens) if layers.bidirectional else 0,
        weights,
    )


def _first(tokens: list[str], text: str) -> list[str]:
    """Return the tokens that there is room for."""
    if not tokens:
        raise ValueError(f"text: expected at least one token, got {text!r}")
    return list(tokens[:LONGEST])


def _joined(tokens: list[str], text: str) -> str:
    """Return the part of a text that some tokens are the beginning of."""
    return ("" if samples.language_of(text) == samples.CHINESE else " ").join(tokens)


def _answer(model: Any, text: str) -> tuple[str, float]:
    chances = model.predict_proba([text])[0]
    return str(model.classes_[int(chances.argmax())]), float(chances.max())


def _recurrent(layers: Any, steps: int) -> list[tuple[str, list[int], int]]:
    """Return the weights of recurrent layers, each used once a step."""
    found = []
    for layer in range(layers.num_layers):
        for d in range(2 if layers.bidirectional else 1):
            for name in ("ih", "hh"):
                weight = getattr(layers, f"weight_{name}_l{layer}{'_reverse' if d else ''}")
                shown = f"W_{name}{chr(39) * d}{f' of layer {layer + 1}' if layers.num_layers > 1 else ''}"
                found.append((shown, list(weight.shape), steps))
    return found


DEFAULT = "物流很快，但是质量太差"
DEFAULT_SOURCE = "we buy two dogs today"
PROMPT = {samples.CHINESE: "这", samples.ENGLISH: "the"}
"""What a language model of the laboratory writes on from where it does not know the text's first token."""

_MEAN = Both("mean of the words' vectors", "词向量的平均")
_TITLES = {
    ONE_TO_ONE: Both("One to one: a plain network", "一对一：普通网络"),
    ONE_TO_MANY: Both("One to many: writing on from one token", "一对多：由一个词续写"),
    MANY_TO_ONE: Both("Many to one: classifying a text", "多对一：文本分类"),
    SHIFTED: Both("Many to many, shifted: translating", "多对多（不对齐）：翻译"),
    ALIGNED: Both("Many to many, aligned: a tag for each token", "多对多（对齐）：逐词标注"),
}


def _run(form: str, text: str, source: str) -> list[Panel]:
    return five_forms(text, source, form).panels()


EXHIBIT = Exhibit(
    slug="forms",
    title=Both("Five forms", "五种形式"),
    text=Both(
        "A recurrent network reads one token a step and hands its state on to the next step. Unrolled over time it "
        "looks like a long network, but all arrows of one name are one and the same weight. What changes from task to "
        "task is only where something goes in and where something comes out: five forms. Each graph shows the tokens "
        "that a trained model really read, and what it said. The tables count how often the text used each weight.",
        "循环网络每一步读一个词，并把状态传给下一步。按时间展开后，它看起来像一个很深的网络，但同名的箭头其实是同一个权重。"
        "不同任务的区别只在于哪里有输入、哪里有输出：共五种形式。每张图都是训练好的模型真实读入的词和真实的输出。"
        "表格统计了这段文本用到每个权重的次数。",
    ),
    question=Both(
        "Which form would you use to give a picture a caption, and which to tell the language of a text?",
        "给图片配一句说明该用哪种形式？判断一段文字是什么语言呢？",
    ),
    controls=(
        Choice(
            "form",
            Both("Form", "形式"),
            ALL,
            ((ALL, Both("all five", "全部五种")), *((name, _TITLES[name]) for name in FORMS)),
        ),
        TextField("text", Both("Sentence", "句子"), DEFAULT, 60),
        TextField("source", Both("Sentence to translate", "要翻译的句子"), DEFAULT_SOURCE, 60),
    ),
    presets=((Both("in English", "英文句子"), {"text": "the film was not good at all"}),),
    run=_run,
    code="""
import textnn.lab

found = textnn.lab.five_forms("物流很快，但是质量太差")
for form in found.forms:
    print(form.name, form.estimator, form.inputs, "->", form.outputs)
    for name, shape, times in form.weights:
        print("   ", name, shape, "used", times)
found.figure()
""",
)
