"""Fuzzing of everything that reads files and requests nobody vouches for; not part of the package.

python -m fuzz --runs 20000                     every target, 20,000 inputs each
python -m fuzz --target model --seed 7          one of them, from another beginning
python -m fuzz --replay build/fuzz/crash-...    one input again, with its traceback
python -m fuzz --page                           the figures of the last runs -> docs/safety.md

bytes -> target (``targets``): a file made of them, or a valid one with damage -> the reader -> an error that is
documented, or a result that can be used
engine (``engine``): atheris, led by coverage, where it is installed; else mutation of seeds -> bytes
watch (``watch``): time, memory and errors of each input -> findings, figures
"""
