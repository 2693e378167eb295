"""Set-up and start through run.sh (run.bat on Windows), with small wheels made here: no network, no torch."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import launch
from workbench.core import setup_lock

ROOT = Path(__file__).parent.parent
WINDOWS = os.name == "nt"
START = "run.bat" if WINDOWS else "run.sh"
CORE = ("torch_wheel.py", "setup_trouble.py", "setup_lock.py")
PROGRAM = """\
import os, subprocess, sys
import tinydep

if __name__ == "__main__":
    print("program", tinydep.VERSION, os.getcwd(), *sys.argv[1:], sep="|", flush=True)
    if "spawn" in sys.argv:
        import importlib, multiprocessing
        process = multiprocessing.get_context("spawn").Process(target=importlib.import_module, args=("tinydep",))
        process.start()
        process.join()
        print("child", process.exitcode, sep="|", flush=True)
    if "another" in sys.argv:
        subprocess.run([sys.executable, "-c", "import tinydep; print('another', tinydep.VERSION, sep='|')"], check=True)
    sys.exit(7 if "seven" in sys.argv else 0)
"""


def make_wheel(folder: Path, name: str, version: str, module: str, source: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/{module}.py": source,
        f"{name}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


class Project:
    """A small repository with the real launcher, in a folder with spaces and letters outside ASCII."""

    def __init__(self, parent: Path) -> None:
        self.root = parent / "äö 中文 dir"
        self.wheels = parent / "wheels"
        self.elsewhere = parent / "somewhere else"
        for folder in (self.root / ".ci", self.root / "workbench" / "core", self.wheels, self.elsewhere):
            folder.mkdir(parents=True)
        for name in (START, "workbench/launch.py", *(f"workbench/core/{name}" for name in CORE)):
            shutil.copy2(ROOT / name, self.root / name)
        (self.root / "workbench" / "__main__.py").write_text(PROGRAM, encoding="utf-8")
        (self.root / "pyproject.toml").write_text(
            '[project]\ndependencies = [\n    "tinydep>=1",\n]\n[project.optional-dependencies]\n'
            'dev = [\n    "pytest",\n]\n',
            encoding="utf-8",
        )
        self.pin("1.0")
        for version in ("1.0", "2.0"):
            make_wheel(self.wheels, "tinydep", version, "nothing", "")
        main = "import os, sys; print('tests', os.getcwd(), *sys.argv[1:], sep='|')"
        make_wheel(self.wheels, "pytest", "99.0", "__main__", main)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def pin(self, version: str) -> None:
        (self.root / ".ci" / "constraints.txt").write_text(f"# tested\ntinydep=={version}\n", encoding="utf-8")

    def environment(self, **variables: str) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri(), "PIP_CONFIG_FILE": os.devnull}
        environment["WORKBENCH_PYTHON"] = sys.executable if not self.venv.exists() else ""
        return {key: value for key, value in (environment | variables).items() if value}

    def start(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.root / START), *words, **variables)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.elsewhere, env=self.environment(**variables), stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="replace", timeout=150,
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("launch"))
    first = made.start("two words", "--x=ä")
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"program|1.0|{made.elsewhere}|two words|--x=ä\n"
    assert "set-up: done" in first.stderr
    return made


def test_second_start_goes_straight_to_the_program(project: Project) -> None:
    log = project.venv / "workbench-setup.log"
    before = log.stat().st_mtime_ns
    again = project.start("seven", PIP_FIND_LINKS="", PIP_NO_INDEX="")
    assert again.returncode == 7
    assert again.stderr == ""
    assert log.stat().st_mtime_ns == before


@pytest.fixture
def shadows(project: Project) -> Iterator[None]:
    """Files in the user's folder with the names of modules that the program and Python's own start need."""
    files = [project.elsewhere / f"{name}.py" for name in ("tinydep", "runpy", "multiprocessing", "workbench")]
    for file in files:
        file.write_text("import os\nprint('taken from the user', flush=True)\nos._exit(9)\n", encoding="utf-8")
    yield
    for file in files:
        file.unlink()


@pytest.mark.usefixtures("shadows")
@pytest.mark.parametrize("way", ["run.sh or run.bat", "the link in .venv"])
def test_files_in_the_users_folder_are_not_taken_for_modules(project: Project, way: str) -> None:
    link = project.venv / ("Scripts/workbench.cmd" if WINDOWS else "bin/workbench")
    start = str(link) if way == "the link in .venv" else str(project.root / START)
    words = ["spawn", *(["another"] if sys.version_info >= (3, 11) else [])]  # older ones know no PYTHONSAFEPATH
    done = project.run(start, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"program|1.0|{project.elsewhere}|{'|'.join(words)}", "child|0",
        *(["another|1.0"] if "another" in words else []),
    ]


def test_the_package_is_found_by_a_relative_ascii_path(project: Project) -> None:
    (link,) = project.venv.rglob("embedding-workbench.pth")
    line = link.read_text(encoding="ascii").strip()
    assert (link.parent / line).resolve() == project.root.resolve()


def test_changed_pins_are_installed(project: Project) -> None:
    project.pin("2.0")
    assert project.start().stdout.startswith("program|2.0|")
    project.pin("1.0")
    assert project.start().stdout.startswith("program|1.0|")


def test_pins_that_cannot_be_had_leave_the_environment_as_it_was(project: Project) -> None:
    project.pin("3.0")
    refused = project.start()
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("set-up: there is no ready-made package tinydep")
    assert not (project.venv / "workbench-unfinished").exists()
    project.pin("1.0")
    good = project.start()
    assert (good.returncode, good.stderr) == (0, "")


def test_no_network_is_said_in_one_line(project: Project) -> None:
    project.pin("2.0")
    refused = project.start(
        PIP_NO_INDEX="", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0"
    )
    project.pin("1.0")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("set-up: no network")
    assert refused.stdout == ""


def test_tests_install_the_dev_extra_and_run_in_the_repository(project: Project) -> None:
    done = project.start("test", "-k", "a b")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"tests|{project.root}|-k|a b\n"
    assert project.start("test").stderr == ""


@pytest.mark.parametrize("damage", ["killed while installing", "cut off before pip"])
def test_a_half_made_environment_is_repaired(project: Project, damage: str) -> None:
    if damage == "killed while installing":
        (project.venv / "workbench-unfinished").touch()
        (stray,) = project.venv.rglob("tinydep")
        shutil.rmtree(stray)
    else:
        shutil.rmtree(project.venv)
        project.venv.mkdir()
        (project.venv / "workbench-unfinished").touch()
    done = project.start(WORKBENCH_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert "made anew" in done.stderr
    assert done.stdout.startswith("program|1.0|")


@pytest.mark.skipif(WINDOWS, reason="Windows keeps the packages of every version in one folder")
def test_an_environment_whose_python_became_another_version_is_made_anew(project: Project) -> None:
    (packages,) = (project.venv / "lib").glob("python3.*")
    packages.rename(packages.with_name("python3.5"))  # what its link leads to looks in another folder from now on
    done = project.start()
    assert done.returncode == 0, done.stderr
    assert "made anew" in done.stderr and done.stdout.startswith("program|1.0|")
    assert project.start().stderr == ""


def test_another_virtual_environment_is_as_good_as_any_python(project: Project, tmp_path: Path) -> None:
    """The first start may come from an environment of the user's own: .venv must be made all the same."""
    python = tmp_path / "env" / ("Scripts/python.exe" if WINDOWS else "bin/python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from workbench import launch; print(launch.is_inside())"
    assert project.run(str(python), "-c", code).stdout == "False\n"
    own = f"import sys; sys.path.insert(0, {str(project.root / 'workbench')!r}); import launch"
    inside = project.venv / ("Scripts/python.exe" if WINDOWS else "bin/python")
    assert project.run(str(inside), "-c", f"{own}; print(launch.is_inside())").stdout == "True\n"
    shutil.rmtree(project.venv)
    done = project.start(WORKBENCH_PYTHON=str(python))
    assert (done.returncode, done.stdout[:12]) == (0, "program|1.0|"), done.stderr


def test_a_second_start_says_that_it_waits_for_the_first(project: Project) -> None:
    """The lock is held here, as another start would hold it."""
    project.pin("2.0")
    with setup_lock.one_at_a_time(project.root, print):
        second = subprocess.Popen(
            [str(project.root / START)], cwd=project.elsewhere, env=project.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )
        assert second.stderr is not None
        assert second.stderr.readline() == "set-up: another start is setting up; waiting for it\n"
        assert second.poll() is None
    out, err = second.communicate(timeout=150)
    project.pin("1.0")
    assert (second.returncode, out[:12]) == (0, "program|2.0|"), err
    assert project.start().stdout.startswith("program|1.0|")


def _path_with(folder: Path, **programs: str) -> str:
    folder.mkdir()
    for name, text in programs.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    for tool in ("dirname", "sh"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return str(folder)


@pytest.mark.skipif(WINDOWS, reason="run.sh is not used on Windows")
def test_no_python_and_too_old_a_python(tmp_path: Path) -> None:
    run_sh = str(ROOT / "run.sh")
    if (ROOT / ".venv").exists():
        shutil.copy2(run_sh, tmp_path / "run.sh")
        run_sh = str(tmp_path / "run.sh")
    none = subprocess.run([run_sh], env={"PATH": _path_with(tmp_path / "a")}, capture_output=True, text=True)
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr.startswith("set-up: no Python was found") and none.stderr.count("\n") == 1
    old_python = _path_with(tmp_path / "b", python3='[ "$1" = -V ] && echo Python 3.8.10; exit 3')
    old = subprocess.run([run_sh], env={"PATH": old_python}, capture_output=True, text=True)
    assert old.returncode == 1
    assert "is too old (Python 3.8.10)" in old.stderr and old.stderr.count("\n") == 1
    wrong = subprocess.run(
        [run_sh], env={"PATH": os.environ["PATH"], "WORKBENCH_PYTHON": "/gone"}, capture_output=True, text=True
    )
    assert wrong.returncode == 1 and wrong.stderr.startswith("set-up: WORKBENCH_PYTHON=/gone is no Python")


def test_the_batch_file_is_ascii_and_its_jumps_lead_somewhere() -> None:
    text = (ROOT / "run.bat").read_bytes().decode("ascii")
    labels = set(re.findall(r"^:(\w+)", text, re.MULTILINE))
    jumps = set(re.findall(r"(?:goto|call) :?(\w+)", text))
    assert jumps == labels
    assert "launch.py" in text
    assert f"=={launch.OTHER_PYTHON} " in text


@pytest.mark.parametrize(
    ("version", "own", "code"),
    [(0x02071200, False, 203), (0x0309FFFF, False, 203), (0x030A00F0, False, 0), (0x030EFFFF, False, 0),
     (0x030F00A1, False, 204), (0x030C00F0, True, 205)],
)
def test_the_batch_file_tells_pythons_apart(version: int, own: bool, code: int, tmp_path: Path) -> None:
    (probe,) = re.findall(r'^%\* -c "(.+)" >nul', (ROOT / "run.bat").read_text(encoding="ascii"), re.MULTILINE)
    venv = sys.prefix if own else str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.hexversion = {version}; {probe}"],
        env={**os.environ, "WB_VENV": venv}, check=False,
    )
    assert done.returncode == code
    assert code == 0 or f"=={code} " in (ROOT / "run.bat").read_text(encoding="ascii")


def test_only_the_standard_library_is_imported() -> None:
    for name in ("launch.py", *(f"core/{name}" for name in CORE)):
        tree = ast.parse((ROOT / "workbench" / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {item.partition(".")[0] for item in names} <= sys.stdlib_module_names | {"__future__"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_requirement_lists_read_as_toml_reads_them_and_are_pinned() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert launch.requirements("dependencies") == project["dependencies"]
    assert launch.requirements("dev") == project["optional-dependencies"]["dev"]
    pins = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    for requirement in launch.requirements("dependencies") + launch.requirements("dev"):
        name = re.split(r"[^\w-]", requirement)[0]
        assert re.search(rf"^{re.escape(name)}==", pins, re.MULTILINE), name
    assert re.fullmatch(r"\d+\.\d+\.\d+", launch.torch_pin())
