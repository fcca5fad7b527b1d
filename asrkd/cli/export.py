"""Command `asrkd export`."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.options import ChunkFrames, LeftChunks, Out

exporting = typer.Typer()


@exporting.command()
def export(
    model: Annotated[Path, typer.Argument(help="Model folder of asrkd train.")],
    out: Out,
    int8: Annotated[bool, typer.Option("--int8", help="Matrices as 8-bit integers.")] = False,
    head: Annotated[
        str | None, typer.Option(help="ctc or transducer, of a model with both; default: transducer.")
    ] = None,
    chunk_frames: ChunkFrames = None,
    left_chunks: LeftChunks = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="A streaming model as an offline one, with the same masks.")
    ] = False,
) -> None:
    """Write a recognizer as ONNX files for sherpa-onnx, with the exact calls that run them."""
    from asrkd.commands import export as stage
    from asrkd.deployment.export import ExportOptions

    options = ExportOptions(head, offline, chunk_frames, left_chunks)
    typer.echo(stage.export(stage.ExportRequest(model, out, options, int8)))
