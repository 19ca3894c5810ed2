"""``textnn translate train | predict | evaluate``: translators, from files of pairs of texts to translations.

files of pairs (``reading``) -> Translator -> translations as lines, tables or JSON lines; BLEU
"""
