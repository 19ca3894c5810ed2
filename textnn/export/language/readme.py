"""The README.md of an exported language model: preprocessing.json's values -> Markdown."""

from __future__ import annotations

from typing import Any

from textnn.export.readme import program_table, runtime_of

_WHAT = {
    "tokens": "ids of the tokens that are read, one of each text; 0 begins a text",
    "states": "what the network remembers of each text: zeros before its first token, then the `new_states` of the "
    "step before",
    "logits": "scores of what follows, in the order of `vocabulary.txt`; number 0 is the end of the text, 1 an unknown "
    "token",
    "new_states": "the states behind the tokens",
}


def write_readme(settings: dict[str, Any]) -> str:
    """Return the Markdown.

    Parameters
    ----------
    settings
        The content of ``preprocessing.json``.
    """
    named = settings["tokenizer"]
    argument = "" if named is None else "tokenize=function"
    command = [
        'python predict.py "a prompt" --tokens 50 --top-p 0.9',
        "python predict.py --score < texts.txt    # one a line",
    ]
    lines = [
        "# An exported language model",
        "",
        f"Of the cell `{settings['architecture']}`, exported by textnn {settings['textnn']} with torch "
        f"{settings['torch']}. Nothing here needs textnn.",
        "",
        "## Use",
        "",
        "```sh",
        f"pip install numpy {runtime_of(settings)}",
        *([] if argument else command),
        "```",
        "",
        "```python",
        "from predict import LanguageModel",
        "",
        f"model = LanguageModel({argument})",
        'print(model.generate("a prompt", seed=1), model.score_texts(["a text"]))',
        "```",
        "",
        "The command writes prompt and text, or with `--score` the log-probability of each text, a tab, and the text.",
        "",
    ]
    if argument:
        lines += [
            f"The tokenizer `{named}` is not exported: give it yourself, as a function from a text to tokens.",
            "",
        ]
    return "\n".join(
        [
            *lines,
            "## The program",
            "",
            *program_table(settings),
            "",
            *(f"- `{one['name']}`: {_WHAT[one['name']]}" for one in (*settings["inputs"], *settings["outputs"])),
            "",
            "Each call reads a token of each text. `predict.py` is the shortest description of the loop around it.",
            "",
            "Lines of `vocabulary.txt` have Python's escapes for what does not print, and for the backslash; ids are",
            "line numbers, from 0, and that of a token which is not listed is 1.",
            "",
        ]
    )
