"""``python -m textnn`` is the command ``textnn``."""

from __future__ import annotations

from _textnn_cli import main

if __name__ == "__main__":
    main()
