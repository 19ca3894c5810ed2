"""Texts of one language into another: a recurrent encoder and decoder with attention.

pairs --encoding--> ids of both sides --fitting--> State --translating--> text     (``search``: greedy, or a beam)
                                                     |
                                                text --alignment--> which source tokens each target token looked at
"""
