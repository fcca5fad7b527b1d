"""Groups of utterances: by hand, and nothing lost."""

from hypothesis import given
from hypothesis import strategies as st

from asrkd.commands.report import ReportRequest, report
from asrkd.evaluation.compare.systems import Roles
from asrkd.evaluation.report.strata import NUM_BINS, bins, strata
from asrkd.evaluation.report.systems import read_systems
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score
from tests.evaluation.report.conftest import TEXTS

values = st.dictionaries(st.text(max_size=3), st.floats(0, 9).map(lambda x: round(x, 1)), min_size=1)


def test_ten_values_make_five_pairs():
    groups = bins({f"u{number}": float(number) for number in range(10)}, "s")
    assert [sorted(group.ids) for group in groups] == [[f"u{n}", f"u{n + 1}"] for n in range(0, 10, 2)]
    assert groups[0].label == "0.0–1.0 s"


def test_equal_values_are_not_divided():
    groups = bins(dict.fromkeys("abcdefgh", 2.0), "dB")
    assert [(group.label, len(group.ids)) for group in groups] == [("2.0 dB", 8)]


@given(values)
def test_every_id_is_in_one_group_and_groups_do_not_overlap(known):
    groups = bins(known, "s")
    assert sorted(i for group in groups for i in group.ids) == sorted(known)
    assert len(groups) <= NUM_BINS
    spans = [(min(known[i] for i in g.ids), max(known[i] for i in g.ids)) for g in groups]
    assert all(before[1] < after[0] for before, after in zip(spans, spans[1:], strict=False))


def test_utterances_are_no_speakers(scored, tmp_path):
    utterances = [ReferenceUtterance(utt_id, texts[0], utt_id) for utt_id, texts in TEXTS.items()]
    heard = {utt_id: texts[1] for utt_id, texts in TEXTS.items()}
    write_score(tmp_path / "x", {"set": "x", "params": None}, score_utterances(utterances, heard, Rules()))
    drawn = strata(read_systems([tmp_path / "x"], "", Roles()), {})
    assert (drawn.speaker, drawn.num_speakers) == (None, 0)
    report(ReportRequest([tmp_path / "x"], tmp_path / "x.html"))
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "the score has no speakers" in page and "<li>8 speakers</li>" not in page


def test_a_speakers_rate_is_over_its_own_words(scored):
    systems = read_systems(scored.models, "score-test", Roles())
    drawn = strata(systems, {})
    # bob: hostile (6 words), mended (3), silence (0); the student makes 2 errors of them, by hand.
    words = len(systems[0].score.utterances[1].reference.split()) + 3
    assert f"student, bob: {2 / words:.1%}, 2 of {words} words" in drawn.speaker
    assert drawn.snr is None
    assert (drawn.num_speakers, drawn.speakers_shown) == (3, 3)
