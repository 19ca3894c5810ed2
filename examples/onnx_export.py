"""Trains a small classifier and exports it to ONNX, for a runtime of another language: see onnx_node.cjs.

    python examples/onnx_export.py exported/
    npm install --prefix examples --ignore-scripts onnxruntime-node
    node examples/onnx_node.cjs exported/ "clean room" "rude staff"

Words are cut at white space here, which every language can do. For a model with jieba's words use jieba in the other
language, or tokenizer="char".
"""

from __future__ import annotations

import argparse
from pathlib import Path

from textnn import SentimentClassifier

TEXTS = ["clean room", "friendly staff", "tasty food", "dirty room", "rude staff", "bland food"] * 20
LABELS = ["good", "good", "good", "bad", "bad", "bad"] * 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="the directory to write; it must not exist, or be an earlier export")
    output = parser.parse_args().output
    classifier = SentimentClassifier("textcnn", tokenizer="whitespace", random_state=0, verbose=0)
    classifier.fit(TEXTS, LABELS)
    classifier.export("onnx", output)
    for text, row in zip(TEXTS[:6], classifier.predict_proba(TEXTS[:6]), strict=True):
        print(f"{text}\t{classifier.classes_[row.argmax()]}\t{row.max():.4f}")


if __name__ == "__main__":
    main()
