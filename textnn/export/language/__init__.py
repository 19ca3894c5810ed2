"""Exports of language models: a step of the network as a program, and a script that writes and scores with it.

language model -> network (token and states in, logits and states out) -> package (a directory) <- consumer (predict.py)
"""

from textnn.export.language.network import ExportedStep
from textnn.export.language.package import export_language_model

__all__ = ["ExportedStep", "export_language_model"]
