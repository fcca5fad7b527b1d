"""Tables of the guides that list what the code has: no name is missing, none is left over."""

import re

import pytest

from asrkd.decoding.searches import SEARCHES
from asrkd.evaluation.inheritance.error_classes import ErrorClass
from asrkd.objectives import kinds
from asrkd.scoring import normalizer, units
from tests.docs.pages import ROOT


def first_cells(page: str, heading: str) -> set[str]:
    """The names in the first column of the first table below a heading (or below the title)."""
    _, _, below = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"{heading}\n")
    rows = re.search(r"^\|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n?)+)", below, re.MULTILINE)
    assert rows, f"{page}: no table below {heading}"
    cells = [row.split("|")[1] for row in rows[1].splitlines()]
    return {name.strip(" `") for cell in cells for name in cell.split(",")}


@pytest.mark.parametrize(
    ("page", "heading", "names"),
    [
        ("guide/objectives.md", "# Objectives", set(kinds())),
        ("guide/searches.md", "# Searches", set(SEARCHES)),
        ("guide/scoring.md", "## Normalizers", set(normalizer.DEFINITIONS)),
        ("guide/scoring.md", "## Units", set(units.DEFINITIONS)),
        ("guide/report.md", "## Inherited errors", {each.value for each in ErrorClass}),
    ],
)
def test_a_table_lists_what_there_is(page, heading, names):
    assert first_cells(page, heading) == names
