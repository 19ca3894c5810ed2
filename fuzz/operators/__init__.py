"""Fuzzing of the raw operators and of textnn.functional: no call may crash, hang, or write where it must not.

python -m fuzz.operators --runs 200                         every operator and public function, 200 calls each
python -m fuzz.operators --only text_conv_backward          one of them
python -m fuzz.operators --library build/.../_C.abi3.so     on another build, such as one with the sanitizers
python -m fuzz.operators --replay text_conv_backward:17     one call again, printed, with its traceback

registry of torch.ops.textnn, textnn.functional -> valid calls (``recording``) -> one to three arguments made wrong
(``arguments``) -> the call, in a process that may die (``worker``) -> figures and findings (``driver``)

An operator that is added is fuzzed without a change here: its valid calls are recorded while the examples of the public
docstrings run, forwards and backwards, and where none of them calls it, made from its schema.
"""
