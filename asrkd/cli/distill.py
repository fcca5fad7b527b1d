"""The commands `asrkd distill ...`: each reads its options, asks the stage, prints what it says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asrkd.cli.launcher import launchable
from asrkd.cli.options import (
    AnyTeacher,
    Cuts,
    CutsPerShard,
    Device,
    Dtype,
    Jobs,
    Out,
    Resample,
    Shard,
    Tap,
    Teacher,
    TimeLimit,
    Unit,
)
from asrkd.cli.search import search_options, searching
from asrkd.core.stopping import StopRequest, parse_time_limit, stop_requests

if TYPE_CHECKING:
    from asrkd.commands.distill_request import DistillRequest

distill = typer.Typer(
    no_args_is_help=True, help="Ask a teacher once and keep its answers; it never trains a student."
)

Layer = Annotated[int, typer.Option(help="Layer of the teacher, from 1.")]


def _answer(flags: dict[str, Any], ask: Callable[["DistillRequest", StopRequest], str]) -> None:
    """Print what ``ask`` says of the question that a command's own options make."""
    limit = parse_time_limit(flags["time_limit"])
    from asrkd.commands.distill_request import DistillRequest
    from asrkd.core.shared_work import parse_shard_of

    machine = {
        name: flags[name] for name in ("device", "jobs", "cuts_per_shard", "resample") if name in flags
    }
    shard_of = parse_shard_of(flags.get("shard"))
    question = DistillRequest(
        flags["teacher"], tuple(flags["cuts"]), flags["out"], shard_of=shard_of, **machine
    )
    with stop_requests(limit) as stop:
        typer.echo(ask(question, stop))


@distill.command("nbest")
@launchable
@searching
def distill_nbest(
    *,
    given_search: dict[str, Any],
    teacher: Annotated[
        list[Path],
        typer.Option(
            help="Model folder of the teacher; of folds all of theirs, each hears what it did not see."
        ),
    ],
    cuts: Cuts,
    out: Out,
    beam: Annotated[int, typer.Option(help="Beginnings that are kept, at least --nbest.")] = 8,
    nbest: Annotated[int, typer.Option(help="Hypotheses stored for a cut, at most; 1 to --beam.")] = 8,
    search: Annotated[
        str, typer.Option(help="prefix-beam, greedy, k2 where k2 is; of a decoder: attention; joint of both.")
    ] = "prefix-beam",
    noise: Annotated[
        Path | None, typer.Option(help="Noise cuts: the teacher hears each cut in noise, drawn by its id.")
    ] = None,
    noise_snr_db: Annotated[
        tuple[float, float] | None,
        typer.Option(help="--noise: lowest and highest signal-to-noise ratio; 0 10."),
    ] = None,
    noise_seed: Annotated[int | None, typer.Option(help="--noise: of what is drawn; 1.")] = None,
    unit: Unit = "word",
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
) -> None:
    """Store the teacher's N-best hypotheses with log P(hypothesis | audio) and their errors."""
    flags = dict(locals())
    from asrkd.commands import distill as stage
    from asrkd.scoring.units import find_unit
    from asrkd.targets.writers.nbest import DecodingConditions
    from asrkd.teachers.folds import fold_teachers
    from asrkd.teachers.noisy_copies import noise_of

    options = search_options(beam, nbest, given_search)
    folds = fold_teachers(teacher) if len(teacher) > 1 else None
    counted = find_unit(unit)
    copies = noise_of(noise, noise_snr_db, noise_seed)
    flags |= {"teacher": teacher[0] if folds is None else folds.paths[0]}
    _answer(
        flags,
        lambda question, stop: stage.nbest(
            question, search, options, stop, DecodingConditions(copies, folds), counted
        ),
    )


