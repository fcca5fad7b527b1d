"""Commands `asrkd quantizer ...`: quantizers to and from multi_quantization."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.options import Device, Out, Tap

quantizer = typer.Typer(
    no_args_is_help=True,
    help="Convert quantizers to and from the multi_quantization package; plot their errors. "
    "`asrkd distill quantizer` trains one.",
)
Folder = Annotated[Path, typer.Argument(help="Quantizer folder, made by `asrkd distill quantizer`.")]


@quantizer.command("export")
def quantizer_export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="Output file: *.pt, as for icefall, or *.safetensors.")],
) -> None:
    """Write a quantizer for multi_quantization and icefall, with the mean folded into its parameters."""
    from asrkd.commands import quantizer as stage

    typer.echo(stage.export_quantizer(folder, out))


@quantizer.command("import")
def quantizer_import(
    state: Annotated[Path, typer.Argument(help="State dict of multi_quantization: *.pt or *.safetensors.")],
    teacher: Annotated[Path, typer.Option(help="Teacher that the quantizer was trained on.")],
    layer: Annotated[int, typer.Option(help="Layer of the teacher, from 1.")],
    out: Out,
    tap: Tap = None,
    device: Device = "cpu",
) -> None:
    """Import a quantizer of multi_quantization for a layer of a teacher, without unpickling a *.pt."""
    from asrkd.commands import quantizer as stage

    typer.echo(stage.import_quantizer(stage.Source(state, teacher, layer, tap, device), out))


@quantizer.command("plot")
def quantizer_plot(
    folders: Annotated[
        list[Path], typer.Argument(help="Quantizer folders, made by `asrkd distill quantizer`.")
    ],
    out: Annotated[Path, typer.Option(help="Output SVG file.")],
) -> None:
    """Plot relative error against bytes per frame, beside the bound of a Gaussian of the same covariance."""
    from asrkd.commands import quantizer as stage

    typer.echo(stage.plot_quantizers(folders, out))
