"""Command line: read the options, call one stage, print its result.

Stages are imported inside the commands so that ``asrkd --help`` is quick.
"""

from pathlib import Path
from typing import Annotated

import typer

from asrkd import __version__
from asrkd.cli.distill import distill
from asrkd.cli.launcher import launchable
from asrkd.cli.options import Device, Jobs, MaxBad, Out, Shard, TimeLimit
from asrkd.cli.quantizer import quantizer
from asrkd.cli.score import scoring
from asrkd.cli.targets import targets
from asrkd.core.library_errors import as_user_error
from asrkd.core.stopping import parse_time_limit, stop_requests
from asrkd.core.terminal import drop_output, prepare_streams

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(distill, name="distill")
app.add_typer(targets, name="targets")
app.add_typer(quantizer, name="quantizer")
app.add_typer(scoring)


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
    """Say what is installed, what is missing, what stands in for it, and the command that mends it."""
    from asrkd.commands import doctor as stage

    report = stage.doctor()
    typer.echo(report.text())
    raise typer.Exit(report.exit_status)


@app.command()
@launchable
def prepare(
    corpus: Annotated[str, typer.Argument(help="librispeech, tsv, kaldi, cuts, or digits (made here).")],
    out: Out,
    source: Annotated[Path | None, typer.Argument(help="The corpus's folder or file.")] = None,
    jobs: Jobs = 1,
    num_mel_bins: Annotated[int, typer.Option(help="Mel bands: values in a frame.")] = 80,
    sampling_rate: Annotated[
        int | None, typer.Option(help="Hz; by default the corpus's own, 16000 for digits.")
    ] = None,
    speeds: Annotated[
        list[float], typer.Option(help="Also copies of train at this speed, 0.5 to 2; repeat it.")
    ] = [],  # noqa: B006
    tokens: Annotated[str | None, typer.Option(help="char (the default) or bpe.")] = None,
    vocab_size: Annotated[int | None, typer.Option(help="bpe: pieces, 500 by default.")] = None,
    token_source: Annotated[
        Path | None, typer.Option(help="Folder of tokens to use instead of making some.")
    ] = None,
    untranscribed: Annotated[bool, typer.Option(help="Allow cuts without a transcript.")] = False,
    max_bad: MaxBad = 0.001,
    small_speakers: Annotated[
        int | None, typer.Option(help="Also list the cuts of so many speakers of train as train_small.")
    ] = None,
    subset: Annotated[
        list[str], typer.Option(help="librispeech: only these; repeat it. All that are there by default.")
    ] = [],  # noqa: B006
    minutes: Annotated[float | None, typer.Option(help="digits: of training speech, 60 by default.")] = None,
    dev_minutes: Annotated[float | None, typer.Option(help="digits: 12 % of --minutes by default.")] = None,
    test_minutes: Annotated[float | None, typer.Option(help="digits: 12 % of --minutes by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="digits: another seed, another corpus.")] = None,
    num_speakers: Annotated[
        int | None, typer.Option(help="digits: of train, 40 by default; dev and test have a fifth as many.")
    ] = None,
    snr_db: Annotated[
        tuple[float, float] | None, typer.Option(help="digits: lowest and highest speech to noise, dB.")
    ] = None,
    gain_db: Annotated[
        tuple[float, float] | None, typer.Option(help="digits: lowest and highest peak, dB re full scale.")
    ] = None,
    cuts_per_shard: Annotated[int, typer.Option(help="Cuts in a shard of features, 1 or more.")] = 250,
    shard: Shard = None,
    time_limit: TimeLimit = None,
) -> None:
    """Check a corpus item by item; make cuts, features and tokens of it."""
    flags = dict(locals())
    limit = parse_time_limit(time_limit)
    from asrkd.commands import prepare as stage
    from asrkd.commands.prepare_options import options_from_flags
    from asrkd.core.shared_work import Workers, parse_shard_of

    options = options_from_flags(corpus, flags)
    with stop_requests(limit) as stop:
        workers = Workers(jobs, parse_shard_of(shard))
        typer.echo(str(stage.prepare(corpus, source, out, options, workers=workers, stop=stop)))


@app.command()
@launchable
def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment.")],
    out: Out,
    set_: Annotated[
        list[str], typer.Option("--set", help="Override a key of CONFIG: optim.lr=0.002; repeat it.")
    ] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint; begin where there is none.")
    ] = False,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or on a GPU fp16.")] = "fp32",
    workers: Annotated[
        int, typer.Option(help="Processes that load batches for each trainer; 0: none beside it.")
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(help="Threads of torch, per process; all cores, 1 under torchrun.")
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(help="Save at least so often, validations apart: what a kill may cost.")
    ] = "10m",
    time_limit: TimeLimit = None,
) -> None:
    """Train a teacher, a baseline or a student; the objectives in CONFIG decide which."""
    limit, pause = parse_time_limit(time_limit), parse_time_limit(checkpoint_every, "--checkpoint-every")
    from asrkd.commands import train as stage

    options = stage.TrainOptions(device, precision, workers, threads, resume, pause or 0.0)
    overrides = [*set_, *([] if seed is None else [f"seed={seed}"])]
    with stop_requests(limit) as stop:
        report = stage.train(config, out, overrides, options, stop)
    if report.rank == 0:
        typer.echo(report.text())


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A cuts manifest, or any folder that asrkd made.")],
    cuts: Annotated[
        list[Path], typer.Option(help="A store: compare it with this manifest; may be given several times.")
    ] = [],  # noqa: B006
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every byte too: payloads, features, audio.")
    ] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="An N-best store: have its teacher score it again, and compare.")
    ] = False,
    hypotheses: Annotated[int | None, typer.Option(help="--rescore: how many; 1000 by default.")] = None,
) -> None:
    """Look an artifact over: is it whole, does it match its audio, is it stale, and what mends it."""
    if hypotheses is not None and not rescore:
        raise typer.BadParameter("--hypotheses is for --rescore")
    from asrkd.commands import check as stage

    most = 1000 if hypotheses is None else hypotheses
    report = stage.check(path, cuts, deep=deep, rescore=most if rescore else None)
    typer.echo(report.text())
    for problem in report.problems:
        typer.echo(f"asrkd: {problem}", err=True)
    raise typer.Exit(1 if report.problems else 0)


@app.command()
def selftest(
    out: Annotated[Path, typer.Option(help="Folder to try it in, on the file system in question.")],
    kills: Annotated[int, typer.Option(help="SIGKILLs, spread over the commands.")] = 12,
    seed: Annotated[int, typer.Option(help="Of where they strike.")] = 1,
) -> None:
    """Kill and starve every command of a small pipeline, and prove that nothing was lost."""
    from asrkd.commands import distill, prepare, score, train  # noqa: F401 (loaded once, before the forks)
    from asrkd.commands import selftest as stage

    with stop_requests() as stop:
        tally = stage.selftest(out, run, kills, seed, stop)
    typer.echo(tally.text())
    raise typer.Exit(1 if tally.broken else 0)


def run() -> None:
    """Console entry: a user's mistake is one line and its exit status; a bug is a traceback."""
    prepare_streams()
    try:
        app()
    except Exception as error:
        known = as_user_error(error)
        if known is None:
            raise
        drop_output()
        if not known.told:
            typer.echo(f"asrkd: {known}", err=True)
        raise SystemExit(known.exit_status) from None
