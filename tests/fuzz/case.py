"""An input of the fuzz: how a valid one is written, what was changed in it, and the commands that read it."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.invocation import Outcome
from tests.fuzz.odd_values import FILE_NAMES, NUMBERS, TEXTS
from tests.fuzz.places import files_in, mutate_content, mutate_place

CASE = Path("case")  # folder of the input at hand, in the workspace
OUT = CASE / "out"

Command = list[str]
# Writes a valid input into the folder, and gives the commands to run on it.
Writer = Callable[[Path, Random], list[Command]]
# Says what is wrong with what the commands made; None if nothing is.
Inspection = Callable[[Sequence[Outcome]], str | None]


def _nothing(_outcomes: Sequence[Outcome]) -> None:
    return None


@dataclass(frozen=True)
class Target:
    """A kind of input."""

    name: str
    write: Writer
    inspect: Inspection = _nothing
    seal: Callable[[Path], None] | None = None  # puts checksums right, so that reading comes far
    finish: Callable[[Path, list[Command]], list[Command]] | None = None  # commands by what files say by then
    options: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # of its first command, with usual values
    rare: Sequence[str] = ()  # suffixes of files that are seldom changed
    skipped: Callable[[], str | None] = lambda: None  # why it cannot be run here


@dataclass(frozen=True)
class Case:
    """A mutated input on disk, in the folder CASE."""

    target: str
    commands: list[Command]
    mutations: list[str]  # in words


def make_case(target: Target, seed: int, number: int, only: Sequence[int] | None = None) -> Case:
    """Write input ``number`` of ``seed`` into CASE, which is emptied.

    Args:
        target: its kind.
        seed: of the whole run.
        number: of the input.
        only: which of its mutations are made; None: all.
    """
    shutil.rmtree(CASE, ignore_errors=True)
    rng = Random(f"{seed}/{number}")
    name = rng.choice(FILE_NAMES) if rng.random() < 0.04 else "in"
    folder = CASE / name
    folder.mkdir(parents=True)
    commands = target.write(folder, rng)
    count = rng.choices((0, 1, 2, 3), weights=(3, 60, 27, 10))[0]
    made = []
    for index in range(count):
        if only is None or index in only:
            made.append(_mutate(target, folder, commands, Random(f"{seed}/{number}/{index}")))
    if target.seal is not None and made and rng.random() < 0.7:
        with suppress(Exception):  # what cannot be read stays as it is
            target.seal(folder)
    if target.finish is not None:
        commands = target.finish(folder, commands)
    return Case(target.name, commands, made)


def _mutate(target: Target, folder: Path, commands: list[Command], rng: Random) -> str:
    """Make one mutation; what it was."""
    if target.options and rng.random() < 0.12:
        return _mutate_options(target, commands, rng)
    regular = [path for path in files_in(folder) if path.is_file()]
    if not regular:
        return "nothing left to change"
    weights = [0.15 if path.name.endswith(tuple(target.rare)) else 1.0 for path in regular]
    (path,) = rng.choices(regular, weights)
    if rng.random() < 0.08:
        return mutate_place(path, rng)
    return mutate_content(path, rng)


def _mutate_options(target: Target, commands: list[Command], rng: Random) -> str:
    """Add an option to the first command, with a usual value or an odd one; a flag has none."""
    option = rng.choice(sorted(target.options))
    usual = target.options[option]
    if not usual:
        commands[0] += [option]
        return option
    value = rng.choice([*usual, *usual, rng.choice(NUMBERS), rng.choice(TEXTS)])
    value = value.replace("\x00", "")  # no shell can pass it
    commands[0] += [option, value]
    return f"{option} {value[:40]!r}"
