from workbench.tui.widgets.paths import complete_path


def test_paths_are_completed(tmp_path):
    (tmp_path / "bücher").mkdir()
    (tmp_path / "books.parquet").touch()
    (tmp_path / ".hidden").touch()
    base = f"{tmp_path}/"
    assert complete_path(base) == base + "books.parquet"
    assert complete_path(base + "bü") == base + "bücher/"
    assert complete_path(base + ".h") == base + ".hidden"
    assert complete_path(base + "books.parquet") is None
    assert complete_path(base + "nothing") is None
    assert complete_path("") is None