@distill.command("quantizer")
@launchable
def distill_quantizer(
    teacher: AnyTeacher,
    cuts: Cuts,
    out: Out,
    layer: Layer,
    codebooks: Annotated[int, typer.Option(help="Codebooks, 1 to 64: bytes a frame.")] = 8,
    entries: Annotated[int, typer.Option(help="Entries of a codebook, 2 to 256; squares are best.")] = 256,
    utterances: Annotated[int, typer.Option(help="Random utterances to learn from.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the utterances and the training.")] = 1,
    steps: Annotated[int | None, typer.Option(help="Of each of its two phases; 200 by default.")] = None,
    tap: Tap = None,
    resample: Resample = False,
    device: Device = "cpu",
    time_limit: TimeLimit = None,
) -> None:
    """Train a direct-sum quantizer on embeddings of one layer; run it again to go on where it was stopped."""
    flags = dict(locals())
    from asrkd.commands import distill_quantizer as stage
    from asrkd.commands.distill_request import quantizer_request

    request = quantizer_request(
        layer, codebooks, entries=entries, utterances=utterances, seed=seed, steps=steps
    )
    request = replace(request, tap=tap)
    _answer(flags, lambda question, stop: stage.quantizer(question, request, stop))


@distill.command("codebook")
@launchable
def distill_codebook(
    teacher: AnyTeacher,
    cuts: Cuts,
    out: Out,
    quantizer: Annotated[Path | None, typer.Option(help="Folder of `asrkd distill quantizer`.")] = None,
    layer: Annotated[int | None, typer.Option(help="Without --quantizer: layer to make one for.")] = None,
    codebooks: Annotated[int | None, typer.Option(help="Without --quantizer: its codebooks.")] = None,
    seed: Annotated[int, typer.Option(help="Without --quantizer: of its training.")] = 1,
    tap: Tap = None,
    resample: Resample = False,
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
) -> None:
    """Store the codebook indexes of the teacher's embeddings, one byte per codebook and frame."""
    flags = dict(locals())
    if (quantizer is None) == (layer is None) or (layer is None) != (codebooks is None):
        raise typer.BadParameter("give --quantizer, or --layer and --codebooks")
    if quantizer is not None and tap is not None:
        raise typer.BadParameter("a quantizer says what it taps: leave out --tap, or give --layer")
    from asrkd.commands import distill as stage
    from asrkd.commands.distill_request import quantizer_request

    source = quantizer or replace(quantizer_request(layer or 0, codebooks or 0, seed=seed), tap=tap)
    _answer(flags, lambda question, stop: stage.codebook(question, source, stop))


@distill.command("posterior")
@launchable
def distill_posterior(
    teacher: Teacher,
    cuts: Cuts,
    out: Out,
    top_k: Annotated[int, typer.Option(help="Tokens kept in each frame; the rest is one number.")] = 8,
    dtype: Dtype = "float16",
    jobs: Jobs = 1,
    device: Device = "cpu",
    cuts_per_shard: CutsPerShard = 200,
    shard: Shard = None,
    time_limit: TimeLimit = None,
) -> None:
    """Store the teacher's likeliest tokens at each frame, with their log-probabilities."""
    flags = dict(locals())
    from asrkd.commands import distill as stage

    _answer(flags, lambda question, stop: stage.posterior(question, top_k, dtype, stop))


@distill.command("hidden")
@launchable
def distill_hidden(
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
) -> None:
    """Store the output of one layer of the teacher at each frame."""
    flags = dict(locals())
    from asrkd.commands import distill as stage

    _answer(flags, lambda question, stop: stage.hidden(question, layer, dtype, stop, tap))


@distill.command("convert")
def distill_convert(
    state: Annotated[Path, typer.Argument(help="State file of torch.save: .pt, .pth, .bin.")],
    out: Out,
    bundle: Annotated[
        str | None, typer.Option(help="torchaudio's name of the model, such as HUBERT_BASE: for config.json.")
    ] = None,
) -> None:
    """Take the tensors out of a pickled state, without unpickling it, for a folder that is a teacher."""
    from asrkd.commands.convert_teacher import convert

    typer.echo(convert(state, out, bundle))
