"""Language models: perplexity on verses that were held out, beside a plain PyTorch network and an n-gram model.

    python -m bench.language perplexity [--only NAME ...] [--seeds N] [--epochs N] [--limit N] [--page]
    python -m bench.language verses [--limit N] [--page]
    python -m bench.language page

``corpora`` has the texts; results are kept in bench/results/, and ``--page`` writes them into docs/language.md. All
contestants predict the same tokens, characters of one vocabulary and the ends of verses, so perplexities compare.
"""
