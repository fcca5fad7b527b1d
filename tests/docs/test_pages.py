"""What the pages say can be done: commands parse, configs validate, links and paths lead somewhere."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from asrkd.cli.main import app
from asrkd.core.config import load, parse
from asrkd.training.config import TrainConfig
from tests.docs.pages import ROOT, anchors, blocks, links, pages, prose, spans
from tests.docs.shell import commands, makefile_targets

PAGES = pages()
SHELL = [block for page in PAGES for block in blocks(page) if block.language == "bash"]
CONFIGS = [block for page in PAGES for block in blocks(page) if block.language == "yaml"]
LANGUAGES = {"bash", "yaml", "python", "json", "text"}

# `python -m` of what is no module of this repository.
MODULES = {"http.server", "mkdocs", "pip", "pytest", "venv"}
# Options in the prose that are not asrkd's.
FOREIGN = {"--directory", "--inputs", "--pairs", "--pty", "--replay", "--requeue", "--seconds"}
# Objectives that a page adds, and one with the same keys (test_example_objective.py reads the page's own).
SHOWN = {"cosine": "embedding"}
FOLDERS = r"asrkd|tests|stages|docs|constraints|\.ci"
PLACE = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./+*-]+)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parse_asrkd(words: list[str]) -> None:
    """Parse a command line of asrkd; an error if something in it is unknown or missing."""
    command: Any = get_command(app)
    words = list(words)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{words[0]}: no such command"
        command = command.commands[words.pop(0)]
    if words != ["--help"] and words != ["--version"]:
        command.make_context("asrkd", words)


@cache
def options() -> set[str]:
    """Every option of every command."""

    def below(command: Any) -> set[str]:
        own = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        return own.union(*map(below, getattr(command, "commands", {}).values()))

    return below(get_command(app)) | {"--help"}


def check_command(words: list[str], targets: set[str]) -> None:
    """Fail if a command of a page cannot be what it was meant to be."""
    for word in words:
        if word.startswith("stages/"):
            assert (ROOT / word).exists(), f"{word}: no such file"
    program, *rest = words
    if program == "asrkd":
        parse_asrkd(rest)
    elif program == "make":
        wanted = [word for word in rest if "=" not in word and not word.startswith("-")]
        assert set(wanted) <= targets, f"make {wanted}"
        makefiles = "".join(
            path.read_text() for path in [ROOT / "Makefile", *(ROOT / "stages").rglob("*.mk")]
        )
        makefiles += "".join(path.read_text() for path in (ROOT / "stages").rglob("*.sh"))
        for word in rest:
            assert "=" not in word or re.search(rf"\b{word.split('=')[0]}\b", makefiles), f"make ... {word}"
    elif program == "python":
        assert rest[0] == "-m", f"python {rest[0]}"
        if rest[1] == "asrkd":
            parse_asrkd(rest[2:])
        elif rest[1] not in MODULES:
            check_module(rest[1])
    elif program in ("torchrun", "srun", "sbatch") and "asrkd" in rest:
        parse_asrkd(rest[rest.index("asrkd") + 1 :])


def check_module(dotted: str) -> None:
    place = ROOT / dotted.replace(".", "/")
    assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), (
        f"{dotted}: no such module"
    )


@pytest.fixture(scope="session")
def targets() -> set[str]:
    return makefile_targets(ROOT)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(list(blocks(page)))


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_of_a_block_parses(block, targets, tmp_path):
    for words in commands(block.text, tmp_path):
        check_command(words, targets)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_within_a_line_exists(page, targets):
    for span in spans(page):
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            assert option in options() | FOREIGN, f"{span}: no command has {option}"
        words = span.split()
        if words[0] == "asrkd" and len(words) > 1:
            command: Any = get_command(app)
            for word in words[1:]:
                if not hasattr(command, "commands") or not re.fullmatch("[a-z]+", word):
                    break
                assert word in command.commands, span
                command = command.commands[word]
        elif words[0] == "make" and len(words) > 1 and re.fullmatch("[a-z-]+", words[1]):
            assert words[1] in targets, span
        elif words[:2] == ["python", "-m"] and words[2].startswith(("tests.", "asrkd.")):
            check_module(words[2])


def leaves(command: Any, words: str) -> list[str]:
    """The commands below a group, in words."""
    if not hasattr(command, "commands"):
        return [words]
    return [leaf for name, each in command.commands.items() for leaf in leaves(each, f"{words} {name}")]


def test_the_reference_names_every_command():
    text = (ROOT / "docs/reference/index.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `asrkd ")]
    named = set()
    for row in rows:
        first, *others = re.findall("`([^`]+)`", row)
        named |= {first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)}
    assert set(leaves(get_command(app), "asrkd")) - named == set()


def experiment(tree: Any) -> dict[str, Any]:
    """A whole config around what a page shows of one."""
    if isinstance(tree, list):
        tree = {"objectives": tree}
    if "objectives" in tree:
        tree = {"phases": [{"steps": 1, **tree}]}
    is_text = "language_model" in tree.get("model", {})
    files = ("train_text", "dev_text") if is_text else ("train", "dev")
    data = {**dict.fromkeys((*files, "tokens"), "data/x"), **tree.pop("data", {})}
    default = {"model": {}, "phases": [{"steps": 1, "objectives": ["language_model" if is_text else "ctc"]}]}
    whole: dict[str, Any] = {**default, **tree, "data": data}
    for phase in whole["phases"]:
        if not {"steps", "epochs"} & phase.keys():
            phase["steps"] = 1
    return whole


def rename(tree: Any) -> Any:
    """The tree with an objective of this repository in the place of each of :data:`SHOWN`."""
    if isinstance(tree, dict):
        return {SHOWN.get(key, key): rename(value) for key, value in tree.items()}
    return [rename(value) for value in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize("block", CONFIGS, ids=str)
def test_every_config_is_one(block, tmp_path):
    tree = rename(yaml.safe_load(block.text))
    assert tree.keys() <= {"base", *TrainConfig.model_fields}, "no key of a config"
    if "base" not in tree:
        parse(TrainConfig, experiment(tree), str(block))
        return
    base = ROOT / re.sub(r"^(\.\./)+", "", tree["base"])
    assert base.is_file(), f"{base}: no such config"
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({**tree, "base": str(base)}), encoding="utf-8")
    load(TrainConfig, config)  # with its base it is whole


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_config_within_a_line_is_one(page):
    sections = set(TrainConfig.model_fields) - {"stores"}
    for span in spans(page):
        key = span.split(":")[0]
        if not re.match(r"\w+: [\[{]", span) or "..." in span:
            continue
        tree = yaml.safe_load(span)
        if key in sections or key == "objectives":
            parse(TrainConfig, experiment(tree), span)
        elif key in ("ctc", "attention", "codebook", "embedding", "representation", "softmax"):
            parse(TrainConfig, experiment([tree]), span)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{link}: no such file"
        if anchor and place.suffix == ".md":
            made_at_build = "<!-- " in place.read_text(encoding="utf-8") and place.is_relative_to(
                ROOT / "docs"
            )
            assert anchor in anchors(place) or made_at_build, f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_place_that_is_named_is_there(page):
    for place in PLACE.findall(prose(page)):
        assert list(ROOT.glob(place.rstrip("."))), f"{place}: no such file"


@pytest.mark.parametrize(
    "wrong",
    [
        "asrkd train",
        "asrkd trane x --out y",
        "asrkd train x --out y --beam 3",
        "asrkd prepare tsv x --out y --jobs two",
        "make demos",
        "make demo SIZES=tiny",
        "bash stages/none.sh",
        "python -m tests.none",
    ],
)
def test_a_command_that_is_wrong_is_found(wrong, tmp_path, targets):
    (words,) = commands(wrong, tmp_path)
    with pytest.raises(Exception):  # noqa: B017, PT011  typer's own kinds, or an assertion
        check_command(words, targets)


LOOP = """
A="--jobs 2"
for x in {a,b}; do asrkd prepare tsv "$x y" $A \\
  --out z; done > log && make demo  # why
"""


def test_a_block_is_taken_apart_as_bash_does(tmp_path):
    prepared = [["asrkd", "prepare", "tsv", f"{x} y", "--jobs", "2", "--out", "z"] for x in "ab"]
    assert commands(LOOP, tmp_path) == [*prepared, ["make", "demo"]]


@pytest.mark.parametrize("block", ["rm -rf /", "make demo | cat2", "for x in a; do", "asrkd $UNSET"])
def test_a_block_that_is_not_understood_is_refused(block, tmp_path):
    with pytest.raises(AssertionError):
        commands(block, tmp_path)
