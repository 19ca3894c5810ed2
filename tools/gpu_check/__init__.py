"""`make gpu-check`: builds textnn for the GPU at hand, then tests, checks and measures it there, within eight minutes.

It takes the Python, torch and toolkit that are there and asks the network for nothing. How data flows:

machine.py      what is there: the device, torch, the toolkit and its tools
parts.py        each part: what it needs, how long it may take, the programs that it runs
running.py      programs with a time limit, whose whole process group ends there
rows.py         what those programs find, a line of JSON at a time, so that a killed one leaves what it had
page.py         all of it as a page, which tables.py makes the tables of

The programs: recorder.py (inside pytest), cases.py (under compute-sanitizer, sanitizer.py reads its report),
profiled.py (under ncu, counters.py reads its report), first.py (the first kernel), and `python -m bench.cuda`.
"""
