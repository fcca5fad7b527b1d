"""Options shared by several commands, each with one help text."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asrkd.core.errors import AsrkdError

if TYPE_CHECKING:
    from asrkd.decoding.options import SearchOptions

Out = Annotated[Path, typer.Option(help="Output folder; refused if it holds something else.")]
Cuts = Annotated[list[Path], typer.Option(help="Cuts manifest; repeatable.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ..., or auto: the GPU if there is one.")]
MaxBad = Annotated[float, typer.Option(help="Largest share of quarantined cuts, 0 to 1.")]
Unit = Annotated[
    str,
    typer.Option(
        help="Unit of errors: word; char, ignoring blanks; mixed: characters of Han, kana, Thai and other "
        "scripts without blanks, words of the rest."
    ),
]

# Teachers and stores.
Teacher = Annotated[Path, typer.Option(help="Teacher model folder.")]
AnyTeacher = Annotated[
    Path,
    typer.Option(
        help="Teacher: model folder of asrkd, transformers or torchaudio; or torchaudio:NAME, such as "
        "torchaudio:HUBERT_BASE."
    ),
]
Tap = Annotated[
    str | None,
    typer.Option(
        help="Embeddings before or after the layer's final norm: before_norm or after_norm; "
        "by default the layer's output."
    ),
]
Resample = Annotated[
    bool,
    typer.Option("--resample", help="Resample audio to the sampling rate of a waveform teacher."),
]
Dtype = Annotated[str, typer.Option(help="Stored type: float16 or float32.")]
CutsPerShard = Annotated[int, typer.Option(help="Cuts per shard of the store.")]

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Write nothing: measure a few cuts, and print the disk and time needed."),
]

# Processes, jobs and stopping.
Jobs = Annotated[int, typer.Option(help="Number of processes; does not change the result.")]
Shard = Annotated[
    str | None,
    typer.Option(help="K/N: compute part K of N only; the last part to end finishes the folder."),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        help="Save, stop and exit with status 75 after this time: seconds, 30m, 2h, 1d or hh:mm:ss."
    ),
]
Launcher = Annotated[
    str | None,
    typer.Option(
        help="slurm: run as --jobs jobs of the cluster, and wait; local: the same on this machine. Ctrl-C, "
        "SIGTERM and a lost connection cancel the jobs: wait in tmux or under nohup."
    ),
]
# Of a command without --jobs.
LauncherOfOne = Annotated[
    str | None,
    typer.Option(
        help="slurm: run as one job of the cluster, and wait; local: the same on this machine. Ctrl-C, "
        "SIGTERM and a lost connection cancel the job: wait in tmux or under nohup."
    ),
]
Partition = Annotated[str | None, typer.Option(help="Slurm partition of the jobs; with --launcher slurm.")]
Gpus = Annotated[int, typer.Option(help="GPUs per job, 0 or 1; with --launcher.")]
SlurmSettings = Annotated[
    list[str],
    typer.Option("--slurm", metavar="KEY=VALUE", help="Any other option of sbatch; repeatable."),
]

# Searches.
ChunkFrames = Annotated[
    int | None, typer.Option(help="Encoder frames of a streaming model's chunk; default: as in its config.")
]
LeftChunks = Annotated[
    int | None, typer.Option(help="Chunks of left context of a streaming model; default: as in its config.")
]
Beam = Annotated[int, typer.Option(help="Beam size; no effect with --search greedy.")]
Lm = Annotated[
    Path | None,
    typer.Option(
        help="Language model: folder of `asrkd train` with the same tokens; or word n-grams, ARPA or kenlm."
    ),
]
LmWeight = Annotated[
    float | None, typer.Option(help="Weight of the language model's log-probability; default 0.3.")
]
TokenBonus = Annotated[float | None, typer.Option(help="Nats added to the score for each token; default 0.")]
LengthNorm = Annotated[
    str | None,
    typer.Option(help="Divisor of scores: none (1), length, or gnmt: ((5 + length) / 6) ** alpha."),
]
Alpha = Annotated[float | None, typer.Option(help="Exponent of --length-norm gnmt; default 0.6.")]
EosFactor = Annotated[
    float | None,
    typer.Option(
        help="attention: end only where log P(end) > factor * log P(best token); published value 1.5."
    ),
]
MaxLengthRatio = Annotated[
    float | None, typer.Option(help="attention: maximum tokens per encoder frame; default 1.")
]
CtcWeight = Annotated[
    float | None, typer.Option(help="joint: weight of CTC, the rest is the decoder's; default 0.3.")
]


def search_options(
    beam: int, num_best: int, lm: Path | None, **decoder: float | str | None
) -> "SearchOptions":
    """Build the options of a search.

    Args:
        beam: beam size.
        num_best: hypotheses to return.
        lm: language model, if any.
        decoder: fields of :class:`~asrkd.decoding.options.DecoderOptions`; None stands for the default.

    Raises:
        AsrkdError: an option is out of range.
    """
    from asrkd.decoding.options import DecoderOptions, SearchOptions

    settings = {name: value for name, value in decoder.items() if value is not None}
    return SearchOptions(beam, num_best, decoder=DecoderOptions(**settings), lm=lm)  # type: ignore[arg-type]


def refuse_options(context: typer.Context, use: str, *names: str) -> None:
    """Refuse the options of the command line that have no effect.

    Args:
        context: the command's typer context.
        use: the use of the command, for the message.
        names: names of the parameters that have an effect, besides arguments.

    Raises:
        AsrkdError: an option without effect was given.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        if parameter.param_type_name == "argument" or name in names:
            continue
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
            raise AsrkdError(f"{parameter.opts[0]}: no effect with {use}; remove it")
