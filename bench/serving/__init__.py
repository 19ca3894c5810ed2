"""``textnn serve`` under load: requests a second, how long one takes, and whether any is lost.

    python -m bench.serving [--data FILE] [--model DIRECTORY] [--seconds N] [--rounds N] [--threads N] [--page]

Servers in processes of their own, with micro-batching and without, get the same reviews from this process by turns;
``--page`` writes docs/serving-load.md from the last results. It wants an otherwise idle machine.
"""
