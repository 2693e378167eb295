"""Refusals in plain words."""

from __future__ import annotations

from workbench.collection.facing import differences


def test_what_an_older_collection_does_not_name_is_named():
    assert differences({"model": "a"}, {"model": "a", "numbers": "int8"}) == ["numbers: floating point, not int8"]
    assert differences({"model": "a", "x": "1"}, {"model": "b"}) == ["model: a, not b", "x: 1, not (nothing)"]
