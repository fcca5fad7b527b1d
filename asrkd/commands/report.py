"""Command ``report``: an HTML page of scored systems that opens from disk, without a network.

Reads:   model folders, their scores and logs, the stores that they were trained on, the scored cuts.
Writes:  one HTML file; equal inputs give equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd import __version__
from asrkd.commands.compare import CompareRequest, compare
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.comparison import Comparison
from asrkd.evaluation.compare.systems import Roles
from asrkd.evaluation.inheritance.error_classes import STUDENT
from asrkd.evaluation.report import browser, clips, inherited, page
from asrkd.evaluation.report.comparison_section import draw_comparison, read_matching
from asrkd.evaluation.report.curves import curves
from asrkd.evaluation.report.fairness_section import draw_fairness
from asrkd.evaluation.report.inheritance_section import GROUPS, ORDER, draw_inheritance
from asrkd.evaluation.report.latency_section import draw_latency
from asrkd.evaluation.report.scored_cuts import scored_cuts, snr_db
from asrkd.evaluation.report.strata import strata
from asrkd.evaluation.report.systems import ReportedSystem, first_seeds, read_systems
from asrkd.evaluation.report.targets_section import draw_targets


@dataclass(frozen=True)
class ReportRequest:
    """Request of a report: model folders, roles, output file and sizes."""

    models: Sequence[Path]
    out: Path
    score_name: str = "score-test"
    roles: Roles = Roles()
    comparison: Path | None = None  # file of `asrkd compare`; None: computed, without costs
    cuts: Path | None = None  # manifest of the scored cuts; None: found by their scores
    num_clips: int = 32
    num_utterances: int = 1000


@dataclass(frozen=True)
class ReportResult:
    """Result of a report: the page, and counts of its contents."""

    out: Path
    num_bytes: int
    num_utterances: int
    num_clips: int

    def text(self) -> str:
        """Format the page's contents as one line."""
        size = f"{self.num_bytes / 1e6:.1f} MB"
        return f"{self.out}: {self.num_utterances} utterances, {self.num_clips} with audio, {size}"


def report(request: ReportRequest) -> ReportResult:
    """Write the page of a report.

    Raises:
        AsrkdError: a model is missing or not scored, scores are of different test
            sets, the comparison or the cuts are of other scores, or ``out`` is a folder.
    """
    _check(request)
    systems = read_systems(request.models, request.score_name, request.roles)
    cuts = scored_cuts(systems, request.cuts)
    ratios = snr_db(cuts)
    browsed = first_seeds(systems)
    rows = _browsed(browsed, ratios, request.num_utterances)
    chosen = browser.half_and_half(
        {u: e for u, e in browser.errors_by_utterance(browsed).items() if u in rows}
    )
    audio = clips.read_clips(cuts, chosen, request.num_clips)
    comparison = draw_comparison(_comparison(request, systems), systems)
    html = page.render(
        version=__version__,
        title=_title(systems),
        score=systems[0].score,
        systems=systems,
        styles=[system.style for system in systems],
        comparison=comparison,
        fairness=draw_fairness(comparison.comparison, comparison.styles),
        latency=draw_latency(comparison.comparison, comparison.styles),
        curves=curves(systems),
        strata=strata(systems, ratios),
        targets=draw_targets(systems),
        inheritances=draw_inheritance(systems, inherited.inheritances(systems)),
        error_class_groups=GROUPS,
        error_class_order=ORDER,
        student_error_classes=STUDENT,
        most_confusions=inherited.MOST_CONFUSIONS,
        browsed=browsed,
        num_shown=len(rows),
        num_clips=len(audio),
        has_cuts=bool(cuts),
        mime=clips.MIME,
        browser_json=browser.json_in_script(browser.browser_data(browsed, list(rows.values()))),
        clips_json=browser.json_in_script(audio),
    )
    with files.create(request.out) as stream:
        stream.write(html)
    return ReportResult(request.out, len(html.encode("utf-8")), len(rows), len(audio))


def _check(request: ReportRequest) -> None:
    if request.out.is_dir():
        raise AsrkdError(f"{request.out}: is a folder, expected the name of an HTML file to write")
    for name, number in (("--clips", request.num_clips), ("--utterances", request.num_utterances)):
        if number < 0:
            raise AsrkdError(f"{name} {number}: expected 0 or more")


def _comparison(request: ReportRequest, systems: Sequence[ReportedSystem]) -> Comparison:
    if request.comparison is not None:
        return read_matching(request.comparison, systems)
    return compare(CompareRequest(request.models, request.score_name, request.roles), None)


def _title(systems: Sequence[ReportedSystem]) -> str:
    """Return the name of the folder that holds the models."""
    return (systems[0].folder or systems[0].score.path).resolve().parent.name


def _browsed(
    systems: Sequence[ReportedSystem], ratios: Mapping[str, float], count: int
) -> dict[str, browser.BrowserUtterance]:
    """Return the utterances to show, by id."""
    chosen = set(browser.half_and_half(browser.errors_by_utterance(systems))[:count])
    about = {one.id: one for one in systems[0].score.utterances}
    return {
        utt_id: browser.BrowserUtterance(
            id=utt_id,
            speaker=about[utt_id].speaker,
            duration_s=about[utt_id].duration_s,
            snr_db=ratios.get(utt_id),
            hypotheses=hypotheses,
            error_classes=inherited.student_error_classes(systems, hypotheses),
        )
        for utt_id, hypotheses in inherited.aligned_utterances(systems, chosen)
    }
