"""The commands `asrkd quantizer ...`."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.options import Device, Out

quantizer = typer.Typer(
    no_args_is_help=True,
    help="Quantizers to and from the multi_quantization package, and what they lose; "
    "`asrkd distill quantizer` makes one.",
)
Folder = Annotated[Path, typer.Argument(help="Folder of `asrkd distill quantizer`.")]


@quantizer.command("export")
def quantizer_export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="File to write: *.pt, as icefall has it, or *.safetensors.")],
) -> None:
    """Write a quantizer as multi_quantization and icefall load it; the mean is folded into its parameters."""
    from asrkd.commands import quantizer as stage

    typer.echo(stage.export_quantizer(folder, out))


@quantizer.command("import")
def quantizer_import(
    state: Annotated[Path, typer.Argument(help="State dict of multi_quantization: *.pt or *.safetensors.")],
    teacher: Annotated[Path, typer.Option(help="The teacher that it was trained on.")],
    layer: Annotated[int, typer.Option(help="Layer of the teacher, from 1.")],
    out: Out,
    tap: Annotated[
        str | None, typer.Option(help="after_norm or before_norm; the teacher's usual one by default.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Make a quantizer of one of multi_quantization, for a layer of a teacher; nothing in a *.pt is run."""
    from asrkd.commands import quantizer as stage

    typer.echo(stage.import_quantizer(stage.Source(state, teacher, layer, tap, device), out))


@quantizer.command("plot")
def quantizer_plot(
    folders: Annotated[list[Path], typer.Argument(help="Folders of `asrkd distill quantizer`.")],
    out: Annotated[Path, typer.Option(help="SVG file to write.")],
) -> None:
    """Draw relative error against bytes a frame, beside the bound of a Gaussian of the same covariance."""
    from asrkd.commands import quantizer as stage

    typer.echo(stage.plot_quantizers(folders, out))
