"""Exports: a classifier, or any model with textnn's layers, for where textnn is not.

classifier -> networks (architectures on padded batches) -> package (a directory, with what makes ids of texts)
                                                              onnx      model.onnx
                                                              program   model.pt2
any model -> to_torch_nn (plain, recurrence) -> torch.onnx.export, export_program

consumer    becomes predict.py of an export: texts in, labels out
readme      becomes its README.md
"""

from textnn.export.directory import FORMATS
from textnn.export.networks import PlainNetwork
from textnn.export.package import export_classifier
from textnn.export.plain import to_torch_nn
from textnn.export.recurrence import export_program

__all__ = ["FORMATS", "PlainNetwork", "export_classifier", "export_program", "to_torch_nn"]
