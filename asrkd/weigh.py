"""Stage ``targets weights``: what weights and filters would make of an N-best store, without training.

Reads:   an N-best store and its cuts.
Writes:  nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from asrkd import config
from asrkd.cut_records import CutRecord
from asrkd.errors import AsrkdError
from asrkd.manifests import read_cuts
from asrkd.packed_cuts import PackedCuts
from asrkd.scoring.units import WORD
from asrkd.targets.nbest import Nbest
from asrkd.targets.nbest_lists import NbestLists
from asrkd.targets.sequence_settings import SequenceSettings
from asrkd.targets.sources import read_sources


@dataclass(frozen=True)
class WeighRequest:
    """Which store, and by which settings of an objective."""

    store: Path
    cuts: tuple[Path, ...] = ()  # manifests; those that the store was made from if there are none
    overrides: tuple[str, ...] = ()  # key=value, as in an objective's config
    betas: tuple[float, ...] = (1.0, 2.0, 5.0)


def weigh(request: WeighRequest) -> str:
    """What is left of the lists, and how weights are spread at each beta: lines for a person.

    Raises:
        AsrkdError: a setting that there is not, the store lacks what it needs, or
            its cuts are not where they were.
    """
    cuts = _cuts(request)
    lines, unit = list[str](), WORD
    for beta in request.betas:
        tree: dict[str, object] = {"targets": str(request.store)}
        for override in (*request.overrides, f"weights.beta={beta:g}"):
            config.set_key(tree, override)
        settings = config.parse(SequenceSettings, tree, "--set")
        lists = NbestLists(request.store, settings)
        selection, unit = lists.examine(cuts, _nothing_to_check), lists.unit
        for line in selection.lines:
            told = line.removeprefix(f"{request.store}: ")
            told = f"beta {beta:g}: {told}" if told.startswith("weights of") else told
            if told not in lines:  # filters remove the same at every beta
                lines.append(told)
    left = len(selection.ids)
    counted = "" if unit == WORD else f"; errors, words and {unit.rate} are those of --unit {unit.name}"
    return "\n".join([*lines, f"{request.store}: {left} of {len(cuts)} cuts have hypotheses left{counted}"])


def _cuts(request: WeighRequest) -> PackedCuts:
    sources = read_sources(request.store)
    manifests: Sequence[Path] = request.cuts or (sources.cuts if sources else ())
    if not manifests or not all(path.is_file() for path in manifests):
        raise AsrkdError(f"{request.store}: its cuts are not where they were: give them with --cuts")
    if not request.betas:
        raise AsrkdError("--beta: expected one or more")
    first, *rest = (read_cuts(path) for path in manifests)
    return PackedCuts(chain(first, *rest)) if rest else first


def _nothing_to_check(_record: CutRecord, _found: Nbest) -> None:
    """Texts are fit for any student here: there are no tokens to spell them with."""
