"""The order of the packages: imports go to the right only, those inside functions too; chains are short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "__main__ > cli > commands > evaluation > training > objectives > targets > decoding teachers > models "
    "> scoring quantizer > data > core > __init__"
)
RANKS = {name: rank for rank, names in enumerate(ORDER.split(" > ")) for name in names.split()}
PRIVATE = ("checks", "installation", "proving")  # to asrkd.commands
FILES = sorted((ROOT / "asrkd").rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module of asrkd, or name in one, that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "asrkd")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "asrkd":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        assert not getattr(node, "level", 0), f"{path}:{node.lineno}: a relative import hides where it goes"


def room(name: str) -> str:
    """The package, or module at the root, that a dotted name leads to."""
    second = name.split(".")[1] if "." in name else "__init__"
    return second if (ROOT / "asrkd" / second).is_dir() or second == "__main__" else "__init__"


def against_the_order(path: Path, names: list[str]) -> list[str]:
    """Those of the imported names that a file of asrkd may not import."""
    own = path.relative_to(ROOT / "asrkd").parts[0].removesuffix(".py")
    others = [name for name in names if room(name) != own]
    private = tuple(f"asrkd.commands.{name}" for name in PRIVATE)
    return [name for name in others if RANKS[room(name)] <= RANKS[own] or name.startswith(private)]


def test_every_package_has_its_place_in_the_order():
    rooms = {path.relative_to(ROOT / "asrkd").parts[0].removesuffix(".py") for path in FILES}
    assert rooms == RANKS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_to_the_right_only(path):
    assert against_the_order(path, list(imported(path))) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("core/files.py", "asrkd.data.cuts.manifests"),
        ("data/cuts/folds.py", "asrkd.scoring.edits.HIT"),
        ("teachers/teacher.py", "asrkd.decoding.greedy"),
        ("training/trainer.py", "asrkd.commands.train.train"),
        ("cli/main.py", "asrkd.commands.checks.store"),
        ("commands/train.py", "asrkd.cli"),
    ],
)
def test_an_import_to_the_left_is_found(path, name):
    assert against_the_order(ROOT / "asrkd" / path, [name]) == [name]
    assert against_the_order(ROOT / "asrkd/commands/doctor.py", ["asrkd.commands.installation.checks"]) == []


def test_import_chains_have_at_most_20_modules_and_no_cycle():
    """So that to read a config is not to load everything; the chain is in the message."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in FILES
    }
    chains: dict[str, tuple[str, ...]] = {}

    def chain(module: str, above: tuple[str, ...]) -> tuple[str, ...]:
        assert module not in above, f"modules that import each other: {(*above, module)}"
        if module not in chains:
            targets = {name if name in names else name.rpartition(".")[0] for name in imported(names[module])}
            below = [chain(target, (*above, module)) for target in targets & names.keys() - {module}]
            chains[module] = (module, *max(below, key=len, default=()))
        return chains[module]

    longest = max((chain(module, ()) for module in names), key=len)
    assert len(longest) <= 20, longest
