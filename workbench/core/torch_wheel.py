"""Which of PyTorch's wheels fits this machine's card. Standard library only: set-up loads this file by path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: PyTorch's own wheel index; the environment variable overrides it, `none` does without.
TORCH_INDEX = "https://download.pytorch.org/whl"
TORCH_INDEX_VARIABLE = "WORKBENCH_TORCH_INDEX"
ANSWER_SECONDS, PAGE_SECONDS = 5.0, 20.0

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Build:
    """A CUDA build of torch and the cards it has code for (compute capabilities, both ends included)."""

    name: str
    cuda: Version
    oldest: Version
    newest: Version = (99, 0)


#: Builds there may be, newest first. Which of them exist for a version of torch, its wheel index says.
BUILDS = (
    Build("cu132", (13, 2), (7, 5)),
    Build("cu130", (13, 0), (7, 5)),
    Build("cu129", (12, 9), (7, 0)),
    Build("cu128", (12, 8), (7, 0)),
    Build("cu126", (12, 6), (5, 0), (9, 0)),
)


@dataclass(frozen=True, slots=True)
class Card:
    """The NVIDIA card as its driver describes it; what the driver does not say is None."""

    name: str
    driver: str | None = None
    cuda: Version | None = None
    capability: Version | None = None


def find_card(run: Callable[[list[str]], str] | None = None) -> Card | None:
    """The first NVIDIA card the driver sees, or None. `run` gives a command's output, "" when it fails."""
    ask = run or _output
    report = ask(["nvidia-smi"])  # it alone says up to which CUDA version the driver goes
    if not report:
        return None
    for fields in ("name,driver_version,compute_cap", "name,driver_version"):  # an old driver does not know the last
        answer = ask(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]).strip()
        name, *rest = [part.strip() for part in answer.partition("\n")[0].split(",")]
        if name and len(rest) == fields.count(","):
            capability = _version(rest[1], "") if len(rest) > 1 else None
            return Card(name, rest[0], _version(report, r"CUDA Version:\s*"), capability)
    return None


def fitting_builds(card: Card) -> list[Build]:
    """Builds that the card's driver and hardware take, the newest first."""
    return [
        build
        for build in BUILDS
        if (card.cuda is None or build.cuda <= card.cuda)
        and (card.capability is None or build.oldest <= card.capability <= build.newest)
    ]


def choose_index(torch: str, python: str, card: Card | None = None) -> tuple[str | None, list[str]]:
    """The wheel index to install `torch` from, and what the user should know.

    Args:
        torch: version, such as `2.13.0`. python: version of the Python it is for, such as `3.12`.
        card: the card to choose for; without one this machine is asked.

    Returns:
        (index or None for "what pip finds", notes). None where nothing special is wanted (macOS; Windows
        without a card), and where the index does not answer within seconds or has no such wheel.
    """
    base = os.environ.get(TORCH_INDEX_VARIABLE, TORCH_INDEX).rstrip("/")
    card = card or find_card()
    if sys.platform == "darwin" or base in ("", "none"):
        return None, []
    if card is None:
        names = [] if sys.platform == "win32" else ["cpu"]
    else:
        names = [build.name for build in fitting_builds(card)]
        if not names:
            return None, [f"{card.name}: driver {card.driver} is too old for this torch; a newer driver is needed"]
    wanted = _wheel_pattern(torch, python)
    for name in names:
        try:
            page = _fetch(f"{base}/{name}/torch/")
        except TimeoutError as silent:
            text = f"PyTorch's wheel index does not answer ({silent}); going on with what pip finds"
            return None, [text, *_lost(card)]
        if wanted.search(page):
            return f"{base}/{name}", [f"torch {torch} for {card.name if card else 'the CPU'} ({name})"]
    missing = f"PyTorch's wheel index has no torch {torch} for this machine; going on with what pip finds"
    return None, [missing, *_lost(card)] if names else []


def _lost(card: Card | None) -> list[str]:
    if card is None or sys.platform != "win32":
        return []
    return [f"that torch will not use {card.name}; to set up again later, delete the folder .venv"]


def _wheel_pattern(torch: str, python: str) -> re.Pattern[str]:
    """Matches the file name of a wheel of this version for this Python and platform in an index page."""
    tag = "cp" + python.replace(".", "")
    machine = re.escape(sysconfig.get_platform().split("-")[-1])
    system = "win" if sys.platform == "win32" else r"(?:many)?linux\w*"
    return re.compile(rf"torch-{re.escape(torch)}(?:(?:\+|%2B)\w+)?-{tag}-{tag}-{system}_{machine}\.whl", re.IGNORECASE)


def _fetch(url: str) -> str:
    """A page, or "" when the server has none. Raises TimeoutError with the reason when it does not answer in time.

    In a thread of its own, for looking up a name has no timeout.
    """
    answered, done = threading.Event(), threading.Event()
    page: list[str] = []
    reason = [f"{ANSWER_SECONDS:.0f} s passed"]

    def get() -> None:
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:
                answered.set()
                page.append(response.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            page.append("") if error.code < 500 and error.code != 407 else reason.append(f"HTTP {error.code}")
        except (OSError, ValueError) as error:
            reason.append(str(getattr(error, "reason", error)))
        finally:
            answered.set()
            done.set()

    threading.Thread(target=get, daemon=True).start()
    if answered.wait(ANSWER_SECONDS) and done.wait(PAGE_SECONDS) and page:
        return page[0]
    raise TimeoutError(reason[-1])


def _output(command: list[str]) -> str:
    program = Path(os.environ.get("PROGRAMFILES", "")) / "NVIDIA Corporation/NVSMI/nvidia-smi.exe"
    for first in (command[0], str(program)):
        try:
            done = subprocess.run([first, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        except (OSError, subprocess.SubprocessError):
            continue
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
    return ""


def _version(text: str, before: str) -> Version | None:
    found = re.search(before + r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None
