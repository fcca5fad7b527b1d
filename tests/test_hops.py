"""Hops from a command to the equation that it computes: calls of one function of asrkd by another.

The chains stand in docs/contributing/architecture.md; each link of one is followed in the source. A
function's source includes the functions and lambdas nested in it, as a call that comes back into one of
these leads nowhere new. A link leads from a function to another one

- that its source names, through its own imports or those of its module; or
- that it calls without naming it: a parameter, an attribute, an entry of a table. The line then says ``by``
  what it is handed over, built, declared or registered: that source names it, or the class of a method.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/contributing/architecture.md"
LIMITS = {"train": 8, "codebook": 9, "nbest": 9, "score": 6, "compare": 5}


def chains() -> dict[str, list[tuple[str, str]]]:
    """(function, function that hands it over or '') of each link, by chain."""
    parsed: dict[str, list[tuple[str, str]]] = {}
    _, _, hops = PAGE.read_text(encoding="utf-8").partition("## Hops")
    for line in hops.partition("```text\n")[2].partition("```")[0].splitlines():
        if line.startswith(" "):
            name, _, handed_by = line.strip().partition(" by ")
            parsed[list(parsed)[-1]].append((name, handed_by))
        elif line:
            parsed[line] = []
    return parsed


def resolve(name: str) -> Any:
    """The object that ``module:qualified.name`` names."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    return found


@lru_cache
def tree(name: str) -> ast.AST:
    """Syntax tree of a function, or of the assignment of a table."""
    module, _, path = name.partition(":")
    body: list[ast.stmt] = ast.parse(inspect.getsource(importlib.import_module(module))).body
    for part in path.split("."):
        (node,) = (node for node in body if part in defined(node))
        body = getattr(node, "body", [])
    return node


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement of a module or a class defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def named(name: str) -> Iterator[Any]:
    """Every object that the source of a function names, and the plain name where it is an attribute's."""
    scope = dict(vars(importlib.import_module(name.partition(":")[0])))
    if "." in name.partition(":")[2]:
        scope["self"] = resolve(name.rpartition(".")[0])
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                scope[alias.asname or alias.name] = imported(node.module or "", alias.name)
    for node in ast.walk(tree(name)):
        if isinstance(node, (ast.Name, ast.Attribute)):
            yield evaluated(node, scope)
            if isinstance(node, ast.Attribute):
                yield node.attr


def imported(module: str, name: str) -> Any:
    try:
        return importlib.import_module(f"{module}.{name}")
    except ImportError:
        return getattr(importlib.import_module(module), name)


def evaluated(node: ast.expr, scope: dict[str, Any]) -> Any:
    """What a name, or attributes of a name, stand for; None where only a running program knows."""
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute) and (base := evaluated(node.value, scope)) is not None:
        return inspect.getattr_static(base, node.attr, None)
    return None


def leads_to(caller: str, callee: str, handed_by: str) -> bool:
    """Whether a link holds by the rule above."""
    module, _, path = callee.partition(":")
    owner = resolve(f"{module}:{path.rpartition('.')[0]}") if "." in path else None
    known = list(named(caller))
    if not handed_by:
        own_names = {value for value in known if isinstance(value, str)}
        is_called = path.rpartition(".")[2] in own_names or path.endswith("__call__")
        constructed = owner is not None and is_called and any(value is owner for value in known)
        return constructed or any(value is resolve(callee) for value in known)
    calls_unknown = any(
        not isinstance(node.func, ast.Name) or node.func.id in arguments(caller)
        for node in ast.walk(tree(caller))
        if isinstance(node, ast.Call)
    )
    wanted = [resolve(callee), importlib.import_module(module), *([] if owner is None else [owner])]
    return calls_unknown and any(value is each for value in named(handed_by) for each in wanted)


def arguments(name: str) -> set[str]:
    return {node.arg for node in ast.walk(tree(name)) if isinstance(node, ast.arg)}


LINKS = [
    (chain, caller, *link)
    for chain, links in chains().items()
    for (caller, _), link in zip(links, links[1:], strict=False)
]


@pytest.mark.parametrize(("chain", "caller", "callee", "handed_by"), LINKS)
def test_each_link_leads_from_a_function_to_the_next(chain, caller, callee, handed_by):
    assert leads_to(caller, callee, handed_by), f"{chain}: {caller} does not lead to {callee}"


def test_commands_are_few_hops_from_their_equations():
    hops = {chain: len(links) - 1 for chain, links in chains().items()}
    assert hops.keys() == LIMITS.keys()
    assert {chain: count for chain, count in hops.items() if count > LIMITS[chain]} == {}
    starts = {links[0][0].partition(":")[0] for links in chains().values()}
    assert all(start.startswith("asrkd.cli.") for start in starts)


@pytest.mark.parametrize(
    ("caller", "callee", "handed_by"),
    [
        ("asrkd.cli.main:train", "asrkd.training.trainer:Trainer.run", ""),
        ("asrkd.commands.train:train", "asrkd.objectives.ctc:ctc_sum", ""),
        ("asrkd.training.learner:Learner.forward", "asrkd.objectives.ctc:Ctc.forward", ""),
        (
            "asrkd.core.parallel:run_tasks",
            "asrkd.targets.writers.arrays:_write_codebook",
            "asrkd.targets.store.building:make_store",
        ),
    ],
)
def test_a_link_that_skips_a_function_is_found(caller, callee, handed_by):
    assert not leads_to(caller, callee, handed_by)
