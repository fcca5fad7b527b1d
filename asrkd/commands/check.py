"""Stage ``check``: look any artifact over, and say what is wrong with it and what mends it.

Reads:   a cuts manifest, or a folder that prepare, train, distill or score
         made, and what that was made from, where it still is.
Writes:  nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.commands.checks.cuts import audit_cuts
from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.folders import (
    audit_model,
    audit_prepared,
    audit_quantizer,
    audit_score,
    audit_unknown,
)
from asrkd.commands.checks.lists import audit_lists
from asrkd.commands.checks.rescore import audit_rescore
from asrkd.commands.checks.store import audit_store
from asrkd.core import files
from asrkd.core.artifacts import CONTRACT, LINEAGE, PREPARED, SCORE_REQUEST
from asrkd.core.errors import AsrkdError


@dataclass(frozen=True)
class CheckReport:
    """What was looked at, and what is wrong."""

    path: Path
    looked_at: tuple[str, ...]
    problems: tuple[str, ...]

    def text(self) -> str:
        """For a person; the problems are told apart."""
        verdict = f"{len(self.problems)} problems" if self.problems else "nothing wrong"
        return "\n".join([*self.looked_at, f"{self.path}: {verdict}"])


def check(
    path: Path, cuts: Sequence[Path] = (), *, deep: bool = False, rescore: int | None = None
) -> CheckReport:
    """Look over the artifact at ``path``.

    Args:
        path: a manifest or a folder.
        cuts: for a target store, manifests to compare it with in place of its own.
        deep: read all contents as well: payloads, features, audio.
        rescore: of an N-best store, score so many hypotheses again by its teacher.

    Raises:
        AsrkdError: there is no artifact, or an option is for other kinds or out of range.
    """
    findings = Findings()
    kind = _kind(path)
    if cuts and kind != "store":
        raise AsrkdError(f"{path}: --cuts is for target stores, this is a {kind}; leave it out")
    if rescore is not None:
        _check_rescore(path, kind, rescore)
    if kind == "store":
        audit_store(path, cuts, findings, deep=deep, recount=deep or rescore is not None)
        if _is_nbest(path) and (deep or rescore is not None) and not findings.lines():
            audit_lists(path, findings)  # damaged lists were told of already
        if rescore is not None:
            audit_rescore(path, cuts, findings, rescore)
    elif kind == "manifest":
        audit_cuts(path, findings, deep=deep)
    elif kind == "prepared corpus":
        audit_prepared(path, findings, deep=deep)
    else:
        {"model": audit_model, "quantizer": audit_quantizer, "score": audit_score}[kind](path, findings)
    return CheckReport(path, tuple(findings.looked_at), tuple(findings.lines()))


def _check_rescore(path: Path, kind: str, most: int) -> None:
    if kind != "store" or not _is_nbest(path):
        raise AsrkdError(f"{path}: --rescore is for stores of asrkd distill nbest; leave it out")
    if most < 1:
        raise AsrkdError(f"--hypotheses {most}: expected 1 or more")


def _is_nbest(path: Path) -> bool:
    contract = files.read_json(path / CONTRACT)
    return isinstance(contract, dict) and contract.get("kind") == "nbest"


def _kind(path: Path) -> str:
    """What the artifact at ``path`` is, by the record in it."""
    if path.is_file() and path.name.endswith((".jsonl", ".jsonl.gz")):
        return "manifest"
    records = {PREPARED: "prepared corpus", LINEAGE: "model", SCORE_REQUEST: "score"}
    for name, kind in records.items():
        if (path / name).is_file():
            return kind
    if (path / CONTRACT).is_file():
        contract = files.read_json(path / CONTRACT)
        made = contract.get("kind") if isinstance(contract, dict) else None
        return "quantizer" if made == "quantizer" else "store"
    raise audit_unknown(path)
