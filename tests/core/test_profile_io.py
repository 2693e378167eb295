"""Profiles: every key read, checked, overridden, saved; every complaint names place, key and what is allowed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core import paths
from workbench.core.errors import UsageError
from workbench.core.profile import Profile
from workbench.core.profile_io import (
    KeyInfo,
    apply_overrides,
    explain,
    flat,
    load_profile,
    own_profile_path,
    profile_names,
    save_profile,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def complaint(file: Path, text: str) -> str:
    write(file, text)
    with pytest.raises(UsageError) as caught:
        load_profile(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_bundled_profiles_are_listed_in_order_and_explained() -> None:
    assert profile_names()[:4] == ["fast", "balanced", "quality", "debug"]
    for name in profile_names():
        assert load_profile(name).name == name
        assert load_profile(name).about


def test_balanced_is_the_defaults() -> None:
    assert flat(load_profile("balanced")) == flat(Profile())
    assert load_profile("quality").encoder.dtype == "fp32"
    assert load_profile("debug").pipeline.workers == 1


def test_every_key_is_explained_with_its_default() -> None:
    values = flat(Profile())
    assert [info.key for info in explain()] == list(values)
    for info in explain():
        assert info.help and info.allowed
        assert values[info.key] == info.default
    wanted = {"encoder.engine", "encoder.model", "encoder.dtype", "encoder.device", "encoder.token_budget"}
    wanted |= {"encoder.max_tokens", "encoder.tokens_per_second", "encoder.launch_seconds", "pipeline.workers"}
    assert wanted | {"pipeline.slots", "index.kind"} <= set(values)  # names that users' scripts depend on


def test_unknown_keys_name_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    assert "encoder.dtype" in complaint(file, '[encoder]\ndtyp = "fp16"\n')
    assert "pipeline" in complaint(file, "[pipelin]\nworkers = 1\n")
    assert "pipeline.workers" in complaint(file, "[encoder]\nworkers = 1\n")
    assert "unknown key 'workers'" in complaint(file, "workers = 1\n")
    assert "encoder is a section" in complaint(file, "encoder = 1\n")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("[pipeline]\nworkers = 59\n", "a whole number from 0 to 58"),
        ("[pipeline]\nworkers = -1\n", "a whole number from 0 to 58"),
        ("[pipeline]\nworkers = true\n", "a whole number from 0 to 58"),
        ("[pipeline]\nworkers = 2.0\n", "a whole number from 0 to 58"),
        ('[encoder]\ndtype = "fp8"\n', "one of auto, fp32, fp16, bf16"),
        ("[encoder]\nmodel = 7\n", "text"),
        ("[encoder]\ntokens_per_second = nan\n", "a number, at least 0"),
        ("[encoder]\ntokens_per_second = inf\n", "a number, at least 0"),
        ('[encoder]\ntemplate = "{title}"\n', "lacks {text}"),
    ],
)
def test_values_that_are_not_allowed(tmp_path: Path, text: str, allowed: str) -> None:
    assert allowed in complaint(tmp_path / "p.toml", text)


def test_files_that_are_no_profile(tmp_path: Path) -> None:
    assert "not valid TOML" in complaint(tmp_path / "p.toml", "[encoder\n")
    (tmp_path / "q.toml").write_bytes(b'about = "\xff"\n')
    with pytest.raises(UsageError, match="not UTF-8"):
        load_profile(tmp_path / "q.toml")
    with pytest.raises(UsageError, match="no such profile file"):
        load_profile(tmp_path / "gone.toml")
    with pytest.raises(UsageError, match=r"Did you mean balanced\?"):
        load_profile("balancd")


def test_a_whole_number_is_a_number_too(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path / "p.toml", "[encoder]\ntokens_per_second = 5\n"))
    assert isinstance(profile.encoder.tokens_per_second, float)


def test_a_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbf[pipeline]\r\nworkers = 3\r\n")
    assert load_profile(tmp_path / "p.toml").pipeline.workers == 3


def test_own_profiles_win_and_may_extend_the_bundled_one(home: Path) -> None:
    write(home / "profiles" / "fast.toml", 'extends = "fast"\n[pipeline]\nworkers = 5\n')
    write(home / "profiles" / "mine.toml", 'extends = "quality"\nabout = "mine"\n[encoder]\ndtype = "bf16"\n')
    fast, mine = load_profile("fast"), load_profile("mine")
    assert (fast.pipeline.workers, fast.encoder.max_tokens) == (5, 256)
    assert fast.about == load_profile(paths.bundled_profiles() / "fast.toml").about
    assert (mine.encoder.dtype, mine.collection.vectors, mine.about) == ("bf16", "float32", "mine")
    assert profile_names() == ["fast", "balanced", "quality", "debug", "mine"]


def test_extending_in_a_circle_is_refused(home: Path) -> None:
    write(home / "profiles" / "a.toml", 'extends = "b"\n')
    write(home / "profiles" / "b.toml", 'extends = "a"\n')
    with pytest.raises(UsageError, match="leads back to itself"):
        load_profile("a")


def test_overrides() -> None:
    words = ["pipeline.workers=3", "encoder.model=/a=b/c", "pipeline.workers = 4", "index.kind='IVF256,Flat'"]
    profile = apply_overrides(load_profile("fast"), words)
    assert (profile.pipeline.workers, profile.encoder.model, profile.index.kind) == (4, "/a=b/c", "IVF256,Flat")
    assert (profile.name, profile.encoder.max_tokens) == ("fast", 256)
    assert apply_overrides(profile, ['encoder.template="{title}\\n\\n{text}"']).encoder.template == "{title}\n\n{text}"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pipeline.workers", "key=value"),
        ("workers=1", r"Did you mean pipeline\.workers\?"),
        ("pipeline.workers=many", "a whole number from 0 to 58"),
        ("pipeline.workers=1.5", "a whole number from 0 to 58"),
        ("encoder.dtype=FP16", "one of auto, fp32, fp16, bf16"),
        ("encoder.launch_seconds=nan", "a number, at least 0"),
    ],
)
def test_overrides_that_are_not_allowed(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        apply_overrides(Profile(), [word])
    assert "--set" in str(caught.value) and caught.value.exit_code == 2


def test_the_example_for_a_template_works_as_it_is_said() -> None:
    with pytest.raises(UsageError, match="lacks") as caught:
        apply_overrides(Profile(), ["encoder.template={title}"])
    example = str(caught.value).partition("Example: ")[2]
    assert apply_overrides(Profile(), [f"encoder.template={example}"]).encoder.template == "{title}\n{text}"


def test_a_profile_that_cannot_be_written_whole_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    save_profile(Profile(about="old"), file)
    before = file.read_bytes()

    def full(self: Path, text: str, **_: object) -> int:
        self.write_bytes(text.encode()[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match="cannot write the profile: No space left"):
        save_profile(Profile(about="new"), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_saving_cannot_write(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    with pytest.raises(UsageError, match="cannot write the profile"):
        save_profile(Profile(), tmp_path / "file" / "p.toml")


@pytest.mark.parametrize("name", ["", "aux", "a/b", "..", "ä", "x" * 41, "a b", "CON"])
def test_names_that_no_file_may_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a profile"):
        own_profile_path(name)


def values_of(info: KeyInfo) -> st.SearchStrategy[str | int | float]:
    if info.choices:
        return st.sampled_from(info.choices)
    if info.kind == "text":
        text = st.text(max_size=20)
        return text.map(lambda value: value + "{text}") if info.key == "encoder.template" else text
    low, high = info.least or 0, info.most if info.most is not None else 1e9
    if info.kind == "whole number":
        return st.integers(math.ceil(low), math.floor(high))
    return st.floats(low, high)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_is_saved_is_what_is_loaded(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(explain()), unique_by=lambda info: info.key))
    values = {info.key: data.draw(values_of(info), info.key) for info in chosen}
    tables: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        tables.setdefault(key.split(".")[0], {})[key.split(".")[1]] = value
    file = tmp_path_factory.mktemp("profiles") / "p.toml"
    import tomli_w

    file.write_text(tomli_w.dumps(tables), encoding="utf-8", newline="\n")
    profile = load_profile(file)
    assert {key: flat(profile)[key] for key in values} == values
    save_profile(profile, file)
    assert load_profile(file) == profile
    assert file.read_text(encoding="utf-8").count(" = ") == sum(
        flat(profile)[info.key] != info.default for info in explain()
    ) or any(" = " in str(value) for value in values.values())
