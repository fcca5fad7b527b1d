"""Every objective has its tests: a module that imports it, and in it a test of padding."""

import ast
from pathlib import Path

import pytest

from asrkd.objectives import NAMED_IN_DUMPS, ObjectiveEntry, kinds

FOLDER = Path(__file__).parent
MODULES = [ast.parse(path.read_text(encoding="utf-8")) for path in FOLDER.rglob("test_*.py")]


@pytest.mark.parametrize("name", kinds())
def test_every_objective_has_a_test_of_padding(name):
    module = kinds()[name].config.__module__
    tests = {
        function.name
        for tree in MODULES
        if any(isinstance(node, ast.ImportFrom) and node.module == module for node in tree.body)
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
    }
    assert tests, (
        f"no module of tests/objectives imports from {module}; write tests/objectives/test_{name}.py"
    )
    padding = [test for test in tests if "padd" in test or "nan" in test.split("_")]
    assert padding, f"no test of {module} has padding or nan in its name: one that fills the padding with NaN"


def test_a_new_objective_changes_no_dump_of_configs_without_it():
    """Lineages and run records hold dumps: one more null in them, and no row of a table would be restored."""
    dumped = ObjectiveEntry.model_validate("ctc").model_dump(mode="json", exclude_unset=False)
    assert dumped.keys() == NAMED_IN_DUMPS
    assert [name for name, settings in dumped.items() if settings is not None] == ["ctc"]
    younger = ObjectiveEntry.model_validate({"kl": {"targets": "exp/x"}}).model_dump(mode="json")
    assert younger.keys() == NAMED_IN_DUMPS | {"kl"}
    assert ObjectiveEntry.model_validate({"kl": younger["kl"]}).settings.targets == "exp/x"
    for name in ("later_keys", "layer"):
        assert name not in dumped["ctc"]
