"""The command line of a job, from that of its launcher."""

import pytest

from asrkd.cli.launching.launch import job_arguments


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("score m --out o --launcher slurm --jobs 8", "score m --out o --shard 1/8"),
        ("score m --launcher=slurm --jobs=8 --gpus=1 --out=o", "score m --out=o --shard 1/8"),
        ("train c --slurm mem=8G --slurm qos=low --partition p --resume", "train c --resume --shard 1/8"),
        (
            "distill nbest --time-limit 2h --nbest 4 --out jobs",
            "distill nbest --nbest 4 --out jobs --shard 1/8",
        ),
        ("score --jobs 2 --out o -- --launcher", "score --out o --shard 1/8 -- --launcher"),
    ],
)
def test_a_job_is_told_all_but_what_concerns_its_launching(given, expected):
    assert job_arguments(given.split(), "--shard", "1/8") == expected.split()
