"""Which input a collection is complete for: what the next run compares its input with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from workbench.collection.manifest import Derived, Fact, FileEntry, Manifest
from workbench.collection.store import INPUT, Store
from workbench.collection.writer import CollectionWriter

ROLE = "input"


@dataclass(frozen=True, slots=True)
class InputState:
    """Which input a collection was complete for.

    Attributes:
        identity: fingerprint of its content. place: of where it is. how: of the settings it was read with.
        documents: doc_id → fingerprint, for sources that can tell; else empty.
        limit: how many of its rows or documents the collection may hold; 0 = all.
    """

    identity: str
    place: str
    how: str
    documents: Mapping[str, str]
    limit: int = 0


def fingerprint(value: object) -> str:
    """A short hash of a value made of strings, numbers, lists and dicts."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def read_state(store: Store, manifest: Manifest) -> InputState | None:
    """The input that the collection was last complete for; None when that is not known.

    Of a damaged file only what the manifest knows is left: then every row is compared.
    """
    part = manifest.derivative(ROLE)
    if part is None or not part.files:
        return None
    try:
        data = store.path(part.files[0]).read_bytes()
        if hashlib.sha256(data).hexdigest() == part.files[0].sha256:
            return InputState(**json.loads(data))
    except (OSError, ValueError, TypeError):
        data = b""
    place, how = part.facts.get("place"), part.facts.get("how")
    return InputState("", place, how, {}) if isinstance(place, str) and isinstance(how, str) else None


def incomplete(state: InputState) -> InputState:
    """The same of a collection that lacks rows: the next run compares the whole input with it."""
    return replace(state, identity="", documents={})


def forget_input(store: Store, writer: CollectionWriter) -> None:
    """The next run compares the whole input with what is there."""
    state = read_state(store, writer.manifest)
    if state is None:
        writer.drop_derived(ROLE)
    else:
        writer.put_derived(state_part(store, writer.manifest, incomplete(state)))


def state_part(store: Store, manifest: Manifest, state: InputState) -> Derived:
    """The entry for the manifest that remembers an input; its file is flushed."""
    fields = {name: getattr(state, name) for name in ("identity", "place", "how", "limit")}
    fields["documents"] = dict(state.documents)
    data = json.dumps(fields, ensure_ascii=True).encode("ascii")
    folder = store.root / INPUT
    folder.mkdir(exist_ok=True)
    name = f"{INPUT}/{manifest.number + 1:08d}.json"
    entry = FileEntry(name, *store.disk.write(store.root / name, lambda file: file.write(data)))
    store.disk.sync_folder(folder)
    facts: dict[str, Fact] = {
        "identity": state.identity, "documents": len(state.documents), "place": state.place, "how": state.how,
    }
    return Derived(ROLE, (entry,), (), facts)
