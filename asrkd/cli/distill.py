"""Commands `asrkd distill ...`: store the targets that a teacher computes for cuts."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asrkd.cli.launcher import LaunchOptions, launch_of, print_report, ran_as_jobs, running
from asrkd.cli.options import (
    Alpha,
    AnyTeacher,
    CtcWeight,
    Cuts,
    CutsPerShard,
    Device,
    DryRun,
    Dtype,
    EosFactor,
    Gpus,
    Jobs,
    Launcher,
    LauncherOfOne,
    LengthNorm,
    Lm,
    LmWeight,
    MaxLengthRatio,
    Out,
    Partition,
    Resample,
    Shard,
    SlurmSettings,
    Tap,
    Teacher,
    TimeLimit,
    TokenBonus,
    Unit,
    search_options,
)

if TYPE_CHECKING:
    from asrkd.commands.distill_request import DistillRequest

distill = typer.Typer(
    no_args_is_help=True, help="Run a teacher once and store its targets; no student is trained here."
)

_STARTED_AT = "asrkd.started_at"  # key of click's context: when the process began, for dry runs
MAX_START_S = 1.0


@distill.callback()
def _begin(context: typer.Context) -> None:
    started_s = min(time.process_time(), MAX_START_S)  # of the interpreter; a process may have run others
    context.meta[_STARTED_AT] = time.monotonic() - started_s


def _dry_run(context: typer.Context, request: "DistillRequest", options: LaunchOptions) -> "DistillRequest":
    """Return the request of a dry run: of the command, or of one of the jobs of ``--launcher``."""
    from asrkd.commands.dry_run import DryRun
    from asrkd.core.shared_work import ShardOf

    request.check_numbers()
    launch, started_at = launch_of(context, options), context.meta[_STARTED_AT]
    if launch is None:
        return replace(request, dry_run=DryRun(started_at))
    jobs = request.jobs
    dry_run = DryRun(started_at, tasks=jobs, side_by_side=jobs if launch.launcher == "local" else 1)
    return replace(request, jobs=1, shard_of=ShardOf(1, jobs), dry_run=dry_run)


Layer = Annotated[int, typer.Option(help="Layer of the teacher, from 1.")]


@distill.command("nbest")
def distill_nbest(
    context: typer.Context,
    teacher: Annotated[
        list[Path],
        typer.Option(
            help="Teacher model folder; repeat it for cross-fold decoding (each cut is decoded by the "
            "teacher that was not trained on it)."
        ),
    ],
    cuts: Cuts,
    out: Out,
    beam: Annotated[int, typer.Option(help="Beam size (≥ --nbest).")] = 8,
    nbest: Annotated[int, typer.Option(help="Maximum hypotheses stored per cut, 1 to --beam.")] = 8,
    search: Annotated[
        str,
        typer.Option(
            help="prefix-beam, greedy, or k2 where installed; with a decoder also attention and joint "
            "(attention and CTC); with a transducer transducer-greedy, transducer-beam and "
            "transducer-k2 (needs k2)."
        ),
    ] = "prefix-beam",
    noise: Annotated[
        Path | None,
        typer.Option(help="Noise cuts: mix noise into each cut before decoding, drawn by the cut's id."),
    ] = None,
    noise_snr_db: Annotated[
        tuple[float, float] | None,
        typer.Option(help="--noise: lowest and highest signal-to-noise ratio; default 0 10."),
    ] = None,
    noise_seed: Annotated[int | None, typer.Option(help="--noise: random seed; default 1.")] = None,
    unit: Unit = "word",
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
    lm: Lm = None,
    lm_weight: LmWeight = None,
    token_bonus: TokenBonus = None,
    length_norm: LengthNorm = None,
    alpha: Alpha = None,
    eos_factor: EosFactor = None,
    max_length_ratio: MaxLengthRatio = None,
    ctc_weight: CtcWeight = None,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Store the teacher's N-best hypotheses with log P(hypothesis | audio) and their errors."""
    from asrkd.commands import distill as stage
    from asrkd.commands import preflight
    from asrkd.commands.distill_request import DistillRequest
    from asrkd.core.shared_work import parse_shard_of
    from asrkd.scoring.units import find_unit
    from asrkd.targets.writers.nbest import DecodingConditions
    from asrkd.teachers.folds import fold_teachers
    from asrkd.teachers.noisy_copies import noise_of

    options = search_options(
        beam,
        nbest,
        lm,
        lm_weight=lm_weight,
        token_bonus=token_bonus,
        length_norm=length_norm,
        alpha=alpha,
        eos_factor=eos_factor,
        max_length_ratio=max_length_ratio,
        ctc_weight=ctc_weight,
    )
    folds = fold_teachers(teacher) if len(teacher) > 1 else None
    first = teacher[0] if folds is None else folds.paths[0]
    error_unit = find_unit(unit)
    conditions = DecodingConditions(noise_of(noise, noise_snr_db, noise_seed), folds)
    request = DistillRequest(
        first, tuple(cuts), out, device, jobs, cuts_per_shard, shard_of=parse_shard_of(shard)
    )
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if dry_run:
        request = _dry_run(context, request, launch)
    elif ran_as_jobs(context, launch, lambda: preflight.nbest(request, teacher, search, options, error_unit)):
        return
    with running(context) as stop:
        print_report(context, stage.nbest(request, search, options, stop, conditions, error_unit))


