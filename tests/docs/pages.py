"""The pages of the repository, and what stands in them: fenced blocks, code in a line, links, headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "data", "exp", "constraints", "stages", "tests")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"!?\[(?:[^\]]*)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every Markdown page that is kept in the repository and is not an output."""
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")]
    outputs = [*(ROOT / "data").glob("*/**"), *(ROOT / "exp").glob("*/**")]
    return sorted([*ROOT.glob("*.md"), *(path for path in below if path.parent not in outputs)])


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, without their indentation."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        indent, language, body = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, language, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE))


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """What stands between backticks in the prose of a page, a line break in it a blank."""
    return [re.sub(r"\s+", " ", span) for span in SPAN.findall(prose(page))]


def links(page: Path) -> list[str]:
    """The targets of a page's links and images."""
    return LINK.findall(SPAN.sub("", prose(page)))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Python-Markdown make them."""
    titles = re.findall(r"^#+ +(.+?)(?: *\{#.*\})?$", prose(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "") for title in titles]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in plain}
