"""Fairness of comparisons: each kind of unequal, unsettled, stalled and unknown training, built and named."""

import json
import shutil

import pytest

from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.comparison import read_comparison, write_comparison
from asrkd.evaluation.compare.table import render
from tests.evaluation.compare.runs import STEPS, compared, falling, make_run, sentence, settled
from tests.pipeline.test_compare import hypotheses, write

SILENT = ("On CTC's plateau", "Unequal", "Not counted", "Not settled", "Constant", "Not known")


def pair(folder, **student):
    """Scored baseline and student, alike but for what is given."""
    return [make_run(folder / "baseline", 120), make_run(folder / "student", 60, **student)]


def settings(comparison):
    return {setting.name: setting for setting in comparison.fairness.settings}


def test_systems_trained_alike_get_no_sentence(tmp_path):
    comparison = compared(pair(tmp_path, of="mvq-kd"))
    assert not [each for each in comparison.conclusions if each.startswith(SILENT)]
    assert comparison.conclusions[0] == "Significantly better than baseline: student (-12.50 points)."
    shown = render(comparison, styled=False)
    equal = [setting for setting in comparison.fairness.settings if setting.is_condition]
    assert (
        "Equal settings: updates 2,400, optim.lr 0.006, data.max_duration 30.0, parameters 53,421 and "
        f"{len(equal) - 4} more (--out has all)."
    ) in " ".join(shown.split())
    assert "of the systems" not in shown
    assert settings(comparison)["optim.lr"].values == {"baseline": ["0.006"], "student": ["0.006"]}


@pytest.mark.parametrize(
    ("changes", "more", "expected"),
    [
        ({"optim.lr": 0.012}, {}, "optim.lr 0.006 (baseline), 0.012 (student)"),
        ({"optim.warmup_steps": 400}, {}, "optim.warmup_steps 200 (baseline), 400 (student)"),
        ({"optim.accumulate": 2}, {}, "optim.accumulate 1 (baseline), 2 (student)"),
        ({"data.max_duration": 60.0}, {}, "data.max_duration 30.0 (baseline), 60.0 (student)"),
        ({"model.dropout": 0.1}, {}, "model.dropout 0.0 (baseline), 0.1 (student)"),
        ({"averaging.last": 1}, {}, "averaging.last 5 (baseline), 1 (student)"),
        ({}, {"params": 900_289}, "parameters 53,421 (baseline), 900,289 (student)"),
        (
            {},
            {"lineage": {"train_cuts": "a" * 64}},
            "train cuts 1c3157506b99 (baseline), aaaaaaaaaaaa (student)",
        ),
        ({}, {"lineage": {"tokens": "b" * 64}}, "tokens fdda4610a256 (baseline), bbbbbbbbbbbb (student)"),
        (
            {"augment.specaugment.num_frame_masks": 1},
            {},
            "augment.specaugment.num_frame_masks 2 (baseline), 1 (student)",
        ),
        (
            {"augment.specaugment": None},
            {},
            "augment.specaugment feature_mask_size 12, frame_mask_share 1... (baseline), none (student)",
        ),
        (
            {"augment.noise": {"cuts": "noise.jsonl.gz", "probability": 0.5, "snr_db": [10.0, 20.0]}},
            {"lineage": {"noise_cuts": "c" * 64}},
            "augment.noise none (baseline), probability 0.5, snr_db [10.0, 20.0] (student)",
        ),
        ({"phases.0.steps": 4800}, {"steps": 4800}, "updates 2,400 (baseline), 4,800 (student)"),
        (
            {"phases": [{"steps": 600, "objectives": [{"ctc": None}]}, {"steps": 1800, "restart": False}]},
            {},
            "phases 1 (baseline), 2: 600 steps, 1800 steps without restart (student)",
        ),
        ({"optim.blank_bias": -2}, {}, "optim.blank_bias \u2013 (baseline), -2 (student)"),
    ],
)
def test_each_kind_of_difference_is_named_with_both_values(tmp_path, changes, more, expected):
    comparison = compared(pair(tmp_path, changes=changes, **more))
    assert sentence(comparison, "Unequal settings") == f"Unequal settings: {expected}."
    assert sentence(comparison, "Significantly") == (
        "Significantly better than baseline, with these reservations: student (-12.50 points)."
    )
    unequal = comparison.conclusions.index(sentence(comparison, "Unequal"))
    assert unequal < comparison.conclusions.index(sentence(comparison, "Significantly"))
    shown = render(comparison, styled=False)
    assert "of the systems" in shown and max(map(len, shown.splitlines())) <= 100
    assert len(comparison.fairness.unequal) == 1


