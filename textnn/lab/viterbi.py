"""The Viterbi trellis of a sentence in a trained tagger: all tags at all tokens, and the best way through them.

    tokens -> emissions e [L, K] --+
    CRF: start, transitions, end --+-> score[t, j] = max over i of (score[t-1, i] + T[i, j]) + e[t, j]
                                       back[t, j]  = the i of that maximum
                                   --> the largest score[L-1, j] + end[j], and back from there: the best path

What the scheme forbids has the score -inf, and no path goes through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from textnn import functional, reference
from textnn.circumstances import plain_torch
from textnn.lab import samples, small
from textnn.lab.exhibit import Exhibit, SettingError, Slider, TextField, Toggle
from textnn.lab.panels import Both, Panel, add_note, axis, bars, edge, graph, marked, node, span, table
from textnn.lab.result import Result
from textnn.tagging import prediction
from textnn.tagging.encoding import CHAR
from textnn.tagging.texts import word_places

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-3
"""By how much the score of a path in float32 may differ from that in float64."""

LONGEST = 16
"""Tokens that a picture has room for."""


class Step(NamedTuple):
    """An edge of the trellis.

    Attributes
    ----------
    time : int
        The token that it leads to, from 1.
    start, end : int
        Numbers of the tags.
    score : float
        That of the best path to ``end`` through this edge; -inf if it is forbidden.
    kept : bool
        Whether it is the best one that leads to ``end``.
    chosen : bool
        Whether the best path of the sentence takes it.
    """

    time: int
    start: int
    end: int
    score: float
    kept: bool
    chosen: bool


@dataclass(frozen=True, eq=False)
class Trellis(Result):
    """The search for the best tags of one sentence: L tokens, K tags; all scores in float64.

    Attributes
    ----------
    tokens : list of str
        Of the sentence.
    tags : list of str
        Names of the tags that the network tells apart.
    emissions : ndarray float64 [L, K]
        What the network says of each tag of each token.
    start, end : ndarray float64 [K]
        Scores of first and last tags; -inf where they are forbidden.
    transitions : ndarray float64 [K, K]
        Scores from tag to tag; -inf where they are forbidden.
    scores : ndarray float64 [L, K]
        The score of the best path that ends in each tag at each token.
    back : ndarray int64 [L, K]
        The tag before on that path; -1 at the first token.
    path : list of int
        The best tags.
    score : float
        Of the best path, its end included.
    log_partition : float
        The logarithm of the sum of the exponentials of the scores of all paths.
    answer : list of str
        What the tagger says, in the scheme of its training data.
    """

    tokens: list[str]
    tags: list[str]
    emissions: Array
    start: Array
    end: Array
    transitions: Array
    scores: Array
    back: Array
    path: list[int]
    score: float
    log_partition: float
    answer: list[str]

    @property
    def probability(self) -> float:
        """The probability of the best path among all of them."""
        return float(np.exp(self.score - self.log_partition))

    @property
    def forbidden(self) -> int:
        """How many of the K · K transitions are forbidden."""
        return int(np.isneginf(self.transitions).sum())

    def steps(self) -> list[Step]:
        """Return all edges of the trellis, from left to right."""
        found = []
        for t in range(1, len(self.tokens)):
            through = self.scores[t - 1][:, None] + self.transitions + self.emissions[t]
            for i, j in np.ndindex(*self.transitions.shape):
                kept = self.back[t, j] == i and np.isfinite(self.scores[t, j])
                chosen = self.path[t - 1] == i and self.path[t] == j
                found.append(Step(t, int(i), int(j), float(through[i, j]), bool(kept), chosen))
        return found

    def work_out(self, time: int, tag: int) -> list[tuple[str, float, float, float]]:
        """Return, for each tag before, its score, the transition, and their sum with the emission.

        Parameters
        ----------
        time : int
            The token, from 1.
        tag : int
            The number of its tag.

        Raises
        ------
        IndexError
            If there is no such token behind the first, or no such tag.
        """
        L, K = self.emissions.shape
        if not 1 <= time < L or not 0 <= tag < K:
            raise IndexError(f"expected a token from 1 to {L - 1} and a tag below {K}, got {time} and {tag}")
        before, moves = self.scores[time - 1], self.transitions[:, tag]
        sums = before + moves + self.emissions[time, tag]
        return [(name, float(before[i]), float(moves[i]), float(sums[i])) for i, name in enumerate(self.tags)]

    def shown(self, most: int = 10) -> list[int]:
        """Return the numbers of the tags that matter in this sentence, at most so many, in their order."""
        best = (self.scores - self.scores.max(axis=1, keepdims=True)).max(axis=0)
        order = [*dict.fromkeys([*self.path, *np.argsort(-best, kind="stable").tolist()])]
        return sorted(order[: max(most, len(set(self.path)))])

    def panels(self, token: int = 4, struck: bool = True, others: bool = False) -> list[Panel]:
        """Return the answer, the trellis, one of its maxima worked out, and the emissions.

        Parameters
        ----------
        token : int
            Which token's maximum is worked out, a number from 2.
        struck, others : bool, bool
            Whether forbidden transitions are drawn, and those that are not the best to any tag.
        """
        spans = [span(word, note=tag) for word, tag in zip(self.tokens, self.answer, strict=True)]
        found = [marked(Both("The tagger's answer", "标注结果"), spans), self._graph(struck, others)]
        if len(self.tokens) > 1:
            found.append(self._worked(min(max(token, 2), len(self.tokens)) - 1))
        title = Both("What the network says of each token (emissions)", "网络对每个词元的打分（发射分数）")
        groups = [(self.tags[tag], self.emissions[:, tag]) for tag in self.shown()]
        return [*found, bars(title, self.tokens, groups, axis(Both("score", "得分")))]

    def _graph(self, struck: bool, others: bool) -> Panel:
        place = {tag: row for row, tag in enumerate(self.shown())}
        nodes = [node(f"w{t}", t, -1, name) for t, name in enumerate(self.tokens)]
        for t in range(len(self.tokens)):
            for tag, row in place.items():
                value = self.scores[t, tag]
                score = f"{value:.1f}".replace("-", "−") if np.isfinite(value) else "×"
                label = f"{self.tags[tag]} {score}"
                nodes.append(node(f"{t}.{tag}", t, row, label, "chosen" if self.path[t] == tag else "state"))
        edges = []
        for one in self.steps():
            if one.start not in place or one.end not in place:
                continue
            if np.isneginf(self.transitions[one.start, one.end]):
                kind, wanted = "struck", struck
            else:
                kind, wanted = "chosen" if one.chosen else "", one.chosen or one.kept or others
            if wanted:
                move = self.transitions[one.start, one.end]
                label = f"{move:.2f}".replace("-", "−") if one.chosen or one.kept else ""
                edges.append(edge(f"{one.time - 1}.{one.start}", f"{one.time}.{one.end}", label, kind))
        title = Both(
            "The trellis: scores of the best paths to each tag, and of transitions",
            "网格图：到达每个标签的最优路径的得分，以及转移的得分",
        )
        note = Both(
            f"Best path: score {self.score:.2f}, probability {self.probability:.3f} among all paths. "
            f"{self.forbidden} of {len(self.tags) ** 2} transitions are forbidden.",
            f"最优路径：得分 {self.score:.2f}，在所有路径中的概率为 {self.probability:.3f}。"
            f"{len(self.tags) ** 2} 种转移中有 {self.forbidden} 种被禁止。",
        )
        return graph(title, nodes, edges, note)

    def _worked(self, t: int) -> Panel:
        """Return the table of the maximum that the best path goes through."""
        tag, token = self.path[t], self.tokens[t]
        e, name = self.emissions[t, tag], self.tags[tag]
        forbidden = Both("forbidden", "禁止")
        return table(
            Both(f"How “{token}” gets its score for {name}", f"“{token}”取标签 {name} 的得分是怎么来的"),
            [
                Both("tag before", "前一标签"),
                Both("its score", "其得分"),
                Both(f"transition to {name}", f"转移到 {name}"),
                Both(f"sum with the emission {e:.2f}", f"加上发射分数 {e:.2f}"),
            ],
            [
                [before, round(one, 2), round(move, 2) if np.isfinite(move) else forbidden, round(total, 2)]
                for before, one, move, total in self.work_out(t, tag)
            ],
            chosen=[self.path[t - 1]],
            note=Both("The largest sum is kept; the others are forgotten.", "只保留最大的和，其余的不再考虑。"),
        )


def trellis(tagger: Any = None, text: Any = "", progress: small.Progress | None = None) -> Trellis:
    """Search for the best tags of a sentence, and keep all that the search compares.

    Parameters
    ----------
    tagger : SequenceTagger, optional
        A fitted one. By default a small one of the laboratory's own, trained in some seconds at the first call: it
        cuts Chinese text into words, or finds names in English text.
    text : str or sequence of str, optional
        The sentence: a text, or its tokens. By default one of the laboratory's.
    progress : callable, optional
        Called with a line before a small model is trained.

    Returns
    -------
    Trellis
        Scores of all tags at all tokens, and the best path; ``.figure()`` draws them.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the tagger has not been fitted.
    TypeError, ValueError
        If the text has no token, or there is another kind of model.
    RuntimeError
        If the path is not the tagger's own answer.

    Examples
    --------
    >>> words = ["我 来到 北京", "他 来到 上海", "我 在 上海"] * 20
    >>> options = dict(ngram_buckets=1024, epochs=5, validation_fraction=0.0, random_state=0, verbose=0)
    >>> tagger = textnn.SequenceTagger("ngram-crf", **options)
    >>> found = textnn.lab.trellis(tagger.fit_words(words), "他在北京")
    >>> found.tags, [found.tags[tag] for tag in found.path]
    (['B', 'M', 'E', 'S'], ['S', 'S', 'B', 'E'])
    """
    from sklearn.utils.validation import check_is_fitted

    if text is None or len(text) == 0:
        text = DEFAULT
    if tagger is None:
        kind = small.WORDS if samples.language_of("".join(text)) == samples.CHINESE else small.NAMES
        tagger = small.tagger(kind, progress)
    if not hasattr(tagger, "predict_marginals") or not hasattr(tagger, "get_params"):
        raise TypeError(f"tagger: expected a SequenceTagger, got {type(tagger).__name__}")
    check_is_fitted(tagger, "state_")
    state = tagger.state_
    tokens = _tokens(text, state.level)
    if not tokens:
        raise ValueError(f"text: expected at least one token, got {text!r}")
    (emissions,) = (torch.from_numpy(found).double() for found in prediction.work_on(state, [tokens], _emissions))
    with plain_torch(), torch.no_grad():
        start, end, transitions = (scores.detach().cpu().double() for scores in state.model.crf.scores())
        scores, back, path = _search(emissions, start, end, transitions)
        own = prediction.predict_numbers(state, [tokens])[0].tolist()
        score = _score(emissions, start, end, transitions, path)
        if own != path and not abs(_score(emissions, start, end, transitions, own) - score) <= TOLERANCE:
            raise RuntimeError("the best path is not the answer of the tagger")
        _, kernel = functional.crf_decode(emissions[None], start, end, transitions, batch_first=True)
        if not abs(float(kernel[0]) - score) <= TOLERANCE:
            raise RuntimeError(
                f"the score of the best path is {score:.4f}, and that of the kernel {float(kernel[0]):.4f}"
            )
        sums = reference.crf_log_partition(emissions[None], start, end, transitions, batch_first=True)
    arrays: list[Any] = [each.numpy() for each in (emissions, start, end, transitions, scores, back)]
    rest: list[Any] = [own, score, float(sums[0]), list(state.tags.decode(own))]
    return Trellis(tokens, list(state.tags.names), *arrays, *rest)


def _tokens(text: Any, level: str) -> list[str]:
    if not isinstance(text, str):
        return [str(token) for token in text]
    if level == CHAR:
        return [character for character in text if not character.isspace()]
    return [text[start:end] for start, end in word_places(text)]


def _emissions(state: Any, emissions: Tensor, batch: Any) -> Tensor:
    return emissions


def _search(e: Tensor, start: Tensor, end: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Return the scores [L, K] of the best paths to each tag, the tags before, and the best path."""
    scores, back = [start + e[0]], [torch.full(start.shape, -1)]
    for row in e[1:]:
        best, before = (scores[-1][:, None] + transitions).max(dim=0)
        scores.append(best + row)
        back.append(before)
    path = [int((scores[-1] + end).argmax())]
    for before in reversed(back[1:]):
        path.append(int(before[path[-1]]))
    return torch.stack(scores), torch.stack(back), path[::-1]


