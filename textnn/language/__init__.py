"""What comes next in a text: language models of characters or words.

texts --encoding--> streams of ids --fitting--> State --scoring--> log-probabilities, perplexity
                                                  |
                                     prompt --generation--> text, token by token
"""