@pytest.mark.parametrize(
    ("of", "changes", "more"),
    [
        ("mvq-kd", {"phases.0.objectives.0.ctc.scale": 0.5, "stores": {"codebook": "elsewhere"}}, {}),
        ("baseline", {"data.train": "a/copy.jsonl.gz", "data.tokens": "a/copy"}, {}),
        ("baseline", {"validation.max_duration": 60.0, "data.dev": "other"}, {"lineage": {"dev_cuts": "d"}}),
        ("seq-kd", {}, {"data": {"cuts": 790, "hours": 0.65}, "label": "ctc-nbest"}),
    ],
)
def test_objectives_paths_validation_and_cuts_without_targets_do_not_count(tmp_path, of, changes, more):
    comparison = compared(pair(tmp_path, of=of, changes=changes, **more))
    assert not comparison.fairness.unequal
    assert sentence(comparison, "Unequal") == ""
    assert sentence(comparison, "Significantly better than baseline: student")


def test_sections_of_another_kind_are_one_setting(tmp_path):
    model = {"encoder": {"las": {"num_layers": 5}}, "ctc": True}
    comparison = compared(pair(tmp_path, changes={"model": model}))
    (setting,) = comparison.fairness.unequal
    assert setting.name == "model" and setting.values["student"] == ["ctc true, encoder las num_layers 5"]


def test_a_sentence_names_five_settings_and_the_table_all(tmp_path):
    names = ("lr", "warmup_steps", "accumulate", "clip_norm", "weight_decay", "hold_share")
    comparison = compared(pair(tmp_path, changes={f"optim.{name}": 0.5 for name in names}))
    assert sentence(comparison, "Unequal").count("(student)") == 5
    assert sentence(comparison, "Unequal").endswith("; and 1 more.")
    assert all(f"optim.{name} " in render(comparison, styled=False) for name in names)


def test_epochs_of_expanded_lists_are_said_and_do_not_count(tmp_path):
    expand = {"targets": "nbest", "num_hypotheses": 5, "expand": True}
    changes = {"phases.0.objectives": [{"ctc": expand}]}
    comparison = compared(pair(tmp_path, changes=changes, label="ctc-nbest"))
    assert sentence(comparison, "Not counted as unequal") == (
        "Not counted as unequal: epochs 30 (baseline), 6 of 5 passes (student); with expanded lists an epoch "
        "has a pass for each hypothesis."
    )
    assert sentence(comparison, "Significantly better than baseline: student")
    more = compared(pair(tmp_path / "more", changes=changes, label="ctc-nbest", steps=5 * STEPS))
    assert sentence(more, "Unequal") == "Unequal settings: updates 2,400 (baseline), 12,000 (student)."


def test_the_teacher_may_differ_and_stall(tmp_path):
    stuck = {"wer": settled(1.0, 1.0), "dev": settled(2.5, 2.4), "train": settled(2.5, 2.4)}
    teacher = make_run(tmp_path / "teacher", 20, changes={"optim.lr": 0.1}, of="teacher", params=9, **stuck)
    comparison = compared([teacher, *pair(tmp_path)])
    assert not [each for each in comparison.conclusions if each.startswith(SILENT)]
    assert settings(comparison)["optim.lr"].values["teacher"] == ["0.1"]
    assert comparison.fairness.courses["teacher"].plateaus


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ({"wer": falling(0.5, 0.3)}, "dev WER fell by 6."),
        ({"dev": falling(2.0, 0.8)}, "dev loss fell by 33 % in the last third"),
        ({"changes": {"optim.warmup_steps": STEPS}}, "ended in the warm-up of the learning rate"),
        ({"changes": {"optim.final_lr": 0.2}, "steps": STEPS}, ""),
    ],
)
def test_what_had_not_settled_is_said_with_the_reason(tmp_path, student, expected):
    comparison = compared(pair(tmp_path, **student))
    said = sentence(comparison, "Not settled")
    assert said.startswith("Not settled: student (" if expected else "") and expected in said
    assert ("with these reservations" in sentence(comparison, "Significantly")) == bool(
        expected or comparison.fairness.unequal
    )


