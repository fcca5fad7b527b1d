"""The order of the packages: imports go to the right only, those inside functions too; chains are short.

An import is whatever leads from a file to a module of asrkd by a name that stands in it: an import statement
anywhere, attributes of an imported package (``import asrkd.commands as c``, then ``c.checks``), and a string
that is the name of a module, whoever reads it (``import_module``, ``__import__``, ``resolve_name``,
``sys.modules``). Names that are put together for such a function are refused, but for the registry of the
objectives, which imports the modules of its own package alone.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "__main__ > cli > commands > evaluation > training > objectives > targets > decoding teachers deployment "
    "> models > scoring quantizer > data > core > __init__"
)
RANKS = {name: rank for rank, names in enumerate(ORDER.split(" > ")) for name in names.split()}
PRIVATE = {
    "checks": "check",
    "installation": "doctor",
    "proving": "selftest",
    "sweeping": "sweep",
}  # folder of commands: its owner
REGISTRY = "objectives/__init__.py"
FILES = sorted((ROOT / "asrkd").rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES
}
# Functions that import a module by its name.
IMPORTERS = {"import_module", "__import__", "resolve_name", "find_spec", "run_module"}
NAME_OF_MODULE = re.compile(r"(asrkd|tests)(\.\w+)*([.:]\w+)*")


def imported(source: str, name: str = "") -> Iterator[str]:
    """Every module of asrkd or tests, or name in one, that a source text leads to, wherever in it."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}  # what the names of imports stand for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                bound[alias.asname or first] = alias.name if alias.asname else first
                yield from [alias.name] if is_ours(alias.name) else []
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}:{node.lineno}: a relative import hides where it goes"
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield from [f"{node.module}.{alias.name}"] if is_ours(node.module or "") else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_ours(path := dotted(node, bound)):
            yield path
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_module(node.value):
            yield node.value.replace(":", ".")
        elif isinstance(node, ast.Call) and name != REGISTRY and puts_a_name_together(node, bound):
            raise AssertionError(f"{name}:{node.lineno}: imports a module by a name that is put together")


def is_ours(name: str) -> bool:
    return name.split(".")[0] in ("asrkd", "tests")


def dotted(node: ast.expr, bound: Mapping[str, str]) -> str:
    """The dotted name that attributes of an imported name stand for; '' for all else."""
    if isinstance(node, ast.Name):
        return bound.get(node.id, "")
    base = dotted(node.value, bound) if isinstance(node, ast.Attribute) else ""
    return f"{base}.{node.attr}" if base else ""


def is_module(text: str) -> bool:
    """Whether a string names a module of asrkd or tests, or something in one."""
    if not NAME_OF_MODULE.fullmatch(text) or not set(".:") & set(text):
        return False
    return text.startswith("tests.") or module_of(text.replace(":", ".")) != "asrkd"


def module_of(name: str) -> str:
    """The module of asrkd that a dotted name leads to."""
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name


def puts_a_name_together(call: ast.Call, bound: Mapping[str, str]) -> bool:
    """Whether a call imports a module by a computed name that begins within asrkd."""
    plain = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    inside = [node for argument in arguments for node in ast.walk(argument)]
    texts = [node.value for node in inside if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    names = {node.id for node in inside if isinstance(node, ast.Name)}
    is_whole = len(arguments) == 1 and isinstance(arguments[0], ast.Constant)
    begins_here = bool(names & {"__name__", "__package__"}) or any(map(is_ours, texts))
    imports = (dotted(call.func, bound) or plain).rpartition(".")[2] in IMPORTERS
    return imports and not is_whole and begins_here


def room(name: str) -> str:
    """The package, or module at the root, that a dotted name leads to."""
    second = name.split(".")[1] if "." in name else "__init__"
    return second if (ROOT / "asrkd" / second).is_dir() or second == "__main__" else "__init__"


def against_the_order(path: str, names: list[str]) -> list[str]:
    """Those of the imported names that a file, by its path in asrkd, may not import."""
    room_of_file = path.split("/")[0].removesuffix(".py")

    def is_refused(name: str) -> bool:
        if name.split(".")[0] == "tests":
            return True
        for folder, owner in PRIVATE.items():
            is_inside = path == f"commands/{owner}.py" or path.startswith(f"commands/{folder}/")
            if f"{name}.".startswith(f"asrkd.commands.{folder}.") and not is_inside:
                return True
        return room(name) != room_of_file and RANKS[room(name)] <= RANKS[room_of_file]

    return [name for name in names if is_refused(name)]


def graph_of_modules() -> dict[str, set[str]]:
    """The modules that each module imports."""
    graph = {}
    for module, path in MODULES.items():
        names = imported(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT / "asrkd")))
        graph[module] = {module_of(name) for name in names} - {module}
    return graph


def longest_chain(graph: Mapping[str, AbstractSet[str]]) -> tuple[str, ...]:
    """The longest chain of imports; AssertionError where they go in a circle."""
    chains: dict[str, tuple[str, ...]] = {}

    def chain(node: str, above: tuple[str, ...]) -> tuple[str, ...]:
        assert node not in above, f"imports in a circle: {(*above, node)}"
        if node not in chains:
            below = [chain(target, (*above, node)) for target in sorted(graph.get(node, ()))]
            chains[node] = (node, *max(below, key=len, default=()))
        return chains[node]

    return max((chain(node, ()) for node in graph), key=len)


