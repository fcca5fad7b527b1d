"""Command line of asrkd: each command reads options, calls one function of asrkd.commands, prints its report.

Modules of asrkd.commands are imported inside the commands, to keep ``--help`` fast.
"""

from pathlib import Path
from typing import Annotated

import typer

from asrkd import __version__
from asrkd.cli.distill import distill
from asrkd.cli.export import exporting
from asrkd.cli.launcher import LaunchOptions, print_report, ran_as_jobs, running
from asrkd.cli.options import (
    Device,
    Gpus,
    Jobs,
    Launcher,
    LauncherOfOne,
    MaxBad,
    Out,
    Partition,
    Shard,
    SlurmSettings,
    TimeLimit,
    refuse_options,
)
from asrkd.cli.quantizer import quantizer
from asrkd.cli.record import recording
from asrkd.cli.score import scoring
from asrkd.cli.sweep import sweeping
from asrkd.cli.targets import targets
from asrkd.core.errors import AsrkdError
from asrkd.core.library_errors import as_user_error
from asrkd.core.stopping import parse_time_limit, stop_requests
from asrkd.core.terminal import drop_output, prepare_streams

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(distill, name="distill")
app.add_typer(targets, name="targets")
app.add_typer(quantizer, name="quantizer")
app.add_typer(scoring)
app.add_typer(sweeping)
app.add_typer(recording)
app.add_typer(exporting)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"asrkd {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Distill a large speech recognizer into a small one, stage by stage."""


@app.command()
def doctor() -> None:
    """Report what is installed, what is missing, its substitutes, and the commands that fix it."""
    from asrkd.commands import doctor as stage

    report = stage.doctor()
    typer.echo(report.text())
    raise typer.Exit(report.exit_status)


