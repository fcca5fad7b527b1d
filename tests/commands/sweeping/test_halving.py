"""Successive halving of made-up runs, against rounds that were worked out by hand."""

import json
from pathlib import Path

import pytest

from asrkd.commands.sweeping.grid import read_grid
from asrkd.commands.sweeping.halving import better_half, parse_rungs, rung_step
from asrkd.commands.sweeping.measures import Quality, quality
from asrkd.commands.sweeping.results import results
from asrkd.commands.sweeping.rounds import Lengths, Standing
from asrkd.core.errors import AsrkdError
from asrkd.training.config import TrainConfig

RUNGS, LENGTHS = (0.25, 0.5), Lengths(80, 10)  # rungs at steps 20 and 40 of 80
# WER by step of seven settings. At 20: 1, 2, 3 and 6 are the better four of seven (6 by its loss, as 5 has
# the same WER). At 40: 2 and 6. At 80: 6.
CURVES = {
    1: {20: 0.30, 40: 0.29, 80: 0.01},
    2: {20: 0.40, 40: 0.20, 80: 0.19},
    3: {20: 0.20, 40: 0.25, 80: 0.01},
    4: {20: 0.90, 40: 0.01, 80: 0.01},
    5: {20: 0.45, 40: 0.01, 80: 0.01},
    6: {20: 0.45, 40: 0.15, 80: 0.10},
    7: {20: 0.50, 40: 0.01, 80: 0.01},
}
EXPECTED = [
    (0, 20, [1, 2, 3, 4, 5, 6, 7]),
    (1, 40, [1, 2, 3, 6]),
    (2, None, [2, 6]),
]


