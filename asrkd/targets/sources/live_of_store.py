"""Whoever made a store, asked about other cuts: as live sources, whose answers are the store's own."""

from typing import overload

from asrkd.core.errors import AsrkdError
from asrkd.targets.sources.codebook import CodebookSource, LiveCodebookSource
from asrkd.targets.sources.dense import HiddenSource, LiveHiddenSource
from asrkd.targets.sources.live import LiveTargets
from asrkd.targets.store.provenance import check_sources, read_sources
from asrkd.targets.store.store import Store


@overload
def ask_again(source: CodebookSource) -> LiveCodebookSource: ...


@overload
def ask_again(source: HiddenSource) -> LiveHiddenSource: ...


def ask_again(source: CodebookSource | HiddenSource) -> LiveCodebookSource | LiveHiddenSource:
    """The teacher of a store, with its quantizer, if they are where they were.

    Raises:
        AsrkdError: the store does not say who made it, or they are gone, or are others by now.
    """
    live = _makers(source.store)
    return LiveCodebookSource(live) if isinstance(source, CodebookSource) else LiveHiddenSource(live)


def _makers(store: Store) -> LiveTargets:
    made = read_sources(store.path)
    if made is None or made.teacher is None:
        raise AsrkdError(f"{store.path}: does not say who made it")
    check_sources(store.path, store.contract)
    if made.quantizer is not None and not made.quantizer.is_dir():
        raise AsrkdError(f"{store.path}: its quantizer {made.quantizer} is no longer there")
    return LiveTargets(
        teacher=str(made.teacher),
        layer=int(store.contract["layer"]),
        tap=store.contract.get("tap", "after_norm"),
        quantizer=None if made.quantizer is None else str(made.quantizer),
        resample=store.contract.get("audio", {}).get("other_rates", "refused") != "refused",
    )
