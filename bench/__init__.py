"""Benchmarks: one program for each claim, and ``python -m bench`` for all of them and docs/benchmarks.md."""