def test_a_run_that_was_stopped_early_is_not_at_the_end_of_its_schedule(tmp_path):
    folders = pair(tmp_path)
    log = folders[1] / "metrics.jsonl"
    kept = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= 1800]
    log.write_text("\n".join(kept) + "\n")
    assert "student (ended at 15 % of the peak learning rate)" in sentence(compared(folders), "Not settled")


CTC = [{"ctc": None}]
CODEBOOK = [{"codebook": {"scale": 1.0}}]


def phases(*lengths, restart=True, first=CTC):
    """Keys of a config with phases of so many updates, the first with the objectives ``first``."""
    later = [{"steps": steps, "objectives": CTC, "restart": restart} for steps in lengths[1:]]
    return {"phases": [{"steps": lengths[0], "objectives": first}, *later]}


@pytest.mark.parametrize(
    ("changes", "in_warmup"),
    [
        # The schedule began in the first phase, and so did its warm-up.
        (phases(2200, 200, restart=False), False),
        (phases(1000, 1200, 200, restart=False), False),
        (phases(2200, 200), True),
        # The default is a quarter of the last schedule's 400 updates, not of the run.
        (phases(2000, 400) | {"optim.warmup_steps": None}, False),
    ],
)
def test_the_warmup_is_that_of_the_last_schedule(tmp_path, changes, in_warmup):
    systems = {"a": 90, "b": 60}
    folders = [make_run(tmp_path / name, systems[name], changes=changes, every=20) for name in systems]
    assert ("in the warm-up" in sentence(compared(folders), "Not settled")) == in_warmup


@pytest.mark.parametrize(
    ("changes", "is_stuck"),
    [
        (phases(2200, 200, restart=False), True),
        (phases(2000, 400), True),
        (phases(1200, 1200, first=CODEBOOK), True),
        # Fewer updates with CTC after the warm-up than a fifth of the run.
        (phases(1800, 600, first=CODEBOOK), False),
    ],
)
def test_a_plateau_may_begin_in_an_earlier_phase_with_ctc(tmp_path, changes, is_stuck):
    stuck = {"wer": settled(1.0, 1.0), "dev": settled(2.5, 2.4), "train": settled(2.5, 2.4)}
    comparison = compared(pair(tmp_path, changes=changes, **stuck))
    assert bool(comparison.fairness.courses["student"].plateaus) == is_stuck


def test_a_constant_learning_rate_is_a_fact_and_no_reservation(tmp_path):
    constant = {"optim.schedule": "constant"}
    folders = [make_run(tmp_path / name, errors, changes=constant) for name, errors in (("a", 90), ("b", 60))]
    comparison = compared(folders)
    assert sentence(comparison, "Constant").startswith("Constant learning rate to the end: a, b;")
    assert "reservations" not in " ".join(comparison.conclusions)


def test_too_few_validations_leave_it_open(tmp_path):
    comparison = compared(pair(tmp_path, every=400, wer=falling(1.0, 0.1)))
    assert sentence(comparison, "Not settled") == ""
    assert sentence(comparison, "Not known whether settled").startswith(
        "Not known whether settled: student (3 validations); it takes 4 validations in the last third"
    )
    assert comparison.fairness.courses["student"].wer is None


def rewrite(folder, kinds, **values):
    """Give the records of some kinds in a log other values."""
    log = folder / "metrics.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    changed = [record | values if record["kind"] in kinds else record for record in records]
    log.write_text("".join(json.dumps(record) + "\n" for record in changed))


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 10**400, -1e308, None, "much"])
def test_where_losses_are_no_numbers_the_error_rate_shows_whether_it_settled(tmp_path, loss):
    folders = pair(tmp_path)
    rewrite(folders[1], ("train", "validation"), loss=loss, loss_ctc=loss)
    rewrite(folders[1], ("end",), train_seconds=loss)
    comparison = compared(folders)
    assert not [each for each in comparison.conclusions if each.startswith(SILENT)]
    course = comparison.fairness.courses["student"]
    assert course.loss is None and course.num_validations == course.wer.num_validations == 9
    write_comparison(tmp_path / "compare.json", comparison)
    assert read_comparison(tmp_path / "compare.json") == comparison


def test_a_value_is_shown_whole_where_two_would_read_alike(tmp_path):
    folders = pair(tmp_path, changes={"augment.specaugment.probability": 0.5})
    folders.append(make_run(tmp_path / "none", 60, changes={"augment.specaugment": None}))
    said = sentence(compared(folders), "Unequal settings")
    assert "probability 0.9 (baseline)" in said and "probability 0.5 (student)" in said


