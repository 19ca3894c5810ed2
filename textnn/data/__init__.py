"""Texts and labels as users give them, made into what a network learns from.

texts, labels -> ``inputs``, ``labels``, ``targets``: checked, and codes for labels
              -> ``intake``, ``splitting``, ``audit``: a part to train on and one held out; what is wrong with them
              -> ``weighting``: how much each counts
"""
