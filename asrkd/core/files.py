"""Files that are whole or absent, and lines that say where they are wrong."""

import gzip
import hashlib
import io
import json
import os
import re
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from asrkd.core import faults
from asrkd.core.errors import AsrkdError
from asrkd.core.file_names import shortened


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; somebody else may be making or removing it at this moment."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return
        except FileExistsError:  # mkdir found it, and then found it gone
            if os.path.lexists(folder) and not folder.is_dir():
                raise


def publish(partial: Path, path: Path) -> None:
    """Give the finished file ``partial`` its name, durably: contents first, then the name."""
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)
    fsync_folder(path.parent)


def partial_name(path: Path) -> Path:
    """A name beside ``path`` for writing it; no two writers are given the same."""
    return path.with_name(f"{shortened(path.name)}.{uuid.uuid4().hex[:8]}.partial")


@contextmanager
def create_aside(path: Path) -> Iterator[Path]:
    """A path to write to, for a library that insists on opening the file itself.

    It becomes ``path`` if the block succeeds and is removed if it raises;
    after a kill a ``*.partial`` remains, which nothing reads.
    """
    make_folder(path.parent)
    partial = partial_name(path)
    faults.strike("open", path)
    try:
        yield partial
        faults.strike("publish", partial)
        publish(partial, path)
        faults.strike("named", path)
    except Exception as error:
        if (number := _system_error_number(error)) is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def _system_error_number(error: Exception) -> int | None:
    """The errno of what kept a file from being written, if it is the system's and does not say which file.

    safetensors, written in Rust, has it in its words alone: "No space left on device (os error 28)".
    """
    if isinstance(error, OSError):
        return error.errno if error.filename is None else None
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else None


@contextmanager
def create_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open ``path`` for writing bytes; it gets its name only if the block succeeds.

    A name that ends in ``.gz`` is compressed, with no name and no time in
    its header, so that equal contents are equal bytes.
    """
    with create_aside(path) as partial, partial.open("wb") as raw:
        if path.suffix == ".gz":
            # Level 9, the default, takes twice the time of 6 for a percent of the size.
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
                yield stream  # type: ignore[misc]
        else:
            yield raw


@contextmanager
def create(path: Path) -> Iterator[IO[str]]:
    """Like :func:`create_bytes`, for UTF-8 text."""
    with create_bytes(path) as raw:
        stream = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        yield stream
        stream.flush()
        stream.detach()


def write_json(path: Path, record: Any) -> None:
    """Write ``record`` as indented JSON with sorted keys: equal records, equal bytes."""
    with create(path) as stream:
        stream.write(json_text(record))


def json_text(record: Any) -> str:
    """What :func:`write_json` writes."""
    return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line, as they arrive; return how many there were."""
    return write_lines(path, (json.dumps(record, ensure_ascii=False) for record in records))


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines, without their ends, as they arrive; return how many there were."""
    count = 0
    with create(path) as stream:
        for line in lines:
            stream.write(line + "\n")
            count += 1
    return count


def read_json(path: Path) -> Any:
    """Read one JSON document; AsrkdError, which says which file and where, if it is absent or torn."""
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise AsrkdError(f"{path}: torn or not JSON ({error})") from None


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(1-based line number, object) for each line of a JSON-lines file, gzipped or not.

    Raises:
        AsrkdError: no such file, a torn gzip member, or a line that is not an object.
    """
    for number, line in read_lines(path):
        yield number, parse_object(path, number, line)


def parse_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """The JSON object in line ``number`` of the file ``path``; AsrkdError if it is none."""
    try:
        record = parse_json(line)
    except ValueError as error:
        raise AsrkdError(f"{path}:{number}: torn or not JSON ({error})") from None
    if not isinstance(record, dict):
        raise AsrkdError(f"{path}:{number}: expected a JSON object, found {line[:40]!r}")
    return record


def parse_json(text: str) -> Any:
    """The value of a JSON document.

    Raises:
        ValueError: in one line: it is none, is nested too deeply to be read, or
            holds half of a character (a lone surrogate), which no file of text can hold.
    """
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which is no text") from None
    return value


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(1-based number, line without its end) of a UTF-8 text file, gzipped or not.

    The mark that some editors put before UTF-8 is taken off, and so are several of them.

    Raises:
        AsrkdError: no such file, a torn gzip member, or a line that is not UTF-8.
    """
    _require_file(path)
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                text = _decoded(line, path, number)
                yield number, text.lstrip("\ufeff") if number == 1 else text
    except (EOFError, OSError, zlib.error) as error:  # BadGzipFile is an OSError
        raise AsrkdError(f"{path}: cannot be read after line {number}: {error}") from None


def _require_file(path: Path) -> None:
    try:
        problem = (
            None if path.is_file() else "is a folder, expected a file" if path.is_dir() else "no such file"
        )
    except OSError as error:  # a name that is too long to be one
        problem = f"cannot be read: {error.strerror}"
    if problem is not None:
        raise AsrkdError(f"{path}: {problem}")


def _decoded(line: bytes, path: Path, number: int) -> str:
    """The text of a line, without its end."""
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise AsrkdError(
            f"{path}:{number}: not UTF-8 ({error}); convert it, as with iconv -t utf-8"
        ) from None


def read_text(path: Path) -> str:
    """The whole of a UTF-8 text file; AsrkdError, which names it, if it cannot be read."""
    _require_file(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AsrkdError(f"{path}: cannot be read: {error}") from None


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes; AsrkdError if they cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise AsrkdError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def sha256_of(record: Any) -> str:
    """Hex digest of a JSON-able record, whatever the order of its keys."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
