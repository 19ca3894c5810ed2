"""The README.md of an exported tagger: what its files are, and how to use them where textnn is not.

preprocessing.json's values -> Markdown
"""

from __future__ import annotations

from typing import Any

from textnn.export.readme import program_table, runtime_of

_WHAT = {
    "tokens": "ids of the tokens, 0 behind the end of a sentence",
    "lengths": "tokens of each sentence, at least 1",
    "pairs": "numbers of the pairs of each token with the ones before and behind it, 0 for unknown ones",
    "letters": "0 and the letters of each token, and 0 behind them",
    "letter_lengths": "how many these are, the 0 in front counted",
    "known": "lengths of the longest known words that begin at, end at and go across each token, 0 for none",
    "ngrams": "numbers of the n-grams around each token",
    "emissions": "scores of the tags, in the order of `labels.json`",
}


def write_readme(settings: dict[str, Any]) -> str:
    """Return the Markdown.

    Parameters
    ----------
    settings
        The content of ``preprocessing.json``.
    """
    if settings["segmentation"]:
        what, call, told = "word segmenter", 'tagger.cut("...")', "the words of a text, with spaces between them"
    else:
        what, call = "tagger", 'tagger.entities("...")'
        told = "a JSON list of what was found in a text: `[start, end, type, text]`"
    of_words = settings["level"] == "word"
    sentence = '["A", "sentence"]' if of_words else '"..."'
    lines = [
        f"# An exported {what}",
        "",
        f"Of the architecture `{settings['architecture']}`, exported by textnn {settings['textnn']} with torch "
        f"{settings['torch']}. Nothing here needs textnn.",
        "",
        "## Use",
        "",
        "```sh",
        f"pip install numpy {runtime_of(settings)}",
        'python predict.py "a text" "another"',
        "python predict.py < texts.txt    # one a line",
        "```",
        "",
        "```python",
        "from predict import Tagger",
        "",
        "tagger = Tagger()",
        f"print({call}, tagger.predict([{sentence}]))",
        "```",
        "",
        f"The command writes a line for each text: {told}. `predict` takes sentences of "
        f"{'words' if of_words else 'characters'}",
        "and gives the tag of each, `best` its number, `emissions` the scores from which the best tags follow.",
        "",
        "## The program",
        "",
        *program_table(settings),
        "",
        *(f"- `{one['name']}`: {_WHAT[one['name']]}" for one in (*settings["inputs"], *settings["outputs"])),
        "",
        "Sizes in words change from call to call. Emissions behind the end of a sentence have no meaning. The best",
        "tags are those with the largest sum of emissions and of the scores in `arrays.npz`: `start` and `end` of the",
        "first and the last tag, `transitions` from a tag (row) to the next one (column); -inf where it is forbidden.",
        "`predict.py` is the shortest description of how the inputs are made.",
        "",
        "Lines of `vocabulary.txt` have Python's escapes for what does not print, and for the backslash; ids are line",
        "numbers, from 0, and that of a token which is not listed is 1.",
        "",
    ]
    return "\n".join(lines)
