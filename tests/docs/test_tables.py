"""Tables of the guides that list what the code has: no name is missing, none is left over."""

import re

import pytest
import yaml

from asrkd.decoding.searches import SEARCHES
from asrkd.evaluation.inheritance.error_classes import ErrorClass
from asrkd.objectives import kinds
from asrkd.scoring import normalizer, units
from tests.docs.pages import ROOT

LONGEST = {"README.md": 140, "CONTRIBUTING.md": 50}


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


def test_the_front_pages_stay_short():
    lines = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in LONGEST}
    assert {name: count for name, count in lines.items() if count > LONGEST[name]} == {}


def test_the_citation_has_the_four_papers_of_the_readme():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    readme = re.sub(r"\s+", " ", (ROOT / "README.md").read_text(encoding="utf-8").lower())
    methods = [
        reference for reference in citation["references"] if "docs/methods" in reference.get("notes", "")
    ]
    assert len(methods) == 4
    for reference in methods:
        assert reference["title"].lower() in readme
        assert (ROOT / reference["notes"].split(": ")[-1]).is_file()
        assert all({"family-names", "given-names"} <= author.keys() for author in reference["authors"])
    assert all(
        {"type", "title", "authors", "year"} <= reference.keys() for reference in citation["references"]
    )
