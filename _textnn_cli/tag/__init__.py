"""``textnn tag train | predict | evaluate``: taggers, from files of tagged sentences to tagged files.

files of sentences (``reading``) -> SequenceTagger -> scores, or outputs (``writers``)
"""
