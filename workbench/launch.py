"""Sets the program up on first use and starts it. run.sh and run.bat hand over to this file, by path.

Only the standard library is imported, for nothing else is there yet. Set-up makes `.venv` beside pyproject.toml,
installs the versions of .ci/constraints.txt and leaves a stamp; while the stamp fits, a start goes straight on to
the program. What set-up says goes to stderr: stdout belongs to the program.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(os.path.abspath(__file__)).parent.parent
VENV = ROOT / ".venv"
WINDOWS = os.name == "nt"
VENV_PYTHON = VENV / "Scripts" / "python.exe" if WINDOWS else VENV / "bin" / "python"
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
UNFINISHED = VENV / "workbench-unfinished"
LOG = VENV / "workbench-setup.log"
#: Exit code that asks run.bat for another Python: on Windows .venv cannot be repaired by its own.
OTHER_PYTHON = 103
#: Free bytes that set-up needs: a CUDA build of torch and its libraries are large.
DISK_CPU, DISK_CUDA = 2_500_000_000, 9_000_000_000


class Refused(Exception):
    """Set-up cannot go on; the text is one line."""


def main(words: list[str]) -> int:
    tests = words[:1] == ["test"]
    extra = "dev" if tests else ""
    try:
        if not is_ready(extra):
            if WINDOWS and is_inside():
                return OTHER_PYTHON
            with load("setup_lock").one_at_a_time(ROOT, say):
                if not is_ready(extra):
                    set_up(extra)
    except KeyboardInterrupt:
        say("stopped; the next start goes on with it")
        return 130
    except (Refused, OSError) as error:
        say(str(error) if isinstance(error, Refused) else explain(str(error)) or str(error))
        return 1
    return start(["-m", "pytest", *words[1:]], ROOT) if tests else start(["-I", "-m", "workbench", *words], None)


def start(arguments: list[str], folder: Path | None) -> int:
    """Run .venv's Python with these arguments; on POSIX in place of this process.

    Without a folder the program runs where the user is. Files there must not be taken for Python modules: `-I` keeps
    that folder off the path of the program and of what it spawns, PYTHONSAFEPATH (from 3.11) of every Python below.
    """
    if folder is None:
        os.environ["PYTHONSAFEPATH"] = "1"
    command = [str(VENV_PYTHON), *arguments]
    if not WINDOWS:
        if folder is not None:
            os.chdir(folder)
        os.execv(VENV_PYTHON, command)
    import subprocess

    process = subprocess.Popen(command, cwd=folder)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Ctrl+C reaches the program too, which decides what it means
            pass


def stamp_file(extra: str) -> Path:
    return VENV / f"workbench-{extra or 'run'}.stamp"


def fingerprint(extra: str) -> str:
    """Changes when other packages would be installed, or .venv belongs to another Python."""
    import hashlib

    parts = [file.read_bytes() for file in (PYPROJECT, CONSTRAINTS, VENV / "pyvenv.cfg")]
    return hashlib.sha256(b"\0".join([b"layout 2", extra.encode(), *parts])).hexdigest()


def is_inside() -> bool:
    """This Python is .venv's own; one of another virtual environment is as good as any."""
    here, own = (os.path.normcase(os.path.realpath(place)) for place in (sys.prefix, VENV))
    return here == own


def is_whole() -> bool:
    """.venv was finished, and its Python starts and finds its packages.

    When the Python that .venv was made with is replaced, Windows' own copy of it in .venv no longer starts; elsewhere
    the link in .venv may lead to a newer version, which looks for its packages in another folder.
    """
    if UNFINISHED.exists() or not VENV_PYTHON.is_file():
        return False
    version = f"{sys.version_info[0]}.{sys.version_info[1]}" if is_inside() else venv_version()
    return version != "" and (WINDOWS or (VENV / "lib" / f"python{version}").is_dir())


def is_ready(extra: str) -> bool:
    """True when .venv is whole and holds what is asked for."""
    if not is_whole():
        return False
    try:
        return stamp_file(extra).read_text(encoding="ascii") == fingerprint(extra)
    except (OSError, ValueError):
        return False


# ---- set-up --------------------------------------------------------------------------------------------------


