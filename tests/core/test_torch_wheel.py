"""Which wheel is chosen, against a small wheel index on the loopback address."""

from __future__ import annotations

import http.server
import socket
import sys
import sysconfig
import threading
from collections.abc import Iterator

import pytest

from workbench.core import setup_trouble, torch_wheel
from workbench.core.torch_wheel import Card, choose_index, find_card, fitting_builds

MACHINE = sysconfig.get_platform().split("-")[-1]
SYSTEM = "win" if sys.platform == "win32" else "manylinux_2_28"
pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one build, nothing is chosen")
QUERY = "NVIDIA GeForce RTX 4070, 566.36, 8.9\n"
REPORT = "| NVIDIA-SMI 566.36   Driver Version: 566.36   CUDA Version: 12.7 |"


def wheel(version: str, build: str, python: str = "cp312") -> str:
    return f'<a href="/whl/{build}/torch-{version}%2B{build}-{python}-{python}-{SYSTEM}_{MACHINE}.whl">w</a>'


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    pages: dict[str, str] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("/")[1]
            self.send_response(200 if name in pages else 403)
            self.end_headers()
            self.wfile.write(pages.get(name, "").encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv(torch_wheel.TORCH_INDEX_VARIABLE, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield pages
    server.shutdown()
    server.server_close()


def card(cuda: tuple[int, int], capability: tuple[int, int] = (8, 9)) -> Card:
    return Card("a card", "1.2", cuda, capability)


def test_newest_build_that_the_driver_takes_and_the_index_has(index: dict[str, str]) -> None:
    index["cu132"] = wheel("2.13.0", "cu132")
    index["cu130"] = wheel("2.12.0", "cu130")
    index["cu126"] = wheel("2.13.0", "cu126") + wheel("2.13.0", "cu126", "cp313")
    found, notes = choose_index("2.13.0", "3.12", card((13, 1)))
    assert found is not None and found.endswith("/cu126")
    assert notes == ["torch 2.13.0 for a card (cu126)"]
    assert str(choose_index("2.13.0", "3.12", card((13, 2)))[0]).endswith("/cu132")


def test_another_python_version_is_no_match(index: dict[str, str]) -> None:
    index["cu130"] = wheel("2.13.0", "cu130", "cp311")
    found, notes = choose_index("2.13.0", "3.12", card((13, 0)))
    assert found is None
    assert "has no torch 2.13.0" in notes[0]


@pytest.mark.skipif(sys.platform == "win32", reason="without a card Windows takes what pip finds")
def test_cpu_wheels_without_a_card(index: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_wheel, "find_card", lambda: None)
    index["cpu"] = wheel("2.13.0", "cpu")
    assert str(choose_index("2.13.0", "3.12")[0]).endswith("/cpu")


def test_an_index_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_wheel, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        monkeypatch.setenv(torch_wheel.TORCH_INDEX_VARIABLE, f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        found, notes = choose_index("2.13.0", "3.12", card((13, 0)))
    assert found is None
    assert "does not answer" in notes[0]


def test_none_does_without_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(torch_wheel.TORCH_INDEX_VARIABLE, "none")
    assert choose_index("2.13.0", "3.12", card((13, 0))) == (None, [])


def test_the_driver_is_read() -> None:
    answers = {1: REPORT, 3: QUERY}
    found = find_card(lambda command: answers[len(command)])
    assert found == Card("NVIDIA GeForce RTX 4070", "566.36", (12, 7), (8, 9))
    assert find_card(lambda _: "") is None
    assert find_card(lambda command: REPORT if len(command) == 1 else "") is None


def test_a_driver_that_does_not_know_compute_capabilities_is_too_old_and_not_missing() -> None:
    answers = {"nvidia-smi": REPORT.replace("12.7", "11.2"), "--query-gpu=name,driver_version": "GTX 1080, 460.89\n"}
    found = find_card(lambda command: answers.get(command[1] if len(command) > 1 else command[0], ""))
    assert found == Card("GTX 1080", "460.89", (11, 2), None)
    assert choose_index("2.13.0", "3.12", found)[1] == [
        "GTX 1080: driver 460.89 is too old for this torch; a newer driver is needed"
    ]


def test_no_card_is_no_card() -> None:
    assert find_card(lambda _: "No devices were found\n") is None


@pytest.mark.parametrize(
    ("capability", "names"),
    [((6, 1), ["cu126"]), ((7, 0), ["cu129", "cu128", "cu126"]), ((12, 0), ["cu132", "cu130", "cu129", "cu128"])],
)
def test_old_and_new_cards_need_their_own_builds(capability: tuple[int, int], names: list[str]) -> None:
    assert [build.name for build in fitting_builds(card((13, 2), capability))] == names


def test_a_driver_older_than_every_build() -> None:
    found, notes = choose_index("2.13.0", "3.12", card((11, 4)))
    assert found is None
    assert "too old" in notes[0]


@pytest.mark.parametrize(("version", "remedy"), [((3, 9), True), ((3, 10), False), ((3, 14), False), ((3, 15), True)])
def test_a_package_that_is_missing_for_an_untested_python_names_the_tested_ones(
    version: tuple[int, int], remedy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    told = setup_trouble.explain("ERROR: No matching distribution found for torch==2.13.0 (from …)", "/x")
    assert f"for Python {version[0]}.{version[1]} on this system" in told
    assert ("install Python 3.10 to 3.14, or name one with WORKBENCH_PYTHON" in told) == remedy


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("OSError: [WinError 112] There is not enough space on the disk", "the disk is full"),
        ("The virtual environment was not created because ensurepip is not available", "this Python"),
        ("/usr/bin/python3: No module named venv", "this Python"),
        ("NewConnectionError: getaddrinfo failed\nNo matching distribution found for x", "no network"),
        ("ERROR: No matching distribution found for torch==2.13.0 (from …)", "there is no ready-made package torch"),
        ("PermissionError: [Errno 13] Permission denied: '/x/.venv'", "/x cannot be written to"),
        ("HINT: ... does not have Windows Long Path support enabled. [Errno 2]", "Windows refuses long paths"),
        ("something new", ""),
    ],
)
def test_troubles_are_told_in_one_line(said: str, start: str) -> None:
    told = setup_trouble.explain(said, "/x")
    assert told.startswith(start) and "\n" not in told
    assert bool(told) == bool(start)
