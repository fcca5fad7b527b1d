"""Stored hypotheses as targets: weighed, filtered, a visit at a time, and refused by cut."""

import copy
from collections import Counter
from pathlib import Path

import pytest
import torch
from lhotse import MonoCut, Recording, SupervisionSegment

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import Tokens, train_char
from asrkd.targets.sequences import SequenceTargets
from asrkd.targets.sources.nbest import NbestSource
from asrkd.targets.sources.settings import SequenceSettings
from tests.nbest_lists import nbest, write_nbest_store

REFERENCES = ["YES NO", "NO NO", None]
LISTS = [
    nbest(["YES NO", "YES", "NO"], [-1.0, -2.0, -4.0], [0, 1, 1], 2),
    nbest(["NO"], [-0.5], [1], 2),
    nbest(["ON ON ON", "ON"], [-3.0, -3.5]),
]


@pytest.fixture
def tokens() -> Tokens:
    return train_char(["YES NO ON"])


@pytest.fixture
def cuts() -> list[MonoCut]:
    made = []
    for number, text in enumerate(REFERENCES):
        cut = MonoCut(f"cut-{number}", 0, 2.0, 0, recording=Recording(f"r{number}", [], 8000, 16000, 2.0))
        cut.supervisions = [SupervisionSegment("s", f"r{number}", 0, 2, 0, text)]
        made.append(cut)
    return made


@pytest.fixture
def store(tmp_path, cuts) -> Path:
    return write_nbest_store(tmp_path, cuts, LISTS)


def source(store: Path, tokens: Tokens, **settings) -> NbestSource:
    return NbestSource(store, tokens, SequenceSettings(targets=str(store), **settings))


def said(targets: SequenceTargets, tokens: Tokens) -> list[tuple[int, str, float]]:
    """(row, text, weight) of each sequence."""
    rows = zip(targets.utterance, targets.tokens, targets.num_tokens, targets.weight, strict=True)
    return [(int(row), tokens.decode(ids[:n].tolist()), round(float(w), 4)) for row, ids, n, w in rows]


def test_weights_come_from_stored_errors_for_all_tokens(store, cuts, tokens):
    targets = source(store, tokens, weights={"beta": 2}).fetch(cuts[:2])
    # exp(-2 * 1/2) = 0.3679, a third of it and of 1
    third = pytest.approx([1 / 3, 0.1226, 0.1226, 0.3679], abs=1e-4)
    assert targets.weight.tolist() == third
    assert targets.share.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])


def test_another_beta_reads_the_same_store(store, cuts, tokens):
    before = {path: path.read_bytes() for path in store.iterdir()}
    for beta in (0, 1, 5):
        assert len(source(store, tokens, weights={"beta": beta}).fetch(cuts[:2]).weight) == 4
    assert {path: path.read_bytes() for path in store.iterdir()} == before


def test_errors_of_an_untranscribed_cut_are_refused(store, cuts, tokens):
    for settings in ({"weights": {"beta": 1}}, {"filter": {"max_wer": 0.5}}):
        with pytest.raises(AsrkdError, match=r"^cut cut-2: .*need word errors.*cuts: transcribed") as error:
            source(store, tokens, **settings).verify(cuts)
        assert "\n" not in str(error.value)
        source(store, tokens, **settings).verify(cuts[:2])
    source(store, tokens).verify(cuts)  # Seq-KD needs none


NEEDING = [{"weights": {"beta": 1}}, {"filter": {"max_wer": 0.5}}]


def retold(cut: MonoCut, text: str | None) -> MonoCut:
    """The cut with another transcript."""
    changed = copy.deepcopy(cut)
    changed.supervisions[0].text = text
    return changed


@pytest.mark.parametrize("settings", NEEDING)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ONE TWO THREE", "'YES NO' has 0 in 2 words in the store, 3 in 3 by the present transcript"),
        ("NO NO", "'YES NO' has 0 in 2 words in the store, 1 in 2 by the present transcript"),
        ("YES NO YES NO", "'YES NO' has 0 in 2 words in the store, 2 in 4 by the present transcript"),
    ],
)
def test_errors_of_another_transcript_are_refused_by_cut(store, cuts, tokens, settings, text, told):
    changed = [retold(cuts[0], text), cuts[1]]
    with pytest.raises(AsrkdError, match=rf"^cut cut-0: the word errors .* {told}") as error:
        source(store, tokens, **settings).verify(changed)
    assert f"make the store again: rm -r {store} && asrkd distill nbest" in str(error.value)
    assert "\n" not in str(error.value)
    source(store, tokens).verify(changed)  # Seq-KD reads none
    source(store, tokens, **settings).verify(changed[1:])  # of some cuts alone


def test_only_hypotheses_that_are_learned_are_counted_again(tmp_path, cuts, tokens):
    """By hand: NO is one error of NO NO, YES two; of the latter the store says one."""
    store = write_nbest_store(tmp_path / "two", cuts[1:2], [nbest(["NO", "YES"], [-1.0, -2.0], [1, 1], 2)])
    source(store, tokens, weights={"beta": 1}, num_hypotheses=1).verify(cuts[1:2])
    with pytest.raises(AsrkdError, match="'YES' has 1 in 2 words in the store, 2 in 2"):
        source(store, tokens, weights={"beta": 1}, num_hypotheses=2).verify(cuts[1:2])


