"""Inventory of the tests: functions, collected cases and assertions, of one checkout or of two.

    python -m tests.count_assertions                       # this checkout, by file
    python -m tests.count_assertions OTHER --moved TABLE   # what this checkout has lost against another

Counted by syntax: ``assert`` statements, ``pytest.raises`` and ``pytest.warns``,
calls of ``assert_close`` and its like, ``pytest.approx``; cases are what pytest
collects. Tests are matched by name, wherever their files stand. TABLE has a
line for each name that is gone: the old name, a tab, the new names between
commas; a third column says why the new ones have fewer assertions, if they may.
Exit status 1 if a test is gone that the table does not have, or if tests or
the whole have fewer assertions than before.
"""

import argparse
import ast
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("assert", "raises", "assert_close", "approx")
ROOT = Path(__file__).parents[1]


@dataclass
class Inventory:
    """The tests of a file, or of a checkout."""

    tests: dict[str, list[Counter[str]]] = field(default_factory=lambda: defaultdict(list))  # by name
    assertions: Counter[str] = field(default_factory=Counter)  # by kind, with those of helpers
    num_cases: int = 0

    def __iadd__(self, other: "Inventory") -> "Inventory":
        for name, counts in other.tests.items():
            self.tests[name] += counts
        self.assertions += other.assertions
        self.num_cases += other.num_cases
        return self

    def row(self, name: str) -> str:
        """A line of the table."""
        numbers = [sum(map(len, self.tests.values())), self.num_cases, *(self.assertions[k] for k in KINDS)]
        return "".join(f"{number:>8}" for number in numbers) + f"  {name}"


def kind_of(node: ast.AST) -> str | None:
    """Which kind of assertion a node of the syntax tree is; None if it is none."""
    if isinstance(node, ast.Assert):
        return "assert"
    if not isinstance(node, ast.Call):
        return None
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in ("raises", "warns"):
        return "raises"
    if name.startswith("assert_"):
        return "assert_close"
    return "approx" if name == "approx" else None


def count(tree: ast.AST) -> Counter[str]:
    """Assertions below a node, by kind."""
    return Counter(kind for node in ast.walk(tree) if (kind := kind_of(node)) is not None)


def read(path: Path) -> Inventory:
    """Count the tests and assertions of a file; its cases are pytest's to count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inventory = Inventory(assertions=count(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            inventory.tests[node.name].append(count(node))
    return inventory


def collected(checkout: Path) -> Counter[str]:
    """Cases that pytest collects in a checkout, by file; nothing is written there."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    environment = os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{checkout}: pytest cannot collect its tests\n{done.stdout[-2000:]}{done.stderr}")
    return Counter(line.split("::")[0] for line in done.stdout.splitlines() if "::" in line)


def inventory_of(checkout: Path) -> dict[str, Inventory]:
    """The inventory of every file below ``tests/`` that has tests or assertions."""
    cases = collected(checkout)
    files = {}
    for path in sorted((checkout / "tests").rglob("*.py")):
        name = str(path.relative_to(checkout))
        files[name] = read(path)
        files[name].num_cases = cases[name]
    return {name: file for name, file in files.items() if file.tests or file.assertions}


def total(files: dict[str, Inventory]) -> Inventory:
    whole = Inventory()
    for file in files.values():
        whole += file
    return whole


def read_table(path: Path | None) -> dict[str, tuple[list[str], str]]:
    """Old name → new names, and why they may have fewer assertions; empty if they may not."""
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines() if line] if path else []
    return {old: (new.split(","), "".join(why)) for old, new, *why in rows}


def compare(before: Inventory, after: Inventory, moved: dict[str, tuple[list[str], str]]) -> list[str]:
    """What was lost, a line each."""
    problems = []
    sources: dict[tuple[str, ...], list[str]] = defaultdict(list)  # old names of new ones
    excused = set()
    for name in before.tests:
        new, why = ([name], "") if name in after.tests else moved.get(name, ([], ""))
        if not new or any(one not in after.tests for one in new):
            problems.append(f"gone: {name}" + (f", moved to {', '.join(new)}, not there" if new else ""))
            continue
        sources[tuple(new)].append(name)
        if why:
            excused.add(tuple(new))
    for new_names, old_names in sources.items():
        had = sum(sum(c.values()) for name in old_names for c in before.tests[name])
        has = sum(sum(c.values()) for name in new_names for c in after.tests[name])
        if has < had and new_names not in excused:
            problems.append(f"{has} assertions, {had} before: {', '.join(new_names)}")
    for kind in KINDS:
        if after.assertions[kind] < before.assertions[kind]:
            problems.append(f"{kind}: {after.assertions[kind]}, {before.assertions[kind]} before")
    if after.num_cases < before.num_cases:
        problems.append(f"cases: {after.num_cases}, {before.num_cases} before")
    return problems


def main() -> None:
    """Print the inventory, and what was lost against another checkout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", nargs="?", type=Path, help="checkout to compare this one with")
    parser.add_argument("--moved", type=Path, help="table of names that are gone")
    options = parser.parse_args()
    files = inventory_of(ROOT)
    print("".join(f"{name[:7]:>8}" for name in ("tests", "cases", *KINDS)))
    for name, file in files.items():
        if options.other is None:
            print(file.row(name))
    whole = total(files)
    print(whole.row("this checkout"))
    if options.other is not None:
        before = total(inventory_of(options.other.resolve()))
        print(before.row(str(options.other)))
        problems = compare(before, whole, read_table(options.moved))
        print("\n".join(problems) if problems else "nothing lost")
        raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()
