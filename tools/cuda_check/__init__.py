"""`make cuda-check`: compiles the CUDA kernels for every architecture and holds what they use against a budget.

compile.py     .cu files to objects, ptxas' report and PTX, each file anew only when something of it changed
report.py      the report and the PTX to what each kernel uses on each architecture
occupancy.py   that to the share of a multiprocessor's warps which can be resident
budget.py      that against budget.json: what is wrong, as sentences
table.py       all of it as a table, for a terminal and for a page
"""
