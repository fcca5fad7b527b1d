"""A row of the report says what was found and what mends it."""

from asrkd.commands.installation.checks import Check, Status, in_a_line


def test_a_row_has_separate_lines_for_note_and_command():
    check = Check("k2", Status.WRONG, "broken", "for speed", "pip uninstall k2")
    first, note, remedy = check.text().split("\n")
    assert first.split() == ["WRONG", "k2", "broken"]
    assert note.strip() == "for speed"
    assert remedy.strip() == "fix it with: pip uninstall k2"


def test_a_row_that_is_well_is_one_line():
    assert "\n" not in Check("torch", Status.OK, "2.11.0").text()


def test_an_error_of_many_lines_becomes_one_that_names_its_kind():
    assert in_a_line(ImportError("\nno symbol\nat 0x0\n")) == "ImportError: no symbol"


def test_an_error_that_says_nothing_is_named_by_its_kind():
    assert in_a_line(KeyError()) == "KeyError"
