"""The tokenizer of a saved model: the one that it was trained with, or one that the user asks for all the same.

    config.json's kind, version, options + dictionary + stop words --+
    what is installed here                                         --+-> the same tokenizer, or an error
    what the user asks for, if anything                            --+-> that one; a warning if it is another

A tokenizer that is a model itself (:mod:`textnn.text.tokenizers.model`) has its files beside the model's, with
``tokenizer-`` before their names.

A model knows the tokens of its training. Another tokenizer, or another version of it, cuts other tokens, and the model
would give worse results without a word; so it is used on request only.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from textnn.bundle.config import get, refuse_unknown
from textnn.bundle.files import CARD, CONFIG, TOKENIZER, VOCABULARY, WEIGHTS, Directory, Sum, reading, to_json
from textnn.circumstances import warn
from textnn.reading import printable
from textnn.text import (
    TOKENIZERS,
    CallableTokenizer,
    JiebaTokenizer,
    RJiebaTokenizer,
    Tokenizer,
    tokenizer_from_config,
)
from textnn.text.tokenizers import AUTO, ModelTokenizer, check_name, make_tokenizer, provided
from textnn.text.tokenizers.make import names_model
from textnn.text.tokenizers.model import PROVIDED

_VERSION, _DIGEST = re.compile(r"[0-9A-Za-z.+!_-]{1,64}"), re.compile("[0-9a-f]{16}")

_FILES = tuple(f"{TOKENIZER}{name}" for name in (WEIGHTS, CONFIG, VOCABULARY, "tags.json"))
TOKENIZER_FILES = (*_FILES, f"{TOKENIZER}words.txt")
"""The files of a tokenizer that is a model, in the directory of another one; the last one not of every model."""

Request = str | os.PathLike[str] | Callable[[str], list[str]] | Tokenizer | None
"""A tokenizer that is asked for: a name, a saved segmenter, a function, a tokenizer; or None, for that of the training.
"""


def write_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write the files of a tokenizer that is a model into the directory of a model; others have none."""
    if not isinstance(tokenizer, ModelTokenizer):
        return
    with tempfile.TemporaryDirectory(dir=directory) as inside:
        tokenizer.write(Path(inside))
        for file in Path(inside).iterdir():
            if file.name != CARD:
                file.rename(directory / f"{TOKENIZER}{file.name}")


def check_request(request: Request) -> None:
    """Check what is asked for, before anything is read.

    Raises
    ------
    ValueError
        If it is a string, but no tokenizer's name, or that of one whose library is not installed.
    TypeError
        If it is nothing that could be a tokenizer.
    """
    if names_model(request):
        return
    if isinstance(request, str):
        check_name(request)
        TOKENIZERS[request].version()
    elif request is not None and not callable(request):
        raise TypeError(f"tokenizer: expected a name, a function, a Tokenizer or None, got {type(request).__name__}")


def load_tokenizer(
    directory: Directory,
    config: dict[str, Any],
    sums: Mapping[str, Sum],
    user_dictionary: Sequence[str],
    stop_words: Sequence[str],
    request: Request,
    argument: str = "tokenizer",
) -> Tokenizer:
    """Return the tokenizer to use a saved model with.

    Parameters
    ----------
    directory
        The model's.
    config, sums
        Its configuration, and the sums of its files there.
    user_dictionary, stop_words
        Those of the training.
    request
        What was asked for; see :func:`check_request`. A name takes over options, dictionary and stop words of the
        model, a segmenter the latter two, a function its stop words.
    argument
        The argument of ``load`` that it is asked for with.

    Raises
    ------
    BundleError
        If nothing was asked for and the tokenizer of the training is not here: another version, a library that is not
        installed, a function, a class of the user's; or if what was asked for does not take the model's options.
    """
    user_dictionary, stop_words = list(user_dictionary), list(stop_words)
    path = directory.path
    with reading(directory.file(CONFIG)):
        stored = get(config, "tokenizer", dict)
        _check_form(stored)
        if request is None and stored["kind"] in PROVIDED:
            missing = [name for name in _FILES if name not in sums]
            if missing:
                raise ValueError(f"tokenizer: expected its files in 'files', got no {', '.join(missing)}")
            part = directory.part(TOKENIZER, sums)
            return provided(stored["kind"]).read(part, user_dictionary, stop_words)
        if request is None:
            if get(config, "parameters", dict).get("tokenizer") == AUTO:
                stored = _same_words_here(stored, path)
            _check_available(stored, argument)
            return tokenizer_from_config(stored, user_dictionary, stop_words)
        if isinstance(request, Tokenizer):
            tokenizer = request
        elif names_model(request):
            tokenizer = make_tokenizer(request, user_dictionary or None, stop_words or None)
        elif isinstance(request, str):
            tokenizer = tokenizer_from_config({**stored, "kind": request}, user_dictionary, stop_words)
        else:
            tokenizer = CallableTokenizer(request, stop_words)  # type: ignore[arg-type]
    same_words = (tokenizer.user_dictionary, tokenizer.stop_words) == (user_dictionary, stop_words)
    if not (same_words and _is_same(tokenizer, stored)):
        used = _describe(tokenizer.config()) + ("" if same_words else " and another dictionary or other stop words")
        message = f"{path}: trained with the tokenizer {_describe(stored)}, now used with {used}; tokens may differ"
        warn(printable(message))
    return tokenizer


