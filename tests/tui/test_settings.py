import json

from hypothesis import given
from hypothesis import strategies as st

from workbench.tui.settings import Settings, from_dict, load, save

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)), max_leaves=5,
)


def test_kept_between_starts(tmp_path):
    file = tmp_path / "a folder" / "screen.json"
    settings = Settings(theme="workbench-light", span=600, sort="-cpu").with_input("/data/bücher").with_input("文件")
    assert save(settings, file) is None
    assert load(file) == settings
    assert load(file).inputs == ("文件", "/data/bücher")
    assert [path.name for path in file.parent.iterdir()] == ["screen.json"]


def test_a_missing_or_broken_file_is_the_defaults(tmp_path):
    file = tmp_path / "screen.json"
    assert load(file) == Settings()
    for text in ("", "{", "[1]", '{"span": "long", "inputs": 3, "refresh": NaN}'):
        file.write_text(text, encoding="utf-8")
        assert load(file) == Settings()


@given(st.dictionaries(st.sampled_from([*Settings.__dataclass_fields__, "other"]), _JSON))
def test_whatever_stands_in_the_file_gives_usable_settings(content):
    settings = from_dict(content)
    assert 0.25 <= settings.refresh <= 5.0
    assert 10 <= settings.span <= 86_400
    assert isinstance(settings.theme, str)


def test_a_folder_that_cannot_be_written_is_told_not_raised(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    assert isinstance(save(Settings(), blocked / "screen.json"), OSError)


def test_the_same_input_stands_once_and_the_list_is_short():
    settings = Settings()
    for name in [*"abcdefghijklmnop", "c"]:
        settings = settings.with_input(name)
    assert settings.inputs[0] == "c"
    assert len(settings.inputs) == len(set(settings.inputs)) == 12
    assert json.loads(json.dumps(settings.inputs))
