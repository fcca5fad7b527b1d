"""Hops from a command to the equations that it computes, as recorded while it runs on a tiny corpus.

The chains stand in docs/contributing/architecture.md. Each command runs in this process; whenever a function
that holds an equation is called, the stack from the function of the command down to it is recorded. Every
function of asrkd on the stack counts, whether it passes its arguments through, is handed over, or is a
generator that another one drives. Two kinds of frames do not:

- those of other libraries, and of context managers, whose blocks run in the function that holds them;
- a function, lambda, generator or comprehension nested in the function that is directly above it on the
  stack. One that is called back from elsewhere counts.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType

import pytest

from asrkd.commands.compare import CompareRequest, compare
from asrkd.commands.distill import codebook, nbest
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.score import ScoreRequest, score
from asrkd.commands.score_transcripts import TranscriptsRequest, score_transcripts
from asrkd.commands.train import TrainOptions, train
from asrkd.core.stopping import StopRequest
from asrkd.decoding import SearchOptions
from asrkd.evaluation.compare.systems import Roles
from asrkd.scoring.score_corpus import parse_rules

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/contributing/architecture.md"
LIMITS = {"train": 8, "codebook": 9, "nbest": 9, "score": 6, "compare": 5}

# The functions that hold the equations of a command: losses; passes and beam over codebooks; the search over
# frames; alignments; the test. Those in machine code are entered without a frame of their own.
EQUATIONS = {
    "train": (
        "asrkd.objectives.ctc:separate_sum",
        "asrkd.objectives.ctc_tree.prefix_tree_numba:one_utterance",
    ),
    "codebook": (
        "asrkd.quantizer.search.refinement_numba:refine_frames",
        "asrkd.quantizer.search.beam_numba:search_frames",
    ),
    "nbest": ("asrkd.decoding.prefix_beam_numba:search_frames",),
    "score": (
        "asrkd.scoring.edits:levenshtein_edits",
        "asrkd.scoring.sclite_edits:_choices",
        "asrkd.scoring.network_alignment:align_networks",
    ),
    "compare": (
        "asrkd.scoring.significance.matched_pairs:_test",
        "asrkd.scoring.significance.bootstrap:resample",
    ),
}

Chain = tuple[str, ...]


def written() -> dict[Chain, int]:
    """The chains on the page with the number of hops above each."""
    blocks: list[tuple[int, list[str]]] = []
    _, _, hops = PAGE.read_text(encoding="utf-8").partition("## Hops")
    for line in hops.partition("```text\n")[2].partition("```")[0].splitlines():
        if line.startswith(" "):
            blocks[-1][1].append(f"asrkd.{line.strip()}")
        elif line:
            blocks.append((int(line.split()[0]), []))
    return {tuple(chain): count for count, chain in blocks}


@cache
def qualified(path: str) -> dict[tuple[int, str], str]:
    """The qualified name of each function of a file, by its first line and its name."""
    names: dict[tuple[int, str], str] = {}

    def visit(code: CodeType, prefix: str) -> None:
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                name = names[inner.co_firstlineno, inner.co_name] = f"{prefix}{inner.co_name}"
                visit(inner, f"{name}.<locals>." if inner.co_flags & inspect.CO_OPTIMIZED else f"{name}.")

    visit(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), "")
    return names


def named(frame: FrameType, package: Path) -> str | None:
    """``module:qualified.name`` of the function of a frame; None outside the package."""
    path, code = Path(frame.f_code.co_filename), frame.f_code
    if package not in path.parents:
        return None
    return f"{frame.f_globals['__name__']}:{qualified(str(path))[code.co_firstlineno, code.co_name]}"


def chain_to(frame: FrameType | None, package: Path) -> Iterator[str]:
    """The functions that count on the stack of a frame, from the innermost on."""
    stack = []
    while frame is not None:
        if (name := named(frame, package)) is not None:
            stack.append(name)
        frame = frame.f_back
    for name, above in zip(stack, [*stack[1:], ""], strict=True):
        if name.rpartition(".<locals>.")[0] != above or not above:
            yield name


def recorded(monkeypatch: pytest.MonkeyPatch, command: str, run: Callable[[], object]) -> set[Chain]:
    """The different chains of a command to its equations while ``run`` calls its function."""
    chains: set[Chain] = set()
    with monkeypatch.context() as patched:
        for equation in EQUATIONS[command]:
            module, _, name = equation.partition(":")
            function = getattr(import_module(module), name)

            def record(*args, equation=equation, function=function, **options):
                chain = [equation, *chain_to(sys._getframe(1), ROOT / "asrkd")]
                chains.add(tuple(reversed(chain)))
                return function(*args, **options)

            for holder in [module for key, module in sys.modules.items() if key.split(".")[0] == "asrkd"]:
                for attribute, value in list(vars(holder).items()):
                    if value is function:
                        patched.setattr(holder, attribute, record)
        run()
    return chains


@pytest.fixture
def transcripts(tmp_path: Path) -> Path:
    """References and the hypotheses of two systems."""
    for name, text in (("ref", "the cat sat"), ("student", "the cat sits"), ("baseline", "a cat")):
        rows = [{"id": f"{name_of}-1", "text": f"{text} {name_of}"} for name_of in "abc"]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "ref.stm").write_text("talk 1 s 0.0 2.0 the cat sat\ntalk 1 s 2.0 4.0 { a / the } dog\n")
    words = enumerate(["the", "bat", "sat", "dog"])
    (tmp_path / "hyp.ctm").write_text("".join(f"talk 1 {place}.1 0.2 {word}\n" for place, word in words))
    return tmp_path


def score_of(folder: Path, system: str, alignment: str = "levenshtein") -> Path:
    out = folder / alignment / system
    references, hypotheses = folder / "ref.jsonl", folder / f"{system}.jsonl"
    rules = parse_rules(alignment, "none")
    score_transcripts(TranscriptsRequest(references, hypotheses, out, rules=rules), StopRequest())
    return out


def hops_are_as_written(command: str, chains: set[Chain]) -> None:
    """No chain is above the limit; the page has one to each equation, and one of the longest."""
    page = {chain: hops for chain, hops in written().items() if chain[-1] in EQUATIONS[command]}
    hops = {chain: len(chain) - 1 for chain in chains}
    assert {chain: hops.get(chain) for chain in page} == page
    assert max(hops.values()) == max(page.values())
    assert max(hops.values()) <= LIMITS[command]
    assert {chain[-1] for chain in page} == {chain[-1] for chain in chains} == set(EQUATIONS[command])


def test_the_page_has_no_other_chains():
    equations = {equation for of_command in EQUATIONS.values() for equation in of_command}
    assert {chain[-1] for chain in written()} == equations


def test_train(config, stores, tmp_path, monkeypatch):
    """A teacher by its transcripts, and a student by lists of hypotheses."""
    pytest.importorskip("numba", reason="no numba here; pip install numba")
    of_lists = f"phases.0.objectives=[{{ctc: {{targets: {stores}/nbest}}}}]"

    def run() -> None:
        for name, overrides in (("teacher", []), ("student", [of_lists])):
            train(config, tmp_path / name, overrides, TrainOptions("cpu", threads=1), StopRequest())

    hops_are_as_written("train", recorded(monkeypatch, "train", run))


def test_codebook(teacher, corpus, stores, tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="no numba here; pip install numba")

    def run() -> None:
        codebook(
            DistillRequest(teacher, (corpus / "cuts_dev.jsonl.gz",), tmp_path / "codebook"),
            stores / "quantizer",
            StopRequest(),
        )

    hops_are_as_written("codebook", recorded(monkeypatch, "codebook", run))


def test_nbest(teacher, corpus, tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="no numba here; pip install numba")

    def run() -> None:
        request = DistillRequest(teacher, (corpus / "cuts_dev.jsonl.gz",), tmp_path / "nbest")
        nbest(request, "prefix-beam", SearchOptions(beam=4, num_best=4), StopRequest())

    hops_are_as_written("nbest", recorded(monkeypatch, "nbest", run))


def test_score(teacher, corpus, transcripts, monkeypatch):
    def run() -> None:
        for alignment in ("levenshtein", "sclite"):
            out, rules = transcripts / f"dev-{alignment}", parse_rules(alignment, "none")
            score(ScoreRequest(teacher, corpus / "cuts_dev.jsonl.gz", out, rules=rules), StopRequest())
            score_of(transcripts, "student", alignment)
            timed = TranscriptsRequest(
                transcripts / "ref.stm",
                transcripts / "hyp.ctm",
                transcripts / f"stm-{alignment}",
                rules=rules,
            )
            score_transcripts(timed, StopRequest())

    hops_are_as_written("score", recorded(monkeypatch, "score", run))


def test_compare(transcripts, monkeypatch):
    folders = [score_of(transcripts, system) for system in ("baseline", "student")]

    def run() -> None:
        compare(CompareRequest(folders, roles=Roles(baseline="baseline")), None)

    hops_are_as_written("compare", recorded(monkeypatch, "compare", run))


TOY = """
import sys

def command(end):
    def nested():
        return [passed(lambda: end(sys._getframe())) for _ in "x"]
    return nested()

def passed(back):
    return next(rows(back))

def rows(back):
    yield (lambda: back())()

class Writer:
    def __call__(self, end):
        return [*(end(sys._getframe()) for _ in "x")]
"""


def test_functions_that_are_called_back_count(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    scope: dict = {"__name__": "toy"}
    exec(compile(TOY, str(tmp_path / "toy.py"), "exec"), scope)
    [chain] = scope["command"](lambda frame: list(chain_to(frame, tmp_path)))
    owner = "toy:command.<locals>.nested.<locals>.<listcomp>.<locals>.<lambda>"
    assert chain == [owner, "toy:rows", "toy:passed", "toy:command"]
    [chain] = scope["Writer"]()(lambda frame: list(chain_to(frame, tmp_path)))
    assert chain == ["toy:Writer.__call__"]
