"""Explanations in HTML: a coloured text for any page, and a whole page.

Blue speaks for the label and orange against it, a pair that the colour-blind tell apart; a full line below the word and
a dotted one say the same, and its title has the number. Colours are half transparent, and so fit light pages and dark
ones. Nothing is loaded from anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from textnn.classification.explanation.contributions import Contributions, pieces, strengths, strongest

_FOR, _AGAINST = "37,99,235", "234,88,12"
_ROWS = 12


def fragment(explanation: Contributions) -> str:
    """Return the text in a ``<span>``, its tokens coloured by what they add."""
    shown = strengths(explanation)
    parts = []
    for text, number in pieces(explanation):
        if number is None or explanation.tokens[number].contribution == 0.0:
            parts.append(escape(text))
            continue
        style = _style(shown[number])
        title = f"{explanation.tokens[number].contribution:+.3f}"
        parts.append(f'<span title="{title}"{style}>{escape(text)}</span>')
    inside = "".join(parts)
    return _encodable(f'<span dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere">{inside}</span>')


def _style(strength: float) -> str:
    if strength == 0.0:
        return ""
    colour, line = (_FOR, "solid") if strength > 0 else (_AGAINST, "dotted")
    alpha = 0.06 + 0.44 * abs(strength)
    below = min(1.0, 0.3 + abs(strength))
    return (
        f' style="background-color:rgba({colour},{alpha:.2f});border-bottom:2px {line} rgba({colour},{below:.2f});'
        'border-radius:2px"'
    )


def html_page(explanations: Sequence[Contributions], title: str = "Explanations") -> str:
    """Return a page with a section for each explanation, self-contained.

    Parameters
    ----------
    explanations
        At least one.
    title
        Of the page.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    sections = [_section(explanation, Markup(fragment(explanation))) for explanation in explanations]
    page = environment.from_string(_PAGE)
    return _encodable(page.render(title=title, sections=sections, positive=_FOR, negative=_AGAINST))


def _section(explanation: Contributions, text: Any) -> dict[str, Any]:
    rows = strongest(explanation, _ROWS)
    largest = max((abs(value) for _, value, _ in rows), default=1.0)
    order = sorted(range(len(explanation.classes)), key=lambda number: -explanation.probabilities[number])
    return {
        "label": str(explanation.label),
        "probability": f"{explanation.probability:.3f}",
        "others": [
            (str(explanation.classes[number]), f"{explanation.probabilities[number]:.3f}")
            for number in order[:_ROWS]
            if explanation.classes[number] != explanation.label
        ],
        "text": text,
        "rows": [
            {
                "text": word,
                "value": f"{value:+.3f}",
                "source": source,
                "side": "for" if value > 0 else "against",
                "width": f"{8 * abs(value) / largest:.2f}",
            }
            for word, value, source in rows
        ],
        "method": explanation.method,
        "base": f"{explanation.base:+.3f}",
        "sum": f"{sum(token.contribution for token in explanation.tokens):+.3f}",
    }


def _encodable(page: str) -> str:
    """Return the page with ? in the place of lone surrogates, which no encoding has."""
    return page.encode("utf-8", "replace").decode("utf-8")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.6 system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid rgba(128,128,128,.4); padding: 1rem 0; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
.text { line-height: 2; margin: .5rem 0 1rem; }
.small { font-size: .85rem; opacity: .8; }
table { border-collapse: collapse; font-size: .9rem; }
td, th { padding: .1rem .8rem .1rem 0; text-align: left; font-weight: normal; }
th { opacity: .7; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: inline-block; height: .7em; min-width: 2px; }
.for { background: rgba({{ positive }},.5); border-bottom: 2px solid rgb({{ positive }}); }
.against { background: rgba({{ negative }},.5); border-bottom: 2px dotted rgb({{ negative }}); }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="small"><span class="for">Blue</span> words speak for the label, <span class="against">orange</span> ones
against it, the more the stronger their colour. Numbers are log-odds; that of a word shows when the pointer rests on
it.</p>
{% for one in sections %}
<section>
<h2>{{ one.label }} <span class="small">probability {{ one.probability }}
{%- for label, probability in one.others %}{{ " (" if loop.first else ", " }}{{ label }} {{ probability }}
{%- if loop.last %}){% endif %}
{%- endfor -%}
</span></h2>
<p class="text">{{ one.text }}</p>
{% if one.rows %}
<table>
<tr><th colspan="2">adds</th><th>what</th><th>of</th></tr>
{% for row in one.rows %}
<tr><td class="number">{{ row.value }}</td>
<td><span class="bar {{ row.side }}" style="width:{{ row.width }}em"></span></td>
<td>{{ row.text }}</td><td class="small">{{ row.source }}</td></tr>
{% endfor %}
</table>
{% endif %}
<p class="small">base {{ one.base }}, all words together {{ one.sum }}; method: {{ one.method }}</p>
</section>
{% endfor %}
</body>
</html>
"""
