"""Whether a classifier gains from a language model of texts without labels, by the number of labels.

    python -m bench.pretraining FILE --model DIRECTORY [--sizes N ...] [--draws N] [--only NAME ...] [--page]
    python -m bench.pretraining FILE --model DIRECTORY --train
    python -m bench.pretraining --page

``corpora`` divides the texts: a test part that no model sees, and the rest, of which the language model reads all texts
and a classifier the labels of a few. ``--train`` trains the language model, and resumes where it was interrupted; each
classifier's accuracy is kept in bench/results/pretraining.json as it comes, and what is there is not run again. The
page shows runs on all texts (no ``--limit``), and of several language models the one that was measured last.
"""
