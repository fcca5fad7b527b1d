"""The commands `asrkd targets ...`."""

from pathlib import Path
from typing import Annotated

import typer

from asrkd.cli.launcher import running
from asrkd.cli.options import CutsPerShard, Out, TimeLimit

targets = typer.Typer(
    no_args_is_help=True, help="Look into stores; take codebook indexes to and from icefall."
)


@targets.command("export")
def targets_export(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Store of `asrkd distill codebook`.")],
    cuts: Annotated[Path, typer.Option(help="Cuts manifest that the store is of.")],
    out: Out,
    format_: Annotated[str, typer.Option("--format", help="icefall.")] = "icefall",
    storage: Annotated[str, typer.Option(help="numpy_files, or numpy_hdf5 where h5py is.")] = "numpy_files",
    time_limit: TimeLimit = None,
) -> None:
    """Write cuts that carry their codebook indexes, as lhotse and icefall read them."""
    from asrkd.commands import targets as stage

    with running(context) as stop:
        request = stage.ExportRequest(store, cuts, out, format_, storage)
        typer.echo(stage.export_targets(request, stop))


@targets.command("import")
def targets_import(
    context: typer.Context,
    manifest: Annotated[Path, typer.Argument(help="Cuts manifest whose cuts carry codebook_indexes.")],
    out: Out,
    cuts: Annotated[
        Path | None, typer.Option(help="The same cuts as asrkd prepared them, to be trained on.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="icefall.")] = "icefall",
    cuts_per_shard: CutsPerShard = 200,
    time_limit: TimeLimit = None,
) -> None:
    """Make a store of the codebook indexes that a manifest's cuts carry."""
    from asrkd.commands import targets as stage

    with running(context) as stop:
        request = stage.ImportRequest(manifest, out, cuts, format_, cuts_per_shard)
        typer.echo(stage.import_targets(request, stop))


@targets.command("weights")
def targets_weights(
    store: Annotated[Path, typer.Argument(help="Store of `asrkd distill nbest`.")],
    beta: Annotated[list[float], typer.Option(help="Of ERR-KD; repeat it.")] = [1, 2, 5],  # noqa: B006
    set_: Annotated[
        list[str],
        typer.Option("--set", help="A key of its objective: num_hypotheses=5, filter.max_repeats=3."),
    ] = [],  # noqa: B006
    cuts: Annotated[
        list[Path], typer.Option(help="Manifest of its cuts, if it is not where it was; repeat it.")
    ] = [],  # noqa: B006
) -> None:
    """Print how the weights of hypotheses are spread and what filters would remove; train nothing."""
    from asrkd.commands import targets as stage

    typer.echo(stage.weigh(stage.WeighRequest(store, tuple(cuts), tuple(set_), tuple(beta))))


@targets.command("sizes")
def targets_sizes(
    stores: Annotated[list[Path], typer.Argument(help="Stores of `asrkd distill`.")],
) -> None:
    """Print the bytes of stores, and how many times smaller they are than the payload of the largest."""
    from asrkd.commands.target_sizes import target_sizes

    typer.echo(target_sizes(stores))