def write(folder: Path, curve: dict[int, float], until: int, loss: float) -> None:
    """What a run leaves on disk that has been trained until a step."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / f"checkpoints/step-{until:08d}.safetensors").touch()
    records = [
        {"kind": "validation", "step": step, "wer": wer, "loss": loss}
        for step, wer in curve.items()
        if step <= until
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    if until == LENGTHS.total:
        (folder / "stamp.json").write_text(json.dumps({"steps": until, "params": 9}))


def standing(config: Path, out: Path, numbers=CURVES, rungs=RUNGS) -> Standing:
    grid = read_grid(TrainConfig, config, [], [f"averaging.last={','.join(map(str, numbers))}"])
    return Standing(out, grid, rungs, {run.folder: LENGTHS for run in grid.runs})


def numbers(settings) -> list[int]:
    return [setting.values["averaging.last"].value for setting in settings]


def test_the_better_half_goes_on_as_worked_out_by_hand(config, tmp_path):
    trained = 0
    for number, until, members in EXPECTED:
        now = standing(config, tmp_path)
        assert (now.present.number, numbers(now.present.settings)) == (number, members)
        assert set(now.present.until.values()) == {until}
        for run in now.left(now.present):
            (value,) = numbers([run.setting])
            before = now.progress[run.folder].step
            write(tmp_path / run.folder, CURVES[value], until or 80, loss=1.0 - value / 100)
            trained += (until or 80) - before
    now = standing(config, tmp_path)
    assert now.is_over
    assert trained == 7 * 20 + 4 * 20 + 2 * 40  # instead of 7 * 80: nothing is trained twice
    ranked = results(now, {})
    assert ranked.chosen is not None and numbers([ranked.chosen.setting]) == [6]
    order = [(row.state, row.step, *numbers([row.setting])) for row in ranked.rows]
    assert order == [
        ("complete", 80, 6), ("complete", 80, 2),
        ("dropped", 40, 3), ("dropped", 40, 1),
        ("dropped", 20, 5), ("dropped", 20, 7), ("dropped", 20, 4),
    ]  # fmt: skip


def test_a_diverged_run_takes_no_place_in_the_better_half(config, tmp_path):
    for value in (1, 2, 3, 4):
        write(tmp_path / f"runs/last={value}", CURVES[value], 20, 1.0)
    (tmp_path / "runs/last=3/diverged.json").write_text('{"reason": "no finite gradient"}')
    now = standing(config, tmp_path, (1, 2, 3, 4), (0.25,))
    assert numbers(now.present.settings) == [1, 2]  # of three that are left
    assert [row.state for row in results(now, {}).rows] == ["unfinished", "unfinished", "dropped", "diverged"]


def test_a_log_that_lacks_the_validation_at_a_rung_is_refused(config, tmp_path):
    """Without its errors the setting would be dropped as the worst."""
    for value in (1, 2):
        write(tmp_path / f"runs/last={value}", CURVES[value], 20, 1.0)
    (tmp_path / "runs/last=1/metrics.jsonl").write_text("garbage\n")
    with pytest.raises(AsrkdError, match=r"last=1/metrics\.jsonl: damaged: no validation at step 20"):
        _ = standing(config, tmp_path, (1, 2), (0.25,)).present


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("stamp.json", "{}", r"not a stamp of this command \(steps is missing\); remove it"),
        ("stamp.json", "[80]", "not a stamp of this command"),
        ("stamp.json", '{"steps": "80", "params": 9}', "steps is '80', expected an integer"),
        ("stamp.json", '{"steps": 80, "params": []}', r"params is \[\], expected an integer"),
        ("metrics.jsonl", "", r"damaged: no validation at step 80, .* rm -r .*last=1"),
        ("diverged.json", "{}", r"diverged\.json: reason is missing; remove it, .* rm .*diverged\.json"),
    ],
)
def test_a_damaged_file_of_a_run_is_named_and_its_remedy(config, tmp_path, name, text, message):
    run = tmp_path / "runs/last=1"
    write(run, CURVES[1], 80, 1.0)
    if name == "diverged.json":
        (run / "stamp.json").unlink()
    (run / name).write_text(text)
    with pytest.raises(AsrkdError, match=message):
        standing(config, tmp_path, (1, 2), ())


def test_without_rungs_all_are_trained_to_the_end_at_once(config, tmp_path):
    now = standing(config, tmp_path, rungs=())
    assert (now.present.number, len(now.left(now.present))) == (0, 7)
    assert set(now.present.until.values()) == {None}


def test_a_sweep_that_is_no_longer_halved_goes_on_with_what_was_dropped(config, tmp_path):
    for value in CURVES:
        write(tmp_path / f"runs/last={value}", CURVES[value], 80 if value in (2, 6) else 20, 1.0)
    now = standing(config, tmp_path, rungs=())
    assert [run.name for run in now.left(now.present)] == [f"last={value}" for value in (1, 3, 4, 5, 7)]


@pytest.mark.parametrize(
    ("share", "total", "every", "step"),
    [
        (0.25, 80, 10, 20), (0.5, 80, 10, 40), (0.25, 100, 10, 20), (0.01, 100, 10, 10),
        (0.9, 100, 30, 90), (0.99, 100, 10, None), (0.5, 8, 8, None), (0.25, 8, 4, 4),
    ],
)  # fmt: skip
def test_a_rung_is_at_a_validation(share, total, every, step):
    assert rung_step(share, total, every) == step


def test_ties_go_by_the_loss_and_then_by_the_order_of_the_grid():
    def of(wer: float | None, loss: float | None) -> Quality:
        return Quality("wer", wer, None, loss, {})

    qualities = {
        "a": of(0.2, 2.0),
        "b": of(0.2, 1.0),
        "c": of(None, None),
        "d": of(0.2, 2.0),
        "e": of(0.1, 9.0),
    }
    assert better_half(qualities) == ["a", "b", "e"]
    assert better_half({"a": of(None, None), "b": of(None, None)}) == ["a"]


def test_the_quality_is_the_mean_over_seeds_with_its_spread():
    records = [{"wer": 0.1, "loss": 1.0, "wer_known": 0.0}, {"wer": 0.3, "loss": 3.0, "wer_known": 0.1}]
    mean = quality(records)
    assert (mean.value, mean.loss, dict(mean.by_set)) == (pytest.approx(0.2), 2.0, {"known": 0.05})
    assert mean.std == pytest.approx(0.2 / 2**0.5)
    assert quality([{"perplexity": 9.0, "loss": 2.2}]).measure == "perplexity"
    assert quality([{"wer": 0.1}, {"wer": None}]).value is None


@pytest.mark.parametrize("text", ["", "0", "1", "0.5,0.25", "0.5,0.5", "a", "0.5,1", "-0.1", "nan", "1e-1"])
def test_shares_that_make_no_rungs_are_refused(text):
    with pytest.raises(AsrkdError, match="expected increasing shares between 0 and 1"):
        parse_rungs(False, text)


def test_rungs_are_at_a_quarter_and_half_or_where_they_are_wanted():
    assert parse_rungs(True, None) == (0.25, 0.5)
    assert parse_rungs(False, "0.1,.3") == (0.1, 0.3)
    assert parse_rungs(False, None) == ()
    with pytest.raises(AsrkdError, match=r"--halve: no effect with --halve-at 0\.1; remove it"):
        parse_rungs(True, "0.1")
