"""Files that are written whole or not at all, and readers that name the file and line of every error."""

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
    """Flush the names in ``folder`` to disk, so that they survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; another process may create or remove it at the same time."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return
        except FileExistsError:  # removed by another process after mkdir failed
            if os.path.lexists(folder) and not folder.is_dir():
                raise


def publish(partial: Path, path: Path) -> None:
    """Rename the finished file ``partial`` to ``path``, durably: contents first, then the name."""
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)
    fsync_folder(path.parent)


def partial_name(path: Path) -> Path:
    """Return a name beside ``path`` for writing it, different for every writer."""
    return path.with_name(f"{shortened(path.name)}.{uuid.uuid4().hex[:8]}.partial")


@contextmanager
def create_aside(path: Path) -> Iterator[Path]:
    """Yield a path to write to, for a library that opens the file itself.

    The new file is renamed to ``path`` if the block succeeds, and removed if it
    raises; after a kill a ``*.partial`` remains, which no command reads.
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
    """Return the errno of an error of the system that names no file; None for any other error.

    safetensors, written in Rust, has the errno in its message: "No space left on device (os error 28)".
    """
    if isinstance(error, OSError):
        return error.errno if error.filename is None else None
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else None


@contextmanager
def create_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open ``path`` for writing bytes; the file gets its name only if the block succeeds.

    A file named ``*.gz`` is compressed, without name and time in its header, so
    that equal contents are equal bytes.
    """
    with create_aside(path) as partial, partial.open("wb") as raw:
        if path.suffix == ".gz":
            # Level 9, the default, takes twice as long as 6 and saves a percent.
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
                yield stream  # type: ignore[misc]
        else:
            yield raw


@contextmanager
def create(path: Path) -> Iterator[IO[str]]:
    """Open ``path`` for writing UTF-8 text, as :func:`create_bytes` does for bytes."""
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
    """Return the text that :func:`write_json` writes."""
    return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object per line, as they arrive; return their number."""
    return write_lines(path, (json.dumps(record, ensure_ascii=False) for record in records))


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines, given without line ends, as they arrive; return their number."""
    count = 0
    with create(path) as stream:
        for line in lines:
            stream.write(line + "\n")
            count += 1
    return count


def read_json(path: Path) -> Any:
    """Read one JSON document; AsrkdError, with file and position, if it is absent or torn."""
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise AsrkdError(f"{path}: torn or not JSON ({error})") from None


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (1-based line number, object) for each line of a JSON-lines file, gzipped or not.

    Raises:
        AsrkdError: no such file, a torn gzip member, or a line that is not an object.
    """
    for number, line in read_lines(path):
        yield number, parse_object(path, number, line)


def parse_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """Parse the JSON object in line ``number`` of the file ``path``; AsrkdError if it is not one."""
    try:
        record = parse_json(line)
    except ValueError as error:
        raise AsrkdError(f"{path}:{number}: torn or not JSON ({error})") from None
    if not isinstance(record, dict):
        raise AsrkdError(f"{path}:{number}: expected a JSON object, found {line[:40]!r}")
    return record


def parse_json(text: str) -> Any:
    """Parse a JSON document.

    Raises:
        ValueError: not JSON, nested too deeply, or with a lone surrogate, which a text file cannot hold;
            the message is one line.
    """
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which is not text") from None
    return value


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (1-based number, line without its end) of a UTF-8 text file, gzipped or not.

    Byte order marks at the beginning of the file are removed.

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
        if path.is_file():
            return
        problem = "is a folder, expected a file" if path.is_dir() else "no such file"
    except OSError as error:  # a name that is too long
        problem = f"cannot be read: {error.strerror}"
    raise AsrkdError(f"{path}: {problem}")


def _decoded(line: bytes, path: Path, number: int) -> str:
    """Decode a line, without its end."""
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise AsrkdError(
            f"{path}:{number}: not UTF-8 ({error}); convert it, as with iconv -t utf-8"
        ) from None


def read_text(path: Path) -> str:
    """Read a whole UTF-8 text file; AsrkdError, with its name, if it cannot be read."""
    _require_file(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AsrkdError(f"{path}: cannot be read: {error}") from None


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes; AsrkdError if they cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise AsrkdError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def sha256_of(record: Any) -> str:
    """Return the hex digest of a JSON-able record, independent of the order of its keys."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
