"""Command `asrkd sweep`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.launcher import LaunchOptions, print_report, ran_as_jobs, running
from asrkd.cli.options import Device, Gpus, Launcher, Out, Partition, Shard, SlurmSettings, TimeLimit
from asrkd.core.errors import AsrkdError

sweeping = typer.Typer()


@sweeping.command()
def sweep(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment.")],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE,VALUE",
            help="Values of a key, in YAML: optim.lr=0.01,0.02. Repeatable: all combinations. The values of "
            "seed repeat each setting.",
        ),
    ],
    out: Out,
    set_: Annotated[
        list[str], typer.Option("--set", help="Override a key of CONFIG in all runs; repeatable.")
    ] = [],  # noqa: B006
    samples: Annotated[
        int | None, typer.Option(help="Train a random sample of so many settings; by default all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed of --samples; default 1.")] = None,
    halve: Annotated[
        bool,
        typer.Option("--halve", help="Stop the worse half of the settings at 1/4 and 1/2 of the updates."),
    ] = False,
    halve_at: Annotated[
        str | None, typer.Option(help="--halve at these shares of the updates instead: 0.1,0.3.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Number of runs side by side; does not change the result.")] = 1,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or fp16 on a GPU.")] = "fp32",
    workers: Annotated[int, typer.Option(help="Data-loading processes per run; 0: load in the run.")] = 0,
    threads: Annotated[int, typer.Option(help="torch threads per run.")] = 1,
    shard: Shard = None,
    time_limit: TimeLimit = None,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Train CONFIG with several values of its keys, and choose the best on the dev set."""
    if seed is not None and samples is None:
        raise AsrkdError(f"--seed {seed}: no effect without --samples; --vary seed=1,2 trains two seeds")
    from asrkd.commands import sweep as stage
    from asrkd.commands.train import TrainOptions, check, count_steps, train
    from asrkd.core.shared_work import Workers, parse_shard_of

    options = TrainOptions(device, precision, workers, threads, True, stage.CHECKPOINT_EVERY_S)
    options.check()
    request = stage.SweepRequest(
        config,
        tuple(set_),
        tuple(vary),
        out,
        samples,
        1 if seed is None else seed,
        halve,
        halve_at,
        Workers(jobs, parse_shard_of(shard)),
        trains=launcher is None,
    )
    training = stage.Training(train, count_steps, options)

    def check_launch() -> None:
        stage.check(request, lambda path, folder, overrides: check(path, folder, overrides, options))

    launch = LaunchOptions(launcher, partition, gpus, slurm)
    ran_as_jobs(context, launch, check_launch, stage.Rounds(request, training).has_next)
    with running(context) as stop:
        report = stage.sweep(request, training, stop)
    print_report(context, report.text(styled=sys.stdout.isatty()))
