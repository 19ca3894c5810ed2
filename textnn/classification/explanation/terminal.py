"""Explanations in a terminal, by rich: colours, or signs and numbers where there are none.

Blue speaks for the label and orange against it, as on a page; what speaks against is also underlined. With NO_COLOR, or
into a pipe, what each word adds stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from textnn.classification.explanation.contributions import Contributions, pieces, strengths, strongest

_FOR = ("#dbe8fd", "#b1cdfa", "#7facf5", "#4f8bf0")
_AGAINST = ("#fde8d8", "#fbcba3", "#f7a663", "#ee8026")
_NUMBER_FOR, _NUMBER_AGAINST = "#3f82f0", "#e8701a"  # to be read on light and dark
_LEAST = 0.1  # of the largest contribution: numbers for all words would hide the text
_CLASSES = 6

# Control characters would move the cursor, or worse: they are shown as their pictures.
_VISIBLE = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),
}


class TerminalExplanation:
    """What a :class:`rich.console.Console` prints of an explanation.

    Parameters
    ----------
    explanation
        The explanation.
    ngrams
        Rows of the table of what adds most; 0 for none.
    """

    def __init__(self, explanation: Contributions, ngrams: int = 8) -> None:
        self.explanation, self.ngrams = explanation, ngrams

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the prediction, the text, the table and the sum."""
        coloured = console.color_system is not None and not console.no_color
        one = self.explanation
        yield self._head()
        yield Text()
        yield self._text(coloured)
        yield Text()
        yield _legend(coloured, visible(str(one.label)))
        if rows := strongest(one, self.ngrams):
            yield _table(rows)
        total = sum(token.contribution for token in one.tokens)
        yield Text(f"base {one.base:+.3f}, all words together {total:+.3f}; method: {one.method}", "dim")

    def _head(self) -> Text:
        one = self.explanation
        head = Text.assemble((visible(str(one.label)), "bold"), f"  probability {one.probability:.3f}")
        order = sorted(range(len(one.classes)), key=lambda number: -one.probabilities[number])
        others = [number for number in order if one.classes[number] != one.label]
        listed = [f"{visible(str(one.classes[number]))} {one.probabilities[number]:.3f}" for number in others]
        more = ", ..." if len(listed) > _CLASSES else ""
        return head.append(f"  ({', '.join(listed[:_CLASSES])}{more})", "dim")

    def _text(self, coloured: bool) -> Text:
        shown = strengths(self.explanation) if coloured else strengths(self.explanation, _LEAST)
        line = Text()
        for text, number in pieces(self.explanation):
            strength = 0.0 if number is None else shown[number]
            if number is None or strength == 0.0:
                line.append(visible(text))
            elif coloured:
                line.append(visible(text), _style(strength))
            else:
                line.append(f"{visible(text)}[{self.explanation.tokens[number].contribution:+.2f}]")
        return line if line.plain else Text("(empty text)", "dim")


def visible(text: str) -> str:
    """Return a text with pictures in the place of control characters."""
    return text.translate(_VISIBLE)


def _style(strength: float) -> str:
    shades, line = (_FOR, "") if strength > 0 else (_AGAINST, " underline")
    return f"#101010 on {shades[min(len(shades) - 1, int(abs(strength) * len(shades)))]}{line}"


def _legend(coloured: bool, label: str) -> Text:
    if coloured:
        speaks, against = (" for ", _style(0.6)), (" against ", _style(-0.6))
        return Text.assemble(speaks, " ", against, f" {label}, the stronger the darker")
    return Text(f"[+] speaks for {label}, [-] against it, in log-odds; words without a number say little")


def _table(rows: list[tuple[str, float, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("adds", justify="right", no_wrap=True)
    table.add_column("what")
    table.add_column("of")
    for text, value, source in rows:
        number = Text(f"{value:+.3f}", _NUMBER_FOR if value > 0 else _NUMBER_AGAINST)
        table.add_row(number, Text(visible(text)), Text(source, "dim"))
    return table
