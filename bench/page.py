"""docs/benchmarks.md and its plots, from the rows of all programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from . import scaling
from .harness import Row, console, groups, machine
from .report import DOCS, columns, markdown, plot, sentence, summary

TITLES = {
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "RNN",
    "lstm_bf16": "LSTM in bfloat16",
    "gru_bf16": "GRU in bfloat16",
    "rnn_bf16": "RNN in bfloat16",
    "generation": "Generation",
    "text_conv": "TextCNN",
    "attention": "Attention",
    "text_conv_bf16": "TextCNN in bfloat16",
    "crf": "CRF",
    "linear_cross_entropy": "Linear layer with cross entropy",
    "memory": "Memory",
    "scaling": "How cost grows",
    "step": "Training step",
    "rounding": "Rounding",
    "lecture": "Lecture recipe",
    "lecture_bf16": "Lecture recipe in bfloat16",
}
INTRODUCTION = """# {title}

Written by `{command}`; every figure here comes from it, on one machine, losses as well as wins.

**Method.** Both sides run in one process, in turn, call by call, after a warm-up. *Ratio* is the median of peer time /
textnn time of neighbouring calls: above 1 textnn is faster, below 1 slower; its *quartiles* say how much it varied.
Where there are several peers, the one with the smallest median counts. *Largest difference* is that between both sides'
results (outputs, or gradients where there is a backward pass), on all instruction sets that were measured.

{sets}**How to read a case.** Shapes: LSTM, GRU and RNN (B, T, I, H, layers, directions), TextCNN (B, L, D, C, kernel
sizes), with B the batch, T time steps or L tokens, I inputs, H hidden units, D the embedding, C channels. Groups named
*other shapes* were not chosen for what the kernels are good at, and are counted for themselves.
"""
LESSER_SETS = """**Instruction sets.** The columns *AVX2* and *baseline* (what every x86-64 has) are the ratio when
textnn is held to that set, measured in the same process, more briefly. The peer is not held back: this shows what
textnn loses, not how both would do on an older CPU.

"""
NOTES = {
    "lstm": """No difference is given where the peer computes something else: `nn.LSTM` on padded input begins its
reverse direction with the padding. It is timed all the same, as the fastest thing that people do. *Of the peak* is the
rate as a share of that of torch's own matrix product in the same run.""",
    "gru": "As for the LSTM; oneDNN, which torch leaves its LSTM to, has no part in `nn.GRU`.",
    "rnn": "As for the LSTM; the nonlinearity is tanh.",
    "lstm_bf16": """textnn under autocast to bfloat16; the peer is the faster of torch's layer under autocast and
in float32, *peer in* says which; *against float32* is the ratio to the fastest peer in float32. *Of the peak* is the
share of torch's own matrix product of bfloat16 in the same run.""",
    "gru_bf16": "As for the LSTM in bfloat16.",
    "rnn_bf16": "As for the LSTM in bfloat16.",
    "generation": """Ten steps, each from the state of the one before, without gradients: `step` of our layers, and
torch.nn's on an input of one step, with oneDNN and without. *GB/s* is the rate at which our weights are read: each once
in a step of one sequence.""",
    "text_conv": "Tokens are those of real reviews. *Distinct tokens* is the share of distinct ids in the batch.",
    "text_conv_bf16": """textnn under autocast to bfloat16; the peer is the fastest of torch's forms under autocast and
in float32.""",
    "attention": """Shapes are (B, Q, H) with Q queries a sentence; states are ragged, ours flat, the peers' padded with
a mask: `torch.bmm`, softmax, `torch.bmm`, and `F.scaled_dot_product_attention`.""",
    "crf": "Against pytorch-crf, on padded batches with its mask; shapes are (B, T, K) with K tags.",
    "linear_cross_entropy": """The loss and all gradients; shapes are (N, H, V): N positions, H hidden units, V classes.
*F.linear* is `F.cross_entropy(F.linear(...))`. Memory is the peak of a step above inputs and weights, gradients
included.""",
    "memory": """The peak of resident memory in one training step (forward and backward) above inputs and weights. Each
figure comes from a process of its own, whose allocator returns freed blocks at once and whose libraries keep nothing:
after a step as warm-up, everything that is kept is freed, the kernel's peak counter (`VmHWM`) reset through
`/proc/self/clear_refs`, and one step run. This counts torch's tensors, textnn's workspaces and oneDNN's scratchpads
alike, to about 0.3 MB; a figure is the median of three steps. Among the gradients is that of the whole table, which
both sides must make; in the second figure no gradients count. *Profiler* is what torch's own profiler sees of the same
step in torch's allocator: less where workspaces come from elsewhere, more where memory was allocated and never touched.
Ratio: peer / textnn, the peer with the smallest figure; above 1 textnn needs less.""",
    "scaling": """One size varies, the others are held: LSTM (B=32, T=50, I=H=128), TextCNN (B=64, L=64, D=C=128, kernel
sizes 3/4/5, tokens of real reviews without padding; the share of distinct tokens with random ones). Memory is that of a
training step without gradients. The dotted line is a constant ratio. Fewer calls a point than in the tables above.""",
    "rounding": """Classifiers trained on reviews, then frozen. *Other label* is the share of texts that are classified
otherwise than in float32, the difference that of a probability.""",
    "step": "Parts of a step of the classifier's training, tokens ready: textnn's optimizer and batches, and torch's.",
    "lecture": "A row is one epoch, its difference that of the training accuracies.",
    "lecture_bf16": """Both sides under autocast to bfloat16, and plain PyTorch in float32, too; the accuracies on
validation texts are measured in float32.""",
}
CURVES = {"LSTM": 2.0, "TextCNN": 5.0}  # and the constant ratio that its plot marks


def write(
    results: Mapping[str, Sequence[Row]],
    data: str,
    path: Path | None = None,
    title: str = "Benchmarks",
    command: str = "make bench",
) -> None:
    """Write the page, docs/benchmarks.md by default, and a plot for each program; ``data`` names the reviews."""
    sets = LESSER_SETS if any(row.forced for rows in results.values() for row in rows) else ""
    text = [
        INTRODUCTION.format(title=title, command=command, sets=sets),
        "\n".join(f"- {k}: {v}" for k, v in machine().items()) + f"\n- reviews: {data}\n",
    ]
    tables = {name: rows for name, rows in results.items() if name != "scaling"}
    text.append(f"## Summary\n\n{markdown(summary(tables))}\n")
    for name, rows in results.items():
        text.append(f"## {TITLES[name]}\n\n{NOTES[name]}\n")
        text += _curves(rows) if name == "scaling" else _tables(name, rows)
    path = path or DOCS / "benchmarks.md"
    path.write_text("\n".join(text))
    console.print(f"Wrote {path}")


def _tables(name: str, rows: Sequence[Row]) -> list[str]:
    picture = DOCS / "images" / f"{name}.png"
    plot(picture, rows, TITLES[name], "memory" if name == "memory" else "time")
    text = [f"![{TITLES[name]}](images/{picture.name})\n"]
    for group, members in groups(rows).items():
        text.append(f"### {group}\n\n{markdown(columns(members))}\n\n{sentence(members)}\n")
    return text


def _curves(rows: Sequence[Row]) -> list[str]:
    text = []
    for model, times in CURVES.items():
        found = groups([row for row in rows if row.group.startswith(model)])
        picture = DOCS / "images" / f"scaling-{model.lower()}.png"
        scaling.plot(picture, found, times)
        text.append(f"![{model}](images/{picture.name})\n")
        text.append(f"{markdown(scaling.ends(found))}\n")
    return text
