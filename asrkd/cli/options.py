"""Options that several commands have, each with its one explanation."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder to write to; one that holds something else is refused.")]
Jobs = Annotated[int, typer.Option(help="Processes; the result is the same for any number.")]
Shard = Annotated[
    str | None,
    typer.Option(help="K/N: only part K of N of what is missing; the last part to end finishes the folder."),
]
TimeLimit = Annotated[
    str | None, typer.Option(help="Stop in time, save, and exit 75: seconds, 30m, 2h, 1d or hh:mm:ss.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:0 ... or auto: the GPU where there is one.")]
Teacher = Annotated[Path, typer.Option(help="Model folder of the teacher.")]
AnyTeacher = Annotated[
    Path,
    typer.Option(
        help="Model folder of asrkd, of transformers or of torchaudio; or torchaudio:NAME, such as "
        "torchaudio:HUBERT_BASE."
    ),
]
Tap = Annotated[
    str | None,
    typer.Option(
        help="before_norm or after_norm, of the layer's final norm; what the layer gives by default."
    ),
]
Resample = Annotated[
    bool,
    typer.Option("--resample", help="For a teacher of audio: take other sampling rates than its own too."),
]
Cuts = Annotated[list[Path], typer.Option(help="Cuts manifest; may be given several times.")]
Dtype = Annotated[str, typer.Option(help="float16 or float32, of what is stored.")]
CutsPerShard = Annotated[int, typer.Option(help="Cuts in a shard of the store.")]
Unit = Annotated[
    str,
    typer.Option(
        help="What errors are counted in: word; char, blanks ignored; mixed: Han, kana, Thai and other "
        "scripts without blanks by character, the rest by words."
    ),
]
MaxBad = Annotated[float, typer.Option(help="Share of cuts that may be quarantined, 0 to 1.")]

Launcher = Annotated[
    str | None,
    typer.Option(help="slurm: run as --jobs jobs of the cluster, and wait; local: the same on this machine."),
]
Partition = Annotated[str | None, typer.Option(help="--launcher slurm: where the jobs run.")]
Gpus = Annotated[int, typer.Option(help="--launcher: GPUs of each job.")]
SlurmSettings = Annotated[
    list[str],
    typer.Option("--slurm", metavar="KEY=VALUE", help="Whatever else sbatch knows; repeat it."),
]


def with_more_options(wrapper: Callable[..., None], command: Callable[..., None]) -> Callable[..., None]:
    """Dress up ``wrapper`` as ``command``, with the options of both.

    The wrapper takes what is the command's own as ``**own``. A parameter of the command that begins with
    ``given_`` is no option: the wrapper makes it.
    """
    added = inspect.signature(wrapper).parameters  # before it is dressed up
    functools.update_wrapper(wrapper, command)
    both = (*inspect.signature(command).parameters.values(), *added.values())
    parameters = [p for p in both if p.name != "own" and not p.name.startswith("given_")]
    wrapper.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper
