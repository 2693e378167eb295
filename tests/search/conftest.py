from __future__ import annotations

import pytest

from tests.search import making


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return making.model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def maker(model_folder):
    return making.embedder(model_folder)


@pytest.fixture
def collection(tmp_path, maker):
    return making.make(tmp_path / "a.collection", maker)


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    return folder
