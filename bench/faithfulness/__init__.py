"""Whether explanations name the words that a prediction hangs on.

    python -m bench.faithfulness [--data FILE] [--texts N] [--only NAME ...] [--models DIRECTORY] [--threads N]
    python -m bench.faithfulness --page                                          write docs/faithfulness.md alone

    contestants  a classifier, a text -> a figure for each token: textnn's methods, gradient x input, random ones
    measure      texts without the tokens of the largest figures, or with these alone -> the classifier -> what changed
    page         bench/results/faithfulness.json -> tables and a plot

Texts are those of the test part of bench/accuracy's first split; the classifiers learn from the other parts.
"""
