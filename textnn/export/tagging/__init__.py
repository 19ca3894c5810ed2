"""Exports of taggers: the network as a program, and a script that does the rest.

tagger -> network (padded batches; emissions) -> package (a directory) <- consumer, which becomes predict.py
"""

from textnn.export.tagging.network import ExportedTagger
from textnn.export.tagging.package import export_tagger

__all__ = ["ExportedTagger", "export_tagger"]
