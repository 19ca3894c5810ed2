"""Small tables for the tests of files, and what is in them."""

from __future__ import annotations

from collections.abc import Callable

from textnn.text import Corpus

Write = Callable[..., str]

CHINESE = [("房间很干净，服务也好", "好"), ("太差了，再也不来", "差"), ("物流快，包装完整", "好"), ("质量不行", "差")]
TRADITIONAL = [("房間很乾淨，服務也好", "好"), ("太差了，再也不來", "差"), ("書的內容豐富", "好"), ("品質不行", "差")]


def table(rows: list[tuple[str, str]], delimiter: str = ",", header: bool = True, end: str = "\n") -> str:
    lines = [("text", "label"), *rows] if header else rows
    return "".join(f"{text}{delimiter}{label}{end}" for text, label in lines)


def pairs(corpus: Corpus) -> list[tuple[str, str]]:
    return list(zip(corpus.texts, corpus.labels, strict=True))
