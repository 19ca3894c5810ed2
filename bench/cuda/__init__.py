"""textnn on a GPU: what the device can do at best, and both sides' times there.

ceilings.py, barriers.cu   a copy, matrix products, bare barriers: the limits that the kernels are held against
lstm.py                    textnn.LSTM in both forms and as chosen against nn.LSTM, padded and packed
text_conv.py               text convolution from ids against Conv1d
timing.py                  events, warm-up, sides in turn, fresh inputs, medians

`make gpu-check` runs them; alone: python -m bench.cuda NAME --record FILE.
"""
