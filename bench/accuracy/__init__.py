"""How accurate textnn's architectures are, beside strong opponents on the same texts.

    python -m bench.accuracy [--data FILE ...] [--seeds N] [--only NAME ...] [--threads N]    measure what is lacking
    python -m bench.accuracy --precision both --sizes 5000 --only textnn ...                  and train in bfloat16 too
    python -m bench.accuracy --page [FILE]                                                    write docs/accuracy.md

    corpora      a file -> different texts with one label each -> 80 % training, 10 % validation, 10 % test by seed
    tokens       texts -> words, once for all seeds and for all who use the same tokenizer
    contestants  training and validation parts -> predictions of the test part: every architecture of textnn
    opponents    the same of TF-IDF with linear models, fastText, snownlp
    results      bench/results/accuracy.json: one entry a data set, contestant, its settings and seed
    page         the entries -> tables and a plot
    precision    entries of trainings in bfloat16 -> a table beside those in float32

Whatever is in the results already is not measured again, so that a run that was broken off goes on where it stopped.
"""
