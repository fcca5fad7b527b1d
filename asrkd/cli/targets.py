"""Commands `asrkd targets ...`: codebook indexes to and from icefall; a preview of weights."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.launcher import running
from asrkd.cli.options import CutsPerShard, Out, TimeLimit

targets = typer.Typer(
    no_args_is_help=True, help="Exchange codebook indexes with icefall; preview the weights of hypotheses."
)


@targets.command("export")
def targets_export(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Store, made by `asrkd distill codebook`.")],
    cuts: Annotated[Path, typer.Option(help="Cuts manifest of the store.")],
    out: Out,
    format_: Annotated[str, typer.Option("--format", help="Format: icefall.")] = "icefall",
    storage: Annotated[str, typer.Option(help="numpy_files, or numpy_hdf5 (needs h5py).")] = "numpy_files",
    time_limit: TimeLimit = None,
) -> None:
    """Write cuts with their codebook indexes, as lhotse and icefall read them."""
    from asrkd.commands import targets as stage

    with running(context) as stop:
        request = stage.ExportRequest(store, cuts, out, format_, storage)
        typer.echo(stage.export_targets(request, stop))


@targets.command("import")
def targets_import(
    context: typer.Context,
    manifest: Annotated[Path, typer.Argument(help="Cuts manifest with codebook_indexes.")],
    out: Out,
    cuts: Annotated[Path | None, typer.Option(help="The same cuts, prepared by asrkd, to train on.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Format: icefall.")] = "icefall",
    cuts_per_shard: CutsPerShard = 200,
    time_limit: TimeLimit = None,
) -> None:
    """Make a store from the codebook indexes in a cuts manifest."""
    from asrkd.commands import targets as stage

    with running(context) as stop:
        request = stage.ImportRequest(manifest, out, cuts, format_, cuts_per_shard)
        typer.echo(stage.import_targets(request, stop))


@targets.command("weights")
def targets_weights(
    store: Annotated[Path, typer.Argument(help="Store, made by `asrkd distill nbest` or `hidden`.")],
    beta: Annotated[list[float], typer.Option(help="beta of ERR-KD; repeatable; default 1, 2 and 5.")] = [],  # noqa: B006
    set_: Annotated[
        list[str],
        typer.Option(
            "--set", help="Set a key of the objective: num_hypotheses=5, filter.max_repeats=3; repeatable."
        ),
    ] = [],  # noqa: B006
    cuts: Annotated[list[Path], typer.Option(help="Manifest of its cuts, if it has moved; repeatable.")] = [],  # noqa: B006
) -> None:
    """Print the spread of weights, of hypotheses (and what filters remove) or of frames; train nothing."""
    from asrkd.commands import targets as stage

    typer.echo(stage.weigh(stage.WeighRequest(store, tuple(cuts), tuple(set_), tuple(beta) or None)))


@targets.command("sizes")
def targets_sizes(
    stores: Annotated[list[Path], typer.Argument(help="Stores of `asrkd distill`.")],
) -> None:
    """Print the bytes of stores, and how many times smaller they are than the payload of the largest."""
    from asrkd.commands.target_sizes import target_sizes

    typer.echo(target_sizes(stores))