@distill.command("quantizer")
def distill_quantizer(
    context: typer.Context,
    teacher: AnyTeacher,
    cuts: Cuts,
    out: Out,
    layer: Layer,
    codebooks: Annotated[int, typer.Option(help="Number of codebooks, 1 to 64: bytes per frame.")] = 8,
    entries: Annotated[int, typer.Option(help="Entries per codebook, 2 to 256, best a square number.")] = 256,
    utterances: Annotated[int, typer.Option(help="Number of random utterances to train on.")] = 1000,
    seed: Annotated[int, typer.Option(help="Random seed of the utterances and the training.")] = 1,
    steps: Annotated[int | None, typer.Option(help="Steps of each of the two phases; default 200.")] = None,
    tap: Tap = None,
    resample: Resample = False,
    device: Device = "cpu",
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
    launcher: LauncherOfOne = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Train a direct-sum quantizer on the embeddings of one layer; run it again to resume."""
    from asrkd.commands import distill_quantizer as stage
    from asrkd.commands import preflight
    from asrkd.commands.distill_request import DistillRequest, quantizer_request

    settings = quantizer_request(
        layer, codebooks, entries=entries, utterances=utterances, seed=seed, steps=steps, tap=tap
    )
    request = DistillRequest(teacher, tuple(cuts), out, device, resample=resample)
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if dry_run:
        request = _dry_run(context, request, launch)
    elif ran_as_jobs(context, launch, lambda: preflight.quantizer(request, settings)):
        return
    with running(context) as stop:
        print_report(context, stage.quantizer(request, settings, stop))


@distill.command("codebook")
def distill_codebook(
    context: typer.Context,
    teacher: AnyTeacher,
    cuts: Cuts,
    out: Out,
    quantizer: Annotated[
        Path | None, typer.Option(help="Quantizer folder, made by `asrkd distill quantizer`.")
    ] = None,
    layer: Annotated[
        int | None, typer.Option(help="Without --quantizer: layer to train a quantizer for.")
    ] = None,
    codebooks: Annotated[int | None, typer.Option(help="Without --quantizer: number of codebooks.")] = None,
    seed: Annotated[int, typer.Option(help="Without --quantizer: random seed of its training.")] = 1,
    tap: Tap = None,
    resample: Resample = False,
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Store the codebook indexes of the teacher's embeddings, one byte per codebook and frame."""
    if (quantizer is None) == (layer is None) or (layer is None) != (codebooks is None):
        raise typer.BadParameter("give --quantizer, or --layer and --codebooks")
    if quantizer is not None and tap is not None:
        raise typer.BadParameter("--tap: the quantizer sets it; remove --tap, or give --layer instead")
    from asrkd.commands import distill as stage
    from asrkd.commands import preflight
    from asrkd.commands.distill_request import DistillRequest, quantizer_request
    from asrkd.core.shared_work import parse_shard_of

    source = quantizer or quantizer_request(layer or 0, codebooks or 0, seed=seed, tap=tap)
    request = DistillRequest(
        teacher, tuple(cuts), out, device, jobs, cuts_per_shard, parse_shard_of(shard), resample
    )
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if dry_run:
        request = _dry_run(context, request, launch)
    elif ran_as_jobs(context, launch, lambda: preflight.codebook(request, source)):
        return
    with running(context) as stop:
        print_report(context, stage.codebook(request, source, stop))


@distill.command("posterior")
def distill_posterior(
    context: typer.Context,
    teacher: Teacher,
    cuts: Cuts,
    out: Out,
    top_k: Annotated[
        str, typer.Option(help="Tokens stored per frame, the rest is summed up; or all, in their order.")
    ] = "8",
    dtype: Dtype = "float16",
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Store the log-probabilities of the teacher's most probable tokens at each frame, or of all."""
    from asrkd.commands import distill as stage
    from asrkd.commands import preflight
    from asrkd.commands.distill_request import DistillRequest, parse_top_k
    from asrkd.core.shared_work import parse_shard_of

    tokens = parse_top_k(top_k)
    request = DistillRequest(teacher, tuple(cuts), out, device, jobs, cuts_per_shard, parse_shard_of(shard))
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if dry_run:
        request = _dry_run(context, request, launch)
    elif ran_as_jobs(context, launch, lambda: preflight.posterior(request, dtype)):
        return
    with running(context) as stop:
        print_report(context, stage.posterior(request, tokens, dtype, stop))


@distill.command("hidden")
def distill_hidden(
    context: typer.Context,
    teacher: AnyTeacher,
    cuts: Cuts,
    out: Out,
    layer: Layer,
    dtype: Dtype = "float16",
    tap: Tap = None,
    resample: Resample = False,
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
    dry_run: DryRun = False,
    launcher: Launcher = None,
    partition: Partition = None,
    gpus: Gpus = 0,
    slurm: SlurmSettings = [],  # noqa: B006
) -> None:
    """Store the output of one layer of the teacher at each frame."""
    from asrkd.commands import distill as stage
    from asrkd.commands import preflight
    from asrkd.commands.distill_request import DistillRequest
    from asrkd.core.shared_work import parse_shard_of

    request = DistillRequest(
        teacher, tuple(cuts), out, device, jobs, cuts_per_shard, parse_shard_of(shard), resample
    )
    launch = LaunchOptions(launcher, partition, gpus, slurm)
    if dry_run:
        request = _dry_run(context, request, launch)
    elif ran_as_jobs(context, launch, lambda: preflight.hidden(request, layer, dtype)):
        return
    with running(context) as stop:
        print_report(context, stage.hidden(request, layer, dtype, stop, tap))


@distill.command("convert")
def distill_convert(
    state: Annotated[Path, typer.Argument(help="State file of torch.save: .pt, .pth or .bin.")],
    out: Out,
    bundle: Annotated[
        str | None,
        typer.Option(help="torchaudio's name of the model, such as HUBERT_BASE; writes config.json."),
    ] = None,
) -> None:
    """Convert the tensors of a pickled state, without unpickling it, for a teacher model folder."""
    from asrkd.commands.convert_teacher import convert

    typer.echo(convert(state, out, bundle))
