"""Command ``check``: verify an artifact; report its problems and the commands that fix them.

Reads:   a cuts manifest, or a folder of prepare, train, sweep, distill, score or export, and
         its sources, as far as they exist.
Writes:  nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.commands.checks.cuts import audit_cuts
from asrkd.commands.checks.export import audit_export
from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.folders import (
    audit_model,
    audit_prepared,
    audit_quantizer,
    audit_score,
    audit_unknown,
)
from asrkd.commands.checks.nbest import audit_lists
from asrkd.commands.checks.rescore import audit_rescore
from asrkd.commands.checks.store import audit_store
from asrkd.commands.checks.sweep import audit_sweep
from asrkd.core import files
from asrkd.core.artifacts import CONTRACT, LINEAGE, PREPARED, SCORE_REQUEST, SHERPA_CALL, SWEEP_SETTINGS
from asrkd.core.errors import AsrkdError, counted


@dataclass(frozen=True)
class CheckReport:
    """Report of a check: notes on the checks that were made, and problems."""

    path: Path
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def text(self) -> str:
        """Format the notes and the number of problems."""
        verdict = counted(len(self.problems), "problem") if self.problems else "nothing wrong"
        return "\n".join([*self.notes, f"{self.path}: {verdict}"])


def check(
    path: Path, cuts: Sequence[Path] = (), *, deep: bool = False, rescore: int | None = None
) -> CheckReport:
    """Check the artifact at ``path``.

    Args:
        path: manifest or folder.
        cuts: manifests to compare a target store with, instead of its own; of an export, cuts to recognize.
        deep: whether to read all contents too: payloads, features, audio.
        rescore: number of hypotheses of an N-best store to score again with its teacher.

    Raises:
        AsrkdError: there is no artifact, or an option is for other kinds or out of range.
    """
    findings = Findings()
    kind = _kind(path)
    if cuts and kind not in ("store", "export"):
        raise AsrkdError(f"{path}: --cuts is for target stores and exports, this is a {kind}; remove --cuts")
    if rescore is not None:
        _check_rescore(path, kind, rescore)
    if kind == "store":
        audit_store(path, cuts, findings, deep=deep, recount=deep or rescore is not None)
        if _is_nbest(path) and (deep or rescore is not None) and not findings.lines():
            audit_lists(path, findings)  # damaged lists are problems already
        if rescore is not None:
            audit_rescore(path, cuts, findings, rescore)
    elif kind == "export":
        audit_export(path, cuts, findings)
    elif kind == "manifest":
        audit_cuts(path, findings, deep=deep)
    elif kind == "prepared corpus":
        audit_prepared(path, findings, deep=deep)
    else:
        of_folders = {"model": audit_model, "quantizer": audit_quantizer, "score": audit_score}
        (of_folders | {"sweep": audit_sweep})[kind](path, findings)
    return CheckReport(path, tuple(findings.notes), tuple(findings.lines()))


def _check_rescore(path: Path, kind: str, num_hypotheses: int) -> None:
    if kind != "store" or not _is_nbest(path):
        raise AsrkdError(f"{path}: --rescore is for stores of asrkd distill nbest; remove --rescore")
    if num_hypotheses < 1:
        raise AsrkdError(f"--hypotheses {num_hypotheses}: expected 1 or more")


def _is_nbest(path: Path) -> bool:
    contract = files.read_json(path / CONTRACT)
    return isinstance(contract, dict) and contract.get("kind") == "nbest"


def _kind(path: Path) -> str:
    """Return the kind of the artifact at ``path``, by the record in it."""
    if path.is_file() and path.name.endswith((".jsonl", ".jsonl.gz")):
        return "manifest"
    records = {PREPARED: "prepared corpus", LINEAGE: "model", SWEEP_SETTINGS: "sweep", SCORE_REQUEST: "score"}
    for name, kind in (records | {SHERPA_CALL: "export"}).items():
        if (path / name).is_file():
            return kind
    if (path / CONTRACT).is_file():
        contract = files.read_json(path / CONTRACT)
        is_quantizer = isinstance(contract, dict) and contract.get("kind") == "quantizer"
        return "quantizer" if is_quantizer else "store"
    raise audit_unknown(path)
