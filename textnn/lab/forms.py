"""The five forms of recurrent networks, each unrolled over time, with the task of the package that has it.

    one to one            a plain network       text as one vector -> its class        SentimentClassifier("mlp")
    one to many           continuation          a token -> those behind it             LanguageModel
    many to one           classification        tokens -> the class of the text        SentimentClassifier
    many to many, shifted translation           tokens, all read -> those of another   Translator
    many to many, aligned tagging               tokens -> a tag for each               SequenceTagger

Each form has the tokens that really go in, what a trained model says, and its weights with how often each is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from textnn.lab import samples, small
from textnn.lab.exhibit import ANY, Choice, Exhibit, SettingError, TextField
from textnn.lab.panels import Both, Panel, add_note
from textnn.lab.result import Result
from textnn.lab.unrolled import ALIGNED, FORMS, MANY_TO_ONE, ONE_TO_MANY, ONE_TO_ONE, SHIFTED, TITLES, Form
from textnn.tagging.encoding import CHAR
from textnn.tagging.texts import word_places

ALL = "all"

LONGEST = 8
"""Steps of a form that are drawn and run: what a board has room for."""


class NotRecurrentError(ValueError):
    """A model whose network is not recurrent."""


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
        (_BEGINNING,),
    )


def _many_to_one(text: str, model: Any, progress: small.Progress | None) -> Form:
    model = small.classifier("lstm", samples.language_of(text), progress) if model is None else model
    state = model.state_
    layers = _layers_of_classifier(model)
    tokens, remarks = _first(state.tokenizer(text), text)
    label, chance = _answer(model, _joined(tokens, text) if remarks else text)
    steps = len(tokens)
    if state.model.name == "lecture-lstm":
        steps = state.options["max_length"]
        remarks += (
            Both(
                f"The network reads {steps} steps, those of padding included, which are not drawn.",
                f"网络共读 {steps} 步，其中填充的步没有画出。",
            ),
        )
    weights = _recurrent(layers, steps)
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
        remarks,
    )


def _shifted(source: str, model: Any, progress: small.Progress | None) -> Form:
    model = small.translator(progress) if model is None else model
    state = model.state_
    read, remarks = _first(state.source_splitter.split(source), source)
    said = state.target_splitter.split(model.predict(["".join(read) if remarks else source])[0])[:LONGEST]
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
        (*remarks, _DECODER),
    )


def _aligned(text: str, model: Any, progress: small.Progress | None) -> Form:
    if model is None:
        model = small.tagger(small.WORDS if samples.language_of(text) == samples.CHINESE else small.NAMES, progress)
    state = model.state_
    if state.level == CHAR:
        tokens = [character for character in text if not character.isspace()]
    else:
        tokens = [text[start:end] for start, end in word_places(text)]
    tokens, remarks = _first(tokens, text)
    layers = _layers_of_tagger(model)
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
        remarks,
    )


def _layers_of_classifier(model: Any) -> Any:
    network = model.state_.model
    encoder: Any = getattr(network, "encoder", None)
    if not hasattr(encoder, "_layer"):
        raise NotRecurrentError(f"classifier: expected a recurrent architecture, got {network.name!r}")
    return encoder._layer()


def _layers_of_tagger(model: Any) -> Any:
    network = model.state_.model
    if not isinstance(layers := getattr(network.encoder, "layers", None), nn.RNNBase):
        raise NotRecurrentError(f"tagger: expected a recurrent architecture, got {network.name!r}")
    return layers


def _first(tokens: list[str], text: str) -> tuple[list[str], tuple[Both, ...]]:
    """Return the tokens that there is room for, and a remark if those are not all."""
    if not tokens:
        raise ValueError(f"text: expected at least one token, got {text!r}")
    return list(tokens[:LONGEST]), (_CUT,) if len(tokens) > LONGEST else ()


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

_CUT = Both(f"The first {LONGEST} tokens.", f"只显示前 {LONGEST} 个词元。")
_BEGINNING = Both(
    "A step that reads [END], which begins every text, is not drawn or counted.",
    "每段文本开头读入 [END] 的一步没有画出，也未计入。",
)
_DECODER = Both(
    "The decoder's first step reads [END], which is not drawn; the step that answers [END] is not drawn or counted.",
    "解码器的第一步读入 [END]，图中没有画出；输出 [END] 的一步没有画出，也未计入。",
)
_OTHER = Both(
    "Your model is not recurrent: this is a small one of the laboratory's own.",
    "你的模型不是循环网络：这里用的是实验室自带的小模型。",
)


def _run(form: str, text: str, source: str, model: Mapping[str, Any] | None = None) -> list[Panel]:
    given = {"language_model" if kind == "language" else kind: one for kind, one in (model or {}).items()}
    found: list[Panel] = []
    for name in FORMS if form == ALL else [form]:
        try:
            found += five_forms(text, source, name, **given).panels()
        except NotRecurrentError:
            first, *others = five_forms(text, source, name).panels()
            found += [add_note(first, _OTHER), *others]
        except ValueError as error:  # no token, to this model
            raise SettingError(str(error)) from error
    return found


EXHIBIT = Exhibit(
    slug="forms",
    title=Both("Five forms", "五种形式"),
    text=Both(
        "A recurrent network reads one token a step and hands its state on to the next step. Unrolled over time it "
        "looks like a long network, but all arrows of one name are one and the same weight. What changes from task to "
        "task is only where something goes in and where something comes out: five forms. Each graph shows the tokens "
        "that a trained model really read, and what it said. The tables count how often the text used each weight.",
        "循环网络每一步读一个词元，并把状态传给下一步。按时间展开后，它看起来像一个很深的网络，但同名的箭头其实是同一个权重。"
        "不同任务的区别只在于哪里有输入、哪里有输出：共五种形式。每张图都是训练好的模型真实读入的词元和真实的输出。"
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
            ((ALL, Both("all five", "全部五种")), *((name, TITLES[name]) for name in FORMS)),
        ),
        TextField("text", Both("Sentence", "句子"), DEFAULT, 60),
        TextField("source", Both("Sentence to translate", "要翻译的句子"), DEFAULT_SOURCE, 60),
    ),
    presets=((Both("in English", "英文句子"), {"text": "the film was not good at all"}),),
    run=_run,
    prepare=(
        lambda: small.classifier("mlp", samples.CHINESE),
        lambda: small.language_model(samples.CHINESE),
        lambda: small.classifier("lstm", samples.CHINESE),
        small.translator,
        lambda: small.tagger(small.WORDS),
    ),
    model=ANY,
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