def _same_words_here(stored: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return jieba's configuration for rjieba's where that is not installed: its words are the same ones."""
    if stored["kind"] == RJiebaTokenizer.name:
        try:
            RJiebaTokenizer.version()
        except ValueError:
            message = f"{directory}: rjieba, which found the words in training, is not installed; jieba finds the same"
            warn(printable(f"{message}, in 20 times the time"))
            return {**stored, "kind": JiebaTokenizer.name, "version": JiebaTokenizer.version()}
    return stored


def _check_form(stored: dict[str, Any]) -> None:
    """Check what is stored of a tokenizer: it becomes arguments, and a part of messages that name a command."""
    kind = get(stored, "kind", str)
    version = stored.get("version")
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise ValueError(f"tokenizer: expected a version such as '0.42.1', got {version!r:.80}")
    options = stored.get("options", {})
    if not isinstance(options, dict):
        raise ValueError(f"tokenizer: expected 'options' to be of the type dict, got {type(options).__name__}")
    if kind == CallableTokenizer.name:
        get(stored, "function", str)
        refuse_unknown("'tokenizer'", stored, {"kind", "function"})
    elif kind in PROVIDED:
        if not _DIGEST.fullmatch(get(stored, "model", str)):
            raise ValueError(f"tokenizer: expected 'model' to be 16 digits, got {stored['model']!r:.80}")
        refuse_unknown("'tokenizer'", stored, {"kind", "model"})
    elif kind in TOKENIZERS:
        refuse_unknown("'tokenizer'", stored, {"kind", "version", "options"})
        if not isinstance(options.get("hmm", True), bool):
            raise ValueError(f"tokenizer: expected 'hmm' to be true or false, got {options['hmm']!r:.80}")


def _is_same(tokenizer: Tokenizer, stored: dict[str, Any]) -> bool:
    if isinstance(tokenizer, CallableTokenizer):
        # Functions cannot be compared; the user says which it is.
        return stored.get("kind") == CallableTokenizer.name
    return json.loads(to_json(tokenizer.config())) == stored


def _check_available(stored: dict[str, Any], argument: str) -> None:
    """Refuse a tokenizer that is not here as it was in the training."""
    kind = stored.get("kind")
    if kind == CallableTokenizer.name:
        raise ValueError(
            f"the model was trained with the function {stored.get('function')} as its tokenizer, which is not stored; "
            f"load it with load(path, {argument}=function)"
        )
    if kind not in TOKENIZERS:
        raise ValueError(
            f"tokenizer: expected one of {', '.join(TOKENIZERS)}, got {kind!r}; if that is a class of yours, load the "
            f"model with load(path, {argument}=INSTANCE)"
        )
    trained_with = stored.get("version")
    try:
        installed = TOKENIZERS[kind].version()
        here = f"version {installed} is installed here"
    except ValueError:
        installed, here = None, f"{kind} is not installed here"
    if trained_with != installed:
        others = " or ".join(f"{argument}={name!r}" for name in _stand_ins(kind))
        raise ValueError(
            f"the model was trained with the tokenizer {_describe(stored)}, and {here}; tokens may differ. Either "
            f"install that version: pip install '{kind}=={trained_with}'; or use the model in spite of it: "
            f"load(path, {others}), on the command line --tokenizer NAME"
        )


def _stand_ins(kind: str) -> list[str]:
    """Return the installed tokenizers that may be used for one of a kind, itself first."""
    found = []
    for name in (kind, *(name for name in ("jieba", "rjieba") if name != kind)):
        try:
            TOKENIZERS[name].version()
        except ValueError:
            continue
        found.append(name)
    return found


def _describe(config: dict[str, Any]) -> str:
    if config.get("kind") == CallableTokenizer.name:
        return f"function {config.get('function')}"
    version = f" {config['version']}" if config.get("version") else ""
    options = ", ".join(f"{name}={value}" for name, value in _options(config).items())
    return f"{config.get('kind')!r}{version}{options and f' ({options})'}"


def _options(config: dict[str, Any]) -> dict[str, Any]:
    return {"model": config["model"]} if config.get("kind") in PROVIDED else dict(config.get("options", {}))