def test_a_rate_that_changed_is_found_where_the_errors_did_not(tmp_path, cuts, tokens):
    """ON is one error of YES, and one of YES ON."""
    store = write_nbest_store(tmp_path / "rate", cuts[:1], [nbest(["ON"], [-1.0], [1], 1)])
    source(store, tokens, weights={"beta": 1}).verify([retold(cuts[0], "YES")])
    with pytest.raises(AsrkdError, match="'ON' has 1 in 1 words in the store, 1 in 2"):
        source(store, tokens, weights={"beta": 1}).verify([retold(cuts[0], "YES ON")])


@pytest.mark.parametrize("settings", NEEDING)
def test_a_cut_without_its_transcript_keeps_stored_errors(store, cuts, tokens, settings):
    changed = [retold(cuts[0], None), cuts[1]]
    source(store, tokens, **settings).verify(changed)
    assert source(store, tokens, cuts="transcribed", **settings).examine(changed).ids == {"cut-1"}


def test_an_objective_may_take_only_un_or_transcribed_cuts(store, cuts, tokens):
    some = source(store, tokens, cuts="transcribed", weights={"beta": 2}, num_hypotheses=1)
    assert said(some.fetch(cuts), tokens) == [(0, "YES NO", 1.0), (1, "NO", 0.3679)]
    assert some.examine(cuts).ids == {"cut-0", "cut-1"}
    others = source(store, tokens, cuts="untranscribed", num_hypotheses=1)
    assert said(others.fetch(cuts), tokens) == [(2, "ON ON ON", 1.0)]
    assert others.examine(cuts).ids == {"cut-2"}


def test_filters_apply_to_fetched_lists_and_report_counts(store, cuts, tokens):
    strict = source(store, tokens, filter={"max_repeats": 2, "min_confidence": -0.4})
    # 1 nat over 6 letters, .5 over 2, 3 over 8
    assert said(strict.fetch(cuts), tokens) == [
        (0, "YES NO", 0.3333), (0, "YES", 0.3333), (0, "NO", 0.3333), (1, "NO", 1.0), (2, "ON", 1.0),
    ]  # fmt: skip
    selection = strict.examine(cuts)
    assert selection.ids == {"cut-0", "cut-1", "cut-2"}
    unsure, loops = selection.lines
    assert unsure == f"{store}: min_confidence -0.4 removed 0 hypotheses of 0 cuts, all of 0 cuts (0.000 h)"
    assert loops.startswith(f"{store}: max_repeats 2 removed 1 hypotheses of 1 cuts, all of 0 cuts")
    stricter = source(store, tokens, filter={"min_confidence": -0.2})
    assert said(stricter.fetch(cuts), tokens) == [
        (0, "YES NO", 0.3333), (0, "YES", 0.3333), (0, "NO", 0.3333),
    ]  # fmt: skip
    assert stricter.examine(cuts).ids == {"cut-0"}


def test_hypotheses_that_a_filter_drops_need_not_be_spelled(tmp_path, cuts, tokens):
    store = write_nbest_store(tmp_path / "odd", cuts[:1], [nbest(["NO", "LA LA LA"], [-1.0, -2.0])])
    with pytest.raises(AsrkdError, match="cut cut-0: no token spells 'L'"):
        source(store, tokens).verify(cuts[:1])
    source(store, tokens, filter={"max_repeats": 2}).verify(cuts[:1])


def test_expansion_takes_each_hypothesis_once_in_as_many_passes(store, cuts, tokens):
    expanded = source(store, tokens, expand=True, num_hypotheses=3, weights={"beta": 2})
    assert expanded.settings.passes_per_epoch == 3
    seen: Counter[tuple[int, str, float]] = Counter()
    for epoch in range(6):
        taken = said(expanded.of_epoch(epoch).fetch(cuts[:2]), tokens)
        assert [row for row, _, _ in taken] == [0, 1]  # a visit is of one hypothesis
        seen.update(taken)
    error = 0.3679  # exp(-2 / 2), not divided by the length of the list: each is an example
    assert seen == {
        (0, "YES NO", 1.0): 2, (0, "YES", error): 2, (0, "NO", error): 2, (1, "NO", error): 6,
    }  # fmt: skip


def test_the_mean_over_a_list_is_the_mean_over_its_visits(store, cuts, tokens):
    """What `expand` takes in k passes, the mean takes in one: weights and token counts agree."""
    mean = source(store, tokens, weights={"beta": 1, "posterior": True}, num_hypotheses=3)
    expanded = source(store, tokens, weights={"beta": 1, "posterior": True}, num_hypotheses=3, expand=True)
    whole = mean.fetch(cuts[:1])
    visits = [expanded.of_epoch(epoch).fetch(cuts[:1]) for epoch in range(3)]
    by_text = {text: weight for visit in visits for _, text, weight in said(visit, tokens)}
    for _, text, weight in said(whole, tokens):
        assert by_text[text] / 3 == pytest.approx(weight, abs=1e-4)
    counts = sum(float((visit.share * visit.num_tokens).sum()) for visit in visits) / 3
    assert counts == pytest.approx(float((whole.share * whole.num_tokens).sum()))


def test_without_an_epoch_an_expanded_source_gives_whole_lists(store, cuts, tokens):
    """So that dev losses are of all hypotheses at every validation."""
    expanded = source(store, tokens, expand=True)
    assert len(expanded.fetch(cuts[:1]).weight) == 3
    plain = source(store, tokens)
    assert plain.of_epoch(4) is plain


def test_weights_do_not_need_gradients(store, cuts, tokens):
    targets = source(store, tokens, weights={"beta": 1}).fetch(cuts[:1])
    assert targets.weight.dtype == targets.share.dtype == torch.float32
    assert not targets.weight.requires_grad
