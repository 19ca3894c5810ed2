"""From raw text to label: how many texts a second, and how long one text takes.

    python -m bench.throughput [--data FILE] [--texts N] [--threads N] [--page]

Every pipeline is trained on the same texts, once, then all classify the same ones, in turn; ``--page`` writes
docs/throughput.md. It wants an otherwise idle machine.
"""