def graph_of_folders(graph: Mapping[str, AbstractSet[str]]) -> dict[str, set[str]]:
    """The folders that each folder imports from; __main__ is none of the root's."""
    folders: dict[str, set[str]] = {}
    for module, targets in graph.items():
        folders.setdefault(folder_of(module), set()).update(map(folder_of, targets))
    return {folder: targets - {folder} for folder, targets in folders.items()}


def folder_of(module: str) -> str:
    return module if MODULES[module].name in ("__init__.py", "__main__.py") else module.rpartition(".")[0]


def test_every_package_has_its_place_in_the_order():
    rooms = {path.relative_to(ROOT / "asrkd").parts[0].removesuffix(".py") for path in FILES}
    assert rooms == RANKS.keys()


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT / "asrkd")) for path in FILES])
def test_imports_go_to_the_right_only(path):
    source = (ROOT / "asrkd" / path).read_text(encoding="utf-8")
    assert against_the_order(path, list(imported(source, path))) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/files.py", "import asrkd.data.cuts.manifests"),
        ("data/cuts/folds.py", "from asrkd.scoring.edits import HIT"),
        ("teachers/teacher.py", "from asrkd.decoding import greedy"),
        ("training/trainer.py", "def later():\n    from asrkd.commands.train import train"),
        ("commands/train.py", "import asrkd.cli"),
        ("cli/main.py", "from asrkd.commands.checks import store"),
        ("commands/train.py", "from asrkd.commands import checks"),
        ("commands/train.py", "from asrkd.commands.checks.store import audit_store"),
        ("commands/check.py", "from asrkd.commands.installation import checks"),
        ("commands/doctor.py", "import asrkd.commands.proving.child"),
        ("commands/checks/store.py", "from asrkd.commands.proving import child"),
        ("commands/train.py", "import asrkd.commands as c\nc.checks"),
        ("cli/main.py", "from asrkd import commands\ncommands.proving.child"),
        ("core/files.py", "import asrkd.core.errors\nasrkd.commands.train.train()"),
        ("core/files.py", "import asrkd\nasrkd.data"),
        ("core/files.py", "import importlib\nimportlib.import_module('asrkd.data.tokens')"),
        ("core/files.py", "from importlib import import_module as load\nload('asrkd.data.tokens')"),
        ("core/files.py", "import importlib\nimportlib.import_module(name='asrkd.data')"),
        ("core/files.py", "__import__('asrkd.data.tokens')"),
        ("core/files.py", "import pkgutil\npkgutil.resolve_name('asrkd.data.tokens:Tokens')"),
        ("core/files.py", "import sys\nsys.modules['asrkd.data.tokens'].Tokens"),
        ("core/files.py", "import sys\nsys.modules.get('asrkd.data')"),
        ("core/files.py", "import tests.conftest"),
        ("core/files.py", "from tests import conftest"),
        ("core/files.py", "from tests.conftest import teacher"),
        ("core/files.py", "__import__('tests.conftest')"),
    ],
)
def test_an_import_to_the_left_is_found(path, source):
    assert against_the_order(path, list(imported(source, path)))


@pytest.mark.parametrize(
    "source",
    [
        "from . import files",
        "import importlib\nimportlib.import_module(f'asrkd.{name}')",
        "import importlib\nimportlib.import_module('asrkd.' + name)",
        "from importlib import import_module as load\nload('asrkd.' + name)",
        "import importlib\nimportlib.import_module('.data', 'asrkd')",
        "import importlib\nimportlib.import_module(f'{__name__}.{name}')",
        "__import__(__package__)",
    ],
)
def test_an_import_that_hides_where_it_goes_is_refused(source):
    with pytest.raises(AssertionError, match=r"core/files\.py:\d: (a relative import|imports a module)"):
        list(imported(source, "core/files.py"))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("commands/doctor.py", "from asrkd.commands.installation.checks import Check"),
        ("commands/check.py", "import asrkd.commands as c\nc.checks"),
        ("commands/checks/store.py", "from asrkd.commands.checks.findings import Findings"),
        ("commands/train.py", "import importlib\nimportlib.import_module('kenlm')"),
        ("commands/train.py", "print('asrkd: a message', 'asrkd', 'tests')"),
        (REGISTRY, "import importlib\nimportlib.import_module(f'{__name__}.{name}')"),
    ],
)
def test_an_import_in_order_is_allowed(path, source):
    assert against_the_order(path, list(imported(source, path))) == []


def test_import_chains_have_at_most_20_modules_and_no_circle():
    """So that to read a config is not to load everything; the chain is in the message."""
    longest = longest_chain(graph_of_modules())
    assert len(longest) <= 20, longest


def test_the_registry_makes_the_longest_chain_as_much_longer_as_the_page_says():
    graph = graph_of_modules()
    objectives = {name for name in MODULES if re.fullmatch(r"asrkd\.objectives\.\w+", name)}
    with_registry = graph | {"asrkd.objectives": graph["asrkd.objectives"] | objectives}
    more = len(longest_chain(with_registry)) - len(longest_chain(graph))
    page = (ROOT / "docs/contributing/architecture.md").read_text(encoding="utf-8")
    assert f"with it the longest chain is {more} more" in " ".join(page.split())


def test_folders_do_not_import_each_other():
    longest_chain(graph_of_folders(graph_of_modules()))


def test_folders_that_import_each_other_are_found():
    graph = {
        "asrkd.evaluation.report.page": {"asrkd.evaluation.compare.table"},
        "asrkd.evaluation.compare.systems": {"asrkd.evaluation.report.systems"},
    }
    longest_chain(graph)
    with pytest.raises(AssertionError, match="imports in a circle"):
        longest_chain(graph_of_folders(graph))
