"""Streaming a CSV file into an Arrow file of binary columns, rows that cannot be read in their places."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.core.errors import UsageError

VERSION = "1"
BAD, NUMBER = "bad row", "row number"  # last columns of the layout: why a row is bad (else null), and which it is
_BLOCK = 32 << 20  # a row may be as long as this
_BATCH_ROWS = 4096
_HEAD = 1 << 20
_FIRST_RECORD = 2  # the reader counts the header as 1


def lay_out_csv(path: Path, packing: str, target: Path) -> None:
    """Write the layout: the file's columns as large_binary, then `bad row` (string) and `row number` (int64).

    Raises:
        UsageError: the header cannot be read.
        pa.ArrowInvalid: the file is no CSV, or a row is longer than 32 MB.
    """
    head = _head(path, packing)
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    names, separator, lines = _header(head, encoding, path)
    schema = pa.schema([*((name, pa.large_binary()) for name in names), (BAD, pa.string()), (NUMBER, pa.int64())])
    bad: list[tuple[int, str]] = []
    with pa.input_stream(str(path), compression=packing or None) as stream, pa.OSFile(str(target), "wb") as sink:
        reader = _reader(stream, names, separator, encoding, lines, bad)
        with pa.ipc.new_file(sink, schema) as writer:
            at = 0
            for batch in reader:
                for first in range(0, batch.num_rows, _BATCH_ROWS):
                    part = batch.slice(first, _BATCH_ROWS)
                    numbers, at = _numbers(at, part.num_rows, [number for number, _ in bad])
                    writer.write_batch(_whole(part, numbers, [item for item in bad if item[0] < at], schema))
                    bad[:] = [item for item in bad if item[0] >= at]
            if bad:
                empty = pa.RecordBatch.from_pylist([], schema=pa.schema([(name, pa.binary()) for name in names]))
                writer.write_batch(_whole(empty, np.zeros(0, dtype=np.int64), bad, schema))


def _head(path: Path, packing: str) -> bytes:
    try:
        with pa.input_stream(str(path), compression=packing or None) as stream:
            return bytes(stream.read(_HEAD))
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"cannot be unpacked ({error})", where=str(path)) from error


def _header(head: bytes, encoding: str, path: Path) -> tuple[list[str], str, int]:
    """Names of the columns (made distinct), the separator, and the lines the header takes."""
    try:
        text = head.decode(encoding if encoding != "utf-8" else "utf-8-sig", errors="ignore")
        first = next(iter(text.splitlines()), "")
        first.encode("utf-8")
    except UnicodeError as error:
        raise UsageError("its header is not valid UTF-8", where=str(path), remedy="Save it as UTF-8") from error
    tabbed = ".tsv" in [suffix.lower() for suffix in path.suffixes]
    separator = "\t" if tabbed else max(",;\t|", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    given = next(rows, [])
    if not given:
        raise UsageError("has no header", where=str(path), remedy="The first line must name the columns")
    names: list[str] = []
    for number, name in enumerate(given, start=1):
        new = base = name.strip() or f"column_{number}"
        count = 1
        while new in names or new in (BAD, NUMBER):
            count += 1
            new = f"{base}_{count}"
        names.append(new)
    return names, separator, rows.line_num


def _reader(
    stream: pa.NativeFile, names: list[str], separator: str, encoding: str, lines: int, bad: list[tuple[int, str]]
) -> Iterator[pa.RecordBatch]:
    from pyarrow import csv as arrow_csv

    def note(row: arrow_csv.InvalidRow) -> str:
        reason = f"{row.actual_columns} values instead of {row.expected_columns}: {row.text[:80]!r}"
        bad.append((row.number - _FIRST_RECORD, reason))
        return "skip"

    reader: Iterator[pa.RecordBatch] = arrow_csv.open_csv(
        stream,
        # one thread: only then the reader numbers its rows
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=names, skip_rows=lines, encoding=encoding
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=note
        ),
        # binary: broken UTF-8 is told per row, later
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False, column_types={name: pa.binary() for name in names},
            null_values=[], strings_can_be_null=False,
        ),
    )
    return reader


def _numbers(at: int, count: int, bad: list[int]) -> tuple[NDArray[np.int64], int]:
    """Row numbers of the next `count` good rows from `at` on, and the number after them."""
    inside = 0
    while True:  # every bad row in the range moves its end, which may take in further ones
        now = sum(at <= number < at + count + inside for number in bad)
        if now == inside:
            break
        inside = now
    rows = np.arange(at, at + count + inside, dtype=np.int64)
    return rows[~np.isin(rows, np.array(bad, dtype=np.int64))], at + count + inside


def _whole(
    part: pa.RecordBatch, numbers: NDArray[np.int64], bad: list[tuple[int, str]], schema: pa.Schema
) -> pa.RecordBatch:
    count = len(bad)
    own = [pa.concat_arrays([column.cast(pa.large_binary()), pa.nulls(count, pa.large_binary())]) for column in part]
    reasons = pa.array([None] * part.num_rows + [reason for _, reason in bad], pa.string())
    rows = pa.array([*numbers.tolist(), *(number for number, _ in bad)], pa.int64())
    return pa.record_batch([*own, reasons, rows], schema=schema)