@app.command()
def prepare(
    context: typer.Context,
    corpus: Annotated[
        str,
        typer.Argument(
            help="librispeech, tsv, kaldi, cuts, digits (synthetic, made here), or subset (of a manifest)."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Output folder; refused if it holds something else. subset: output file, *.jsonl.gz."
        ),
    ],
    source: Annotated[Path | None, typer.Argument(help="Folder or file of the corpus; the manifest.")] = None,
    jobs: Jobs = 1,
    num_mel_bins: Annotated[int, typer.Option(help="Mel bins: values per frame.")] = 80,
    sampling_rate: Annotated[
        int | None, typer.Option(help="Hz; by default the corpus's, 16000 for digits.")
    ] = None,
    speeds: Annotated[
        list[float], typer.Option(help="Add copies of train at this speed, 0.5 to 2; repeatable.")
    ] = [],  # noqa: B006
    tokens: Annotated[str | None, typer.Option(help="char (the default) or bpe.")] = None,
    vocab_size: Annotated[int | None, typer.Option(help="bpe: vocabulary size, default 500.")] = None,
    token_source: Annotated[
        Path | None, typer.Option(help="Folder of existing tokens to use instead of new ones.")
    ] = None,
    untranscribed: Annotated[bool, typer.Option(help="Allow cuts without a transcript.")] = False,
    max_bad: MaxBad = 0.001,
    small_speakers: Annotated[
        int | None, typer.Option(help="Also write train_small: the cuts of this many speakers of train.")
    ] = None,
    subset: Annotated[
        list[str], typer.Option(help="librispeech: only this subset; repeatable. Default: all present.")
    ] = [],  # noqa: B006
    minutes: Annotated[float | None, typer.Option(help="digits: training speech, default 60.")] = None,
    dev_minutes: Annotated[float | None, typer.Option(help="digits: default 12 % of --minutes.")] = None,
    test_minutes: Annotated[float | None, typer.Option(help="digits: default 12 % of --minutes.")] = None,
    seed: Annotated[int | None, typer.Option(help="digits: random seed of the corpus.")] = None,
    num_speakers: Annotated[
        int | None, typer.Option(help="digits: speakers of train, default 40; dev and test have a fifth.")
    ] = None,
    snr_db: Annotated[
        tuple[float, float] | None,
        typer.Option(help="digits: lowest and highest signal-to-noise ratio, dB."),
    ] = None,
    gain_db: Annotated[
        tuple[float, float] | None, typer.Option(help="digits: lowest and highest peak, dBFS.")
    ] = None,
    transcripts: Annotated[
        str | None, typer.Option(help="subset: 1/N, keep the transcripts of one cut in N.")
    ] = None,
    without: Annotated[Path | None, typer.Option(help="subset: leave out the cuts of this manifest.")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="subset, --without: utterance (the default), or recording: those that share one too."
        ),
    ] = None,
    hold_out: Annotated[
        int | None,
        typer.Option(
            help="subset: about this many cuts, whose recordings few others share; as many of each speaker."
        ),
    ] = None,
    cuts_per_shard: Annotated[int, typer.Option(help="Cuts per feature shard, 1 or more.")] = 250,
    shard: Shard = None,
    time_limit: TimeLimit = None,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Validate a corpus item by item; write its cuts, features and tokens. subset: write some of the cuts."""
    if corpus == "subset":
        refuse_options(context, "subset", "out", "transcripts", "without", "by", "hold_out")
        from asrkd.commands.prepare_subset import SubsetRequest, prepare_subset

        typer.echo(prepare_subset(SubsetRequest(source, out, transcripts, without, by, hold_out)))
        return
    from asrkd.commands import prepare as stage
    from asrkd.commands.prepare_options import PrepareFlags
    from asrkd.core.shared_work import Workers, parse_shard_of

    flags = PrepareFlags(
        num_mel_bins=num_mel_bins,
        sampling_rate=sampling_rate,
        speeds=tuple(speeds),
        tokens=tokens,
        vocab_size=vocab_size,
        token_source=token_source,
        untranscribed=untranscribed,
        max_bad=max_bad,
        small_speakers=small_speakers,
        subset=tuple(subset),
        minutes=minutes,
        dev_minutes=dev_minutes,
        test_minutes=test_minutes,
        seed=seed,
        num_speakers=num_speakers,
        snr_db=snr_db,
        gain_db=gain_db,
        transcripts=transcripts,
        without=without,
        by=by,
        hold_out=hold_out,
        cuts_per_shard=cuts_per_shard,
    )
    options, workers = flags.options(corpus), Workers(jobs, parse_shard_of(shard))
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if ran_as_jobs(context, launch, lambda: stage.check(corpus, source, out, options)):
        return
    with running(context) as stop:
        print_report(context, str(stage.prepare(corpus, source, out, options, workers=workers, stop=stop)))


@app.command()
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment.")],
    out: Out,
    set_: Annotated[
        list[str], typer.Option("--set", help="Override a key of CONFIG: optim.lr=0.002; repeatable.")
    ] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="Shorthand for --set seed=N.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the last checkpoint; start if there is none.")
    ] = False,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or fp16 on a GPU.")] = "fp32",
    workers: Annotated[
        int, typer.Option(help="Data-loading processes per trainer; 0: load in the trainer.")
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(help="torch threads per process; default all cores, 1 under torchrun.")
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(help="Longest time between checkpoints, besides those at validation.")
    ] = "10m",
    until_step: Annotated[
        int | None,
        typer.Option(help="Save, stop and exit with status 75 after this update; --resume continues."),
    ] = None,
    from_record: Annotated[
        Path | None,
        typer.Option(
            help="File of asrkd record: restore this run from it instead of training; refused if of another."
        ),
    ] = None,
    time_limit: TimeLimit = None,
    launcher: LauncherOfOne = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Train a teacher, a baseline or a student; the objectives in CONFIG decide which."""
    every_s = parse_time_limit(checkpoint_every, "--checkpoint-every")
    from asrkd.commands import train as stage

    options = stage.TrainOptions(
        device, precision, workers, threads, resume, every_s or 0.0, until_step, from_record
    )
    overrides = [*set_, *([] if seed is None else [f"seed={seed}"])]
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if launcher is not None and until_step is not None:  # jobs that are stopped are submitted again
        raise AsrkdError(f"--until-step {until_step}: does not go with --launcher; remove one of them")
    if ran_as_jobs(context, launch, lambda: stage.check(config, out, overrides, options)):
        return
    with running(context) as stop:
        report = stage.train(config, out, overrides, options, stop)
    if report.rank == 0:
        typer.echo(report.text())


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Cuts manifest, or any folder that asrkd wrote.")],
    cuts: Annotated[
        list[Path],
        typer.Option(
            help="Cuts to compare a store with, or to recognize by an export and its model; repeatable."
        ),
    ] = [],  # noqa: B006
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte: payloads, features, audio.")] = False,
    rescore: Annotated[
        bool,
        typer.Option("--rescore", help="N-best store: rescore hypotheses with its teacher, and compare."),
    ] = False,
    hypotheses: Annotated[
        int | None, typer.Option(help="--rescore: number of hypotheses; default 1000.")
    ] = None,
) -> None:
    """Check that a manifest or folder is whole, fits its audio and is not stale; print what fixes it."""
    if hypotheses is not None and not rescore:
        raise typer.BadParameter("--hypotheses is for --rescore")
    from asrkd.commands import check as stage

    num_rescored = (1000 if hypotheses is None else hypotheses) if rescore else None
    report = stage.check(path, cuts, deep=deep, rescore=num_rescored)
    typer.echo(report.text())
    for problem in report.problems:
        typer.echo(f"asrkd: {problem}", err=True)
    raise typer.Exit(1 if report.problems else 0)


@app.command()
def selftest(
    out: Annotated[Path, typer.Option(help="Scratch folder, on the file system to test.")],
    kills: Annotated[int, typer.Option(help="Number of SIGKILLs, spread over the commands.")] = 12,
    seed: Annotated[int, typer.Option(help="Random seed of their times.")] = 1,
) -> None:
    """Kill and starve every command of a small pipeline, and prove that nothing is lost."""
    from asrkd.commands import distill, prepare, score, train  # noqa: F401 (loaded once, before the forks)
    from asrkd.commands import selftest as stage

    with stop_requests() as stop:
        tally = stage.selftest(out, run, kills, seed, stop)
    typer.echo(tally.text())
    raise typer.Exit(1 if tally.broken else 0)


def run() -> None:
    """Run the program: an error that a user can fix is one line and its exit status, a bug a traceback."""
    prepare_streams()
    try:
        app()
    except Exception as error:
        known = as_user_error(error)
        if known is None:
            raise
        drop_output()
        if not known.reported:
            typer.echo(f"asrkd: {known}", err=True)
        raise SystemExit(known.exit_status) from None
