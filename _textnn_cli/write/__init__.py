"""``textnn write train | continue | score``: language models, from files of texts to new text and scores.

files of texts (``reading``) -> LanguageModel -> text, piece by piece, or log-probabilities as JSON lines
"""
