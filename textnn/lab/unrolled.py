"""One form of recurrent networks, unrolled over time: what goes in and comes out, and the graph of it."""

from __future__ import annotations

from dataclasses import dataclass

from textnn.lab.panels import Both, Panel, edge, graph, node, table

ONE_TO_ONE, ONE_TO_MANY, MANY_TO_ONE = "one-to-one", "one-to-many", "many-to-one"
SHIFTED, ALIGNED = "many-to-many-shifted", "many-to-many-aligned"
FORMS = (ONE_TO_ONE, ONE_TO_MANY, MANY_TO_ONE, SHIFTED, ALIGNED)
_MEAN = Both("mean of the words' vectors", "词向量的平均")
TITLES = {
    ONE_TO_ONE: Both("One to one: a plain network", "一对一：普通网络"),
    ONE_TO_MANY: Both("One to many: writing on from one token", "一对多：由一个词续写"),
    MANY_TO_ONE: Both("Many to one: classifying a text", "多对一：文本分类"),
    SHIFTED: Both("Many to many, shifted: translating", "多对多（不对齐）：翻译"),
    ALIGNED: Both("Many to many, aligned: a tag for each token", "多对多（对齐）：逐词标注"),
}


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
    remarks : tuple of Both
        What else is to be known of the graph.
    """

    name: str
    estimator: str
    inputs: list[str]
    outputs: list[str]
    feeds_back: bool
    reads_all: bool
    backward: int
    weights: list[tuple[str, list[int], int]]
    remarks: tuple[Both, ...] = ()

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
        note = Both(
            " ".join([note.en, *(one.en for one in self.remarks)]), note.zh + "".join(one.zh for one in self.remarks)
        )
        rows = [[name, " × ".join(map(str, shape)), times] for name, shape, times in self.weights]
        return [
            graph(TITLES[self.name], *self._unrolled(), note),
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