def test_a_system_on_the_plateau_is_named_with_those_that_are_not(tmp_path):
    stuck = {"wer": settled(1.0, 0.83), "dev": settled(2.3, 1.4), "train": settled(2.5, 1.35)}
    folders = [make_run(tmp_path / "baseline", 120, **stuck), make_run(tmp_path / "student", 60)]
    comparison = compared(folders)
    assert sentence(comparison, "On CTC's plateau") == (
        "On CTC's plateau: baseline (CTC loss of 1.35 nats per token for 480 updates, token frequencies "
        "alone give 2.51), unlike student."
    )
    assert comparison.conclusions[0].startswith("On CTC's plateau")
    assert "with these reservations" in sentence(comparison, "Significantly")


@pytest.mark.parametrize(
    "shapes",
    [
        # Weak, but past the plateau: what is learnt from few speakers does not hold for another.
        {"wer": settled(1.0, 0.6), "dev": settled(2.5, 1.2), "train": settled(2.5, 0.2)},
        # Learned by heart: the loss on dev rises again.
        {
            "wer": settled(1.0, 0.6),
            "dev": lambda share: 2.5 - 3 * share + 2.6 * share**2,
            "train": settled(2.5, 0.05),
        },
        # A good error rate, whatever the losses.
        {"wer": settled(1.0, 0.2), "dev": settled(2.5, 1.5), "train": settled(2.5, 1.5)},
        # Slow: the loss falls to the end.
        {"wer": falling(1.2, 0.6), "dev": falling(2.6, 1.3), "train": falling(2.6, 1.3)},
    ],
)
def test_weak_and_slow_systems_are_not_on_the_plateau(tmp_path, shapes):
    assert compared(pair(tmp_path, **shapes)).fairness.courses["student"].plateaus == []


def test_a_system_without_ctc_is_on_no_plateau(tmp_path):
    stuck = {
        "wer": settled(1.0, 1.0),
        "dev": settled(2.5, 2.4),
        "train": settled(2.5, 2.4),
        "label": "attention",
    }
    objectives = {"phases.0.objectives": [{"attention": {"scale": 1.0}}]}
    assert compared(pair(tmp_path, changes=objectives, **stuck)).fairness.courses["student"].plateaus == []


def test_a_log_without_the_unigram_loss_takes_that_of_equally_frequent_tokens(tmp_path):
    stuck = {"wer": settled(1.0, 1.0), "dev": settled(2.5, 1.8), "train": settled(2.5, 1.8)}
    comparison = compared(pair(tmp_path, data={"unigram": None}, **stuck))
    (found,) = comparison.fairness.courses["student"].plateaus
    assert found.plateau.unigram == pytest.approx(2.7726, abs=1e-4)  # ln 16


def test_of_scores_without_models_nothing_is_claimed(tmp_path):
    kaldi = write(tmp_path / "kaldi", hypotheses(60))
    comparison = compared([*pair(tmp_path), kaldi])
    assert sentence(comparison, "Not known how trained") == (
        "Not known how trained: kaldi (no config and log of a training)."
    )
    assert "kaldi (-12.50 points)" in sentence(comparison, "Significantly")
    assert "kaldi" not in comparison.fairness.courses
    assert "reservations" not in " ".join(comparison.conclusions)


def test_a_model_without_a_log_has_settings_and_no_course(tmp_path):
    folders = pair(tmp_path, changes={"optim.lr": 0.012})
    (folders[1] / "metrics.jsonl").unlink()
    (folders[1] / "lineage.json").unlink()
    comparison = compared(folders)
    assert sentence(comparison, "Unequal") == "Unequal settings: optim.lr 0.006 (baseline), 0.012 (student)."
    assert "student (0 validations)" in sentence(comparison, "Not known whether settled")


def test_only_those_with_reservations_are_marked_where_others_have_none(tmp_path):
    other = make_run(tmp_path / "other", 50, changes={"optim.lr": 0.012})
    comparison = compared([*pair(tmp_path), other])
    assert sentence(comparison, "Significantly better") == (
        "Significantly better than baseline: student (-12.50 points), other (-14.58 points, with "
        "reservations)."
    )


def seeds_of(folder, name, errors, **more):
    return [make_run(folder / f"{seed}/{name}", errors + seed, seed=seed, **more) for seed in (1, 2, 3)]