def _score(e: Tensor, start: Tensor, end: Tensor, transitions: Tensor, path: list[int]) -> float:
    """Return the score of a path."""
    moves = sum(float(transitions[i, j]) for i, j in pairwise(path))
    words = sum(float(row[tag]) for row, tag in zip(e, path, strict=True))
    return float(start[path[0]]) + moves + words + float(end[path[-1]])


DEFAULT = "我们研究生命的起源"


def _run(text: str, token: int, struck: bool, others: bool, model: Any = None) -> list[Panel]:
    try:
        found = trellis(model, text)
    except ValueError as error:  # no token, to this tagger
        raise SettingError(str(error)) from error
    if len(found.tokens) <= LONGEST:
        return found.panels(token, struck, others)
    first, *rest = trellis(model, found.tokens[:LONGEST]).panels(token, struck, others)
    return [add_note(first, Both(f"The first {LONGEST} tokens.", f"只显示前 {LONGEST} 个词元。")), *rest]


EXHIBIT = Exhibit(
    slug="trellis",
    title=Both("Viterbi trellis", "维特比网格"),
    text=Both(
        "A tagger gives each token a score for every tag, and its conditional random field (CRF) adds one for each "
        "pair of neighbouring tags. The best tags of a sentence are the path with the largest sum. Viterbi's algorithm "
        "finds it from left to right: for each tag of a token it keeps the best way to it and forgets all others. "
        "Transitions that the tag scheme does not allow, such as B to S, are struck out. Chinese text is cut into "
        "words (B begins a word, M continues it, E ends it, S is a word of one character); in English text, "
        "names of people and places are found.",
        "标注器先给每个词元的每个标签打分，条件随机场（CRF）再给相邻两个标签的组合打分。"
        "一句话的最优标签就是总分最大的那条路径。维特比算法从左到右寻找它：对每个词元的每个标签，只保留到达它的最优走法。"
        "标签体系不允许的转移（例如 B 到 S）被划掉。中文句子按词切分（B 为词首，M 为词中，E 为词尾，S 为单字词），"
        "英文句子则识别人名和地名。",
    ),
    question=Both(
        "At which token does the best tag by emission alone differ from the tag on the best path?",
        "在哪个位置上，只看发射分数的最优标签与最优路径上的标签不同？",
    ),
    controls=(
        TextField("text", Both("Sentence", "句子"), DEFAULT, 60),
        Slider("token", Both("Token worked out", "演算第几个词元"), 4, 2, LONGEST),
        Toggle("struck", Both("Show forbidden transitions", "显示被禁止的转移"), True),
        Toggle("others", Both("Show the ways that were forgotten", "显示被舍弃的走法"), False),
    ),
    run=_run,
    prepare=(lambda: small.tagger(small.WORDS),),
    code="""
import textnn.lab

found = textnn.lab.trellis(text="我们研究生命的起源")
print(found.tags, found.scores.round(1), sep="\\n")  # [L tokens, K tags]
print([found.tags[tag] for tag in found.path], found.score, found.probability)
for tag, score, transition, total in found.work_out(time=3, tag=found.path[3]):
    print(tag, score, transition, total)
found.figure()
""",
    model="tagger",
    presets=(
        (Both("names in English", "英文人名与地名"), {"text": "Tom Stone met Ann in Oslo"}),
        (Both("every way", "所有走法"), {"others": True}),
    ),
)
