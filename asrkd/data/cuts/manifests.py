"""Reader and writer of lhotse's cut manifests, with relative paths and errors by file and line.

Paths in a manifest are relative to its folder, so ``data/`` can be moved;
absolute paths stay. lhotse itself takes relative paths from the working
directory, so use :func:`read_cuts` rather than ``CutSet.from_file``.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lhotse import MonoCut
from lhotse.serialization import deserialize_item

from asrkd.core import files
from asrkd.core.errors import AsrkdError, reason
from asrkd.core.shell import command
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import FORMS, CutRecord, parse_record

Item = TypeVar("Item")


class ManifestLine(NamedTuple):
    """Line of a manifest, with its cut's record."""

    number: int  # line number, from 1
    text: str  # without its end
    fields: dict[str, Any]  # JSON of the line
    cut: CutRecord


def read_cuts(path: Path) -> PackedCuts:
    """Read the cuts of a manifest in one pass; their paths are resolved when a cut is accessed.

    Raises:
        AsrkdError: no such file, a torn line, a line that is not a cut of one
            channel, or a duplicate id.
    """
    cuts = PackedCuts(folder=path.parent)
    seen: set[str] = set()
    for line in stream_lines(path):
        if line.cut.id in seen:
            raise AsrkdError(f"{path}:{line.number}: duplicate cut id {line.cut.id!r}")
        seen.add(line.cut.id)
        cuts.append_line(line.text, line.cut)
    if not cuts:
        raise AsrkdError(f"{path}: holds no cuts")
    return cuts


def pool_cuts(manifests: Mapping[Path, PackedCuts]) -> PackedCuts:
    """Join the cuts of several manifests, in their order, with resolved paths; those of one as they are.

    Raises:
        AsrkdError: two manifests have a cut of the same id.
    """
    if len(manifests) == 1:
        return next(iter(manifests.values()))
    joined, home = PackedCuts(), dict[str, Path]()
    for path, cuts in manifests.items():
        for record in cuts.records:
            if record.id in home:
                other = home[record.id]
                remedy = command("asrkd", "prepare", "subset", path, "--without", other, "--out", "FILE")
                raise AsrkdError(
                    f"{path}: cut {record.id!r} is in {other} too; leave it out of one of them: {remedy}"
                )
            home[record.id] = path
        for cut in cuts:
            joined.append(cut)
    return joined


def set_name(manifest: Path) -> str:
    """Return the name of the set in a manifest: 'test' of cuts_test.jsonl.gz."""
    return manifest.name.split(".")[0].removeprefix("cuts_")


def stream_lines(path: Path) -> Iterator[ManifestLine]:
    """Yield the lines of a manifest.

    Raises:
        AsrkdError: no such file, a torn line, or a line that is not a cut of one channel.
    """
    for number, text in files.read_lines(path):
        fields = files.parse_object(path, number, text)
        yield ManifestLine(number, text, fields, parse_record(path, number, fields))


def read_items(path: Path, kind: type[Item], name: str) -> Iterator[tuple[int, Item]]:
    """Yield (line number, item) of a lhotse manifest of one ``kind``, called ``name`` in messages.

    Raises:
        AsrkdError: no such file, or a line that is torn, of another kind, or with a field of a wrong
            type or range.
    """
    form = FORMS[kind]
    for number, record in files.read_jsonl(path):
        try:
            form.check(record)
            item = deserialize_item(record)
        except Exception as error:  # lhotse raises whatever the missing field causes
            raise AsrkdError(f"{path}:{number}: not a lhotse {name}: {reason(error)}") from None
        if not isinstance(item, kind):
            raise AsrkdError(f"{path}:{number}: expected a {kind.__name__}, found {type(item).__name__}")
        yield number, item


def write_cuts(path: Path, cuts: Iterable[MonoCut]) -> int:
    """Write a manifest with the paths of the cuts as they are; return the number of cuts."""
    if isinstance(cuts, PackedCuts) and cuts.folder is None:
        return files.write_lines(path, cuts.lines())
    return files.write_jsonl(path, (cut.to_dict() for cut in cuts))