def set_up(extra: str) -> None:
    """Make or complete .venv. A .venv that was left half made is made anew."""
    if sys.version_info < (3, 10) or sys.maxsize < 2**32:
        raise Refused(f"a 64-bit Python 3.10 or newer is needed; this is {sys.version.split('[')[0]}")
    torch = torch_pin()
    if not is_whole():
        check_disk(DISK_CPU if torch else DISK_CPU // 20)
        make_venv()
    say(f"installing what the {'tests need' if extra else 'program needs'} into {VENV}")
    if torch and output_of(TORCH_VERSION).partition("+")[0].strip() != torch:
        index, notes = load("torch_wheel").choose_index(torch, venv_version())
        for note in notes:
            say(note)
        check_disk(DISK_CUDA if "/cu" in str(index) else DISK_CPU)
        pip(f"torch=={torch}", *(["--no-deps", "--index-url", index] if index else []))
    pip(*requirements("dependencies"), *(requirements(extra) if extra else []))
    write_links()
    for kind in {"", extra}:  # the larger set holds the smaller one
        stamp_file(kind).write_text(fingerprint(kind), encoding="ascii")
    say("done")


def make_venv() -> None:
    """A new .venv; the marker inside it stays until it is whole."""
    import shutil
    import subprocess

    if os.path.lexists(VENV):
        say(f"{VENV} is incomplete and is made anew")
        remove_venv()
    python = base_python()
    say(f"making {VENV} with {python}")
    VENV.mkdir()
    UNFINISHED.touch()
    made = subprocess.run([python, "-I", "-m", "venv", VENV], stdin=subprocess.DEVNULL, capture_output=True)
    if made.returncode == 0:
        UNFINISHED.unlink()
        return
    output = (made.stdout + made.stderr).decode("utf-8", "replace")
    shutil.rmtree(VENV, ignore_errors=True)
    raise Refused(explain(output) or f"cannot make {VENV}: {output.strip()[-300:]}")


def remove_venv() -> None:
    import shutil

    if VENV.is_symlink() or not VENV.is_dir():
        VENV.unlink()
        return
    try:
        shutil.rmtree(VENV)
    except OSError as error:
        raise Refused(f"cannot remove {VENV} ({error.strerror}); close what runs from it and start again") from error


def base_python() -> str:
    """The Python that .venv is made with: this one, or the one behind the virtual environment this one is in."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    for candidate in (getattr(sys, "_base_executable", ""), os.path.realpath(sys.executable)):
        if candidate and candidate != sys.executable and Path(candidate).is_file():
            return str(candidate)
    return sys.executable


def write_links() -> None:
    """Make the package importable in .venv, and `workbench` a command there.

    The line in the .pth file is relative: it survives moving the folder, and Python before 3.13 would read letters
    outside ASCII in the locale's encoding.
    """
    library = VENV / "Lib" if WINDOWS else VENV / "lib" / f"python{venv_version()}"
    packages = library / "site-packages"
    link = os.path.relpath(ROOT, packages) + "\n"
    (packages / "embedding-workbench.pth").write_text(link, encoding="ascii", newline="\n")
    command = VENV_PYTHON.with_name("workbench.cmd" if WINDOWS else "workbench")
    # as in start(): no modules from the user's folder
    text = '#!/bin/sh\nexport PYTHONSAFEPATH=1\nexec "$(dirname -- "$0")/python" -I -m workbench "$@"\n'
    if WINDOWS:
        text = '@setlocal\r\n@set PYTHONSAFEPATH=1\r\n@"%~dp0python.exe" -I -m workbench %*\r\n'
    command.write_text(text, encoding="ascii", newline="")
    command.chmod(0o755)


# ---- what to install -----------------------------------------------------------------------------------------

TORCH_VERSION = "import importlib.metadata as m; print(m.version('torch'))"


def requirements(name: str) -> list[str]:
    """A list of requirements in pyproject.toml. (Python 3.10 has no TOML reader; these lists read as Python's.)"""
    import ast
    import re

    found = re.search(rf"^{name} = (\[.*?^\])", PYPROJECT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if found is None:
        raise Refused(f"{PYPROJECT} has no list {name!r}")
    return [str(item) for item in ast.literal_eval(found[1])]


def torch_pin() -> str:
    """The version of torch in the constraints, or "" when there is none."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return next((line.partition("==")[2].split(";")[0].strip() for line in lines if line.startswith("torch==")), "")


def venv_version() -> str:
    """Such as `3.12`: the Python in .venv."""
    return output_of("import sys; print('{}.{}'.format(*sys.version_info))").strip()


def output_of(code: str) -> str:
    """What .venv's Python prints for this code; "" when it fails."""
    import subprocess

    command = [str(VENV_PYTHON), "-I", "-c", code]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode("utf-8", "replace")


def pip(*arguments: str) -> None:
    """Install under the constraints. A failure before anything was touched leaves .venv as it was."""
    import subprocess

    UNFINISHED.touch()
    LOG.unlink(missing_ok=True)
    command = [str(VENV_PYTHON), "-I", "-m", "pip", "install", *arguments, "-c", str(CONSTRAINTS), "--log", str(LOG)]
    # no byte compiling: Python does it for what is really imported; ready-made wheels only: no compiler needed
    command += ["--no-compile", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    terminal = sys.stderr.isatty()
    if not terminal:
        command += ["--quiet", "--progress-bar", "off"]
    errors = subprocess.STDOUT if terminal else subprocess.DEVNULL
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=errors)
    log = LOG.read_text(encoding="utf-8", errors="replace") if LOG.exists() else ""
    said = [line.strip() for line in log.splitlines() if "ERROR:" in line]
    if done.returncode == 0 or (said and "Installing collected packages" not in log):
        UNFINISHED.unlink()
    if done.returncode != 0:
        check_disk(DISK_CPU // 20)  # a log on a full disk is silent about it
        raise Refused(explain(log) or f"pip failed: {said[-1] if said else 'no reason given'}; see {LOG}")


def check_disk(needed: int) -> None:
    import shutil

    free = shutil.disk_usage(ROOT).free
    if free < needed:
        raise Refused(f"the disk has {free / 1e9:.1f} GB left at {ROOT}; set-up needs {needed / 1e9:.1f} GB")


def load(name: str) -> ModuleType:
    """A file of workbench/core that needs the standard library only, without importing the package."""
    import importlib.util

    path = ROOT / "workbench" / "core" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Refused(f"{path} is missing; the folder is incomplete")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def explain(text: str) -> str:
    """One line for a known cause of a failure, else ""."""
    return str(load("setup_trouble").explain(text, str(ROOT)))


def say(text: str) -> None:
    print(f"set-up: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
