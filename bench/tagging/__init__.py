"""Taggers: how well they find words, parts of speech and names, and how fast they do and learn it.

    python -m bench.tagging accuracy [--task NAME ...] [--seeds N] [--architecture NAME ...] [--page]
    python -m bench.tagging speed [--page]
    python -m bench.tagging training [--page]
    python -m bench.tagging page

``corpora`` has the texts; results are kept in bench/results/, and ``--page`` writes them into docs/tagging.md.
"""
