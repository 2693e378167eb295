import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.collection.manifest import (
    CollectionDamaged,
    Derived,
    FileEntry,
    Manifest,
    ShardEntry,
    SourceEntry,
    decode,
    decode_current,
    encode,
    encode_current,
)
from workbench.core.errors import UsageError

_text = st.text(max_size=20)
_files = st.builds(FileEntry, _text, st.integers(0, 2**40), _text)
_shards = st.builds(
    ShardEntry, *[st.integers(0, 2**40)] * 6, chunks=_files, vectors=_files,
    rejected=st.none() | _files, deletions=st.none() | _files, deleted=st.integers(0, 9),
)
_derived = st.builds(
    Derived, _text, st.tuples(_files), st.lists(st.integers(0, 99)).map(tuple),
    st.dictionaries(_text, st.none() | _text | st.integers(0, 9) | st.floats(0, 1)),
)
_names = st.dictionaries(_text, _text, max_size=3)
_manifests = st.builds(
    Manifest, st.integers(0, 10**8), _text, _names, st.integers(1, 4096), st.sampled_from(["float16", "float32"]),
    sources=st.lists(st.builds(SourceEntry, st.integers(0, 9), _text, _names), max_size=2).map(tuple),
    shards=st.lists(_shards, max_size=3).map(tuple), derived=st.lists(_derived, max_size=2).map(tuple),
)
_FILE = FileEntry("shards/00000000.chunks.parquet", 17, "ab" * 32)
_SMALL = Manifest(
    7, "2025-01-01T00:00:00+00:00", {"model": "é"}, 8, "float16",
    shards=(ShardEntry(0, 0, 0, 4, 9, 0, _FILE, _FILE),),
)


@given(_manifests)
def test_what_is_written_is_read(manifest):
    data = encode(manifest)
    assert decode(data, "m") == manifest
    assert json.loads(data)["manifest"]["number"] == manifest.number


def test_every_flipped_bit_of_a_manifest_is_found():
    data = encode(_SMALL)
    for bit in range(len(data) * 8):
        with pytest.raises(CollectionDamaged):
            decode(_flipped(data, bit), "m")


def test_every_truncation_of_a_manifest_is_found():
    data = encode(_SMALL)
    for length in range(len(data)):
        with pytest.raises(CollectionDamaged):
            decode(data[:length], "m")


def test_every_flipped_bit_and_truncation_of_current_is_found():
    data = encode_current(7, encode(_SMALL))
    assert decode_current(data, "C")[0] == "00000007.json"
    for bad in [_flipped(data, bit) for bit in range(len(data) * 8)] + [data[:n] for n in range(len(data))]:
        with pytest.raises(CollectionDamaged):
            decode_current(bad, "C")


def test_a_newer_format_is_refused(monkeypatch):
    monkeypatch.setattr("workbench.collection.manifest.FORMAT", 2)
    data = encode(_SMALL)
    monkeypatch.setattr("workbench.collection.manifest.FORMAT", 1)
    with pytest.raises(UsageError, match=r"format 2.*up to 1.*Update"):
        decode(data, "m")


def test_a_derived_part_takes_the_place_of_the_one_before():
    one, other = Derived("ann", (), (0,), {"kind": "Flat"}), Derived("ann", (), (0, 1), {"kind": "RaBitQ"})
    text = Derived("text", (), (0,), {})
    manifest = replace(_SMALL, derived=(text, one)).with_derived(other)
    assert manifest.derivative("ann") == other
    assert manifest.derivative("text") == text
    assert manifest.without_derived("ann").derivative("ann") is None


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