def test_seeds_of_a_system_have_to_agree(tmp_path):
    folders = [*seeds_of(tmp_path, "baseline", 120), *seeds_of(tmp_path, "student", 60)]
    comparison = compared(folders)
    assert not [each for each in comparison.conclusions if each.startswith(SILENT)]
    shutil.rmtree(folders[5])
    make_run(folders[5], 63, seed=3, changes={"optim.lr": 0.012})
    comparison = compared(folders)
    assert (
        sentence(comparison, "Unequal")
        == "Unequal settings: optim.lr 0.006 (baseline, student), 0.012 (student)."
    )
    assert settings(comparison)["optim.lr"].values["student"] == ["0.006", "0.006", "0.012"]
    assert settings(comparison)["seeds"].values["student"] == ["1, 2, 3"]


def test_seeds_without_a_log_or_with_other_validations_leave_it_open(tmp_path):
    folders = [*seeds_of(tmp_path, "baseline", 120), *seeds_of(tmp_path, "student", 60)]
    (folders[1] / "metrics.jsonl").unlink()
    shutil.rmtree(folders[5])
    make_run(folders[5], 63, seed=3, every=600)
    said = sentence(compared(folders), "Not known whether settled")
    assert said.startswith(
        "Not known whether settled: baseline (none in the log of seed 2), student (2 validations at steps "
        "that all seeds have); it takes 4 validations in the last third"
    )


def test_the_trend_is_that_of_the_mean_over_seeds_and_plateaus_are_by_seed(tmp_path):
    folders = [
        *seeds_of(tmp_path, "baseline", 120),
        *seeds_of(tmp_path, "student", 60, wer=falling(0.6, 0.3)),
    ]
    shutil.rmtree(folders[1])
    make_run(folders[1], 122, seed=2, wer=settled(1.0, 0.9), dev=settled(2.5, 1.9), train=settled(2.5, 1.9))
    comparison = compared(folders)
    assert sentence(comparison, "On CTC's plateau").startswith(
        "On CTC's plateau: baseline (seed 2 of 3: CTC loss"
    )
    assert "student (dev WER fell by 9.9 points in the last third, mean over seeds)" in sentence(
        comparison, "Not settled"
    )


def test_a_step_that_a_log_has_twice_counts_once(tmp_path):
    """A log that a killed run still wrote to: the last record of a step is that of the weights."""
    folders = pair(tmp_path)
    before = compared(folders)
    log = folders[1] / "metrics.jsonl"
    lines = log.read_text().splitlines()
    wrong = [
        json.dumps(json.loads(line) | {"loss": 9.0, "wer": 9.0}) for line in lines if '"validation"' in line
    ]
    log.write_text("\n".join([*wrong, *lines]) + "\n")
    assert compared(folders).fairness == before.fairness


def test_all_is_in_the_record(tmp_path):
    comparison = compared(pair(tmp_path, changes={"optim.lr": 0.012}, wer=falling(0.6, 0.3)))
    write_comparison(tmp_path / "compare.json", comparison)
    assert read_comparison(tmp_path / "compare.json") == comparison
    record = json.loads((tmp_path / "compare.json").read_text())
    assert record["fairness"]["courses"]["student"]["wer"]["fall"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("name", ["lineage.json", "stamp.json"])
def test_a_torn_record_of_a_training_is_a_line(tmp_path, name):
    folders = pair(tmp_path)
    (folders[1] / name).write_text('{"train_cuts": ')
    with pytest.raises(AsrkdError, match=f"student/{name}: torn or not JSON"):
        compared(folders)


@pytest.mark.parametrize(
    "experiment",
    [
        {"seed": 1, "optim": {"lr": "x", "final_lr": 0, "warmup_steps": "y"}, "phases": 3},
        {
            "seed": 1,
            "optim": {},
            "phases": [None, {"steps": "x", "objectives": [3, {"ctc": 4}]}, {"objectives": 3}],
        },
        {"seed": 1, "optim": {"lr": 1}, "augment": {"noise": 3}, "data": [1]},
    ],
)
def test_configs_of_other_forms_are_compared_as_far_as_they_go(tmp_path, experiment):
    folders = pair(tmp_path)
    (folders[1] / "config.json").write_text(json.dumps({"experiment": experiment, "architecture": 3}))
    comparison = compared(folders)
    assert comparison.fairness.unequal and render(comparison, styled=False)
