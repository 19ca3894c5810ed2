"""Translators: BLEU with and without attention, and the speed of training beside plain PyTorch.

    python -m bench.translation bleu [--only NAME ...] [--seeds N] [--epochs N] [--limit N] [--page]
    python -m bench.translation speed [--seconds S] [--page]
    python -m bench.translation page

``corpora`` has the pairs; results are kept in bench/results/, and ``--page`` writes them into docs/translation.md. Runs
that are kept are not made again, and one that was broken off is resumed: the same command goes on. ``speed`` wants an
otherwise idle machine.
"""
