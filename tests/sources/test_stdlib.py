"""The embedded default on the Python that runs the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.helpers import read_all, spec
from workbench.core.errors import UsageError
from workbench.sources.registry import open_source
from workbench.sources.stdlib_docs import DocReader
from workbench.sources.stdlib_modules import Modules

PUBLIC = [
    "json.loads", "os.path.join", "os.path.exists", "os.path.splitext", "os.stat", "os.walk",
    "collections.deque.append", "tarfile.open",
    "collections.Counter.most_common", "unittest.TestCase.assertEqual", "asyncio.gather", "gzip", "gzip.open",
    "zlib.compress", "bz2", "lzma", "shutil.make_archive", "math.gcd", "itertools.permutations", "str.split", "len",
    "heapq.nlargest", "bisect.insort", "concurrent.futures.ThreadPoolExecutor", "io.BytesIO", "random.shuffle",
    "collections.abc.Mapping", "struct.pack", "time.perf_counter", "sqlite3.connect", "threading.Lock",
    "decimal.Decimal.sqrt", "datetime.date.weekday", "functools.lru_cache", "csv.Sniffer",
]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    chunks, rejects = read_all(spec(tmp_path_factory.mktemp("stdlib"), tokens=256))
    assert not rejects
    return chunks


def test_enough_and_under_public_names(everything: list[dict[str, str]]) -> None:
    assert len(everything) >= 6000
    ids = [chunk["chunk_id"] for chunk in everything]
    assert len(set(ids)) == len(ids)
    titles = {chunk["title"] for chunk in everything}
    assert [name for name in PUBLIC if name not in titles] == []
    assert not [t for t in titles if any(part.startswith("_") for part in t.split("."))]
    assert not [t for t in titles if t.split(".")[0] in ("this", "antigravity", "test", "idlelib", "posix", "nt")]


def test_text_is_signature_and_docstring(everything: list[dict[str, str]]) -> None:
    found = {chunk["chunk_id"]: chunk for chunk in everything}
    assert found["gzip.open#1" if "gzip.open" not in found else "gzip.open"]["text"].startswith("open(filename, mode=")
    assert found["collections.Counter.most_common"]["place"].startswith("collections/__init__.py:")
    assert found["math.gcd"]["place"] == "built-in"
    assert found["math.gcd"]["text"].startswith("gcd(")


def test_long_docstrings_are_cut(everything: list[dict[str, str]]) -> None:
    parts = [chunk for chunk in everything if chunk["doc_id"] == "argparse"]
    assert [part["chunk_id"] for part in parts] == [f"argparse#{i}" for i in range(1, len(parts) + 1)]
    assert len(parts) > 1


def test_limit_counts_documents(tmp_path: Path) -> None:
    chunks, _ = read_all(spec(tmp_path, limit=40, tokens=256))
    assert len({chunk["doc_id"] for chunk in chunks}) == 40


def test_plan_is_repeatable_and_has_units_for_all_workers(tmp_path: Path) -> None:
    wanted = spec(tmp_path)
    plan = open_source(wanted).plan()
    assert plan == open_source(wanted).plan()
    assert len(plan.units) >= 64
    assert plan.title == f"Python {sys.version_info.major}.{sys.version_info.minor} standard library"


def test_reading_imports_no_python_module_of_the_library() -> None:
    code = (
        "import sys, json, runpy\n"
        "from workbench.sources.stdlib_docs import DocReader\nfrom workbench.sources.stdlib_modules import Modules\n"
        "m = Modules(); before = set(sys.modules); r = DocReader(m)\n"
        "n = sum(len(r.read(top)) for top in m.top())\n"
        "print(json.dumps([n, sorted(k for k in set(sys.modules) - before)]))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert ran.stderr == ""
    count, imported = json.loads(ran.stdout)
    assert count > 6000
    assert not {"this", "antigravity", "asyncio", "tkinter", "turtle", "readline"} & set(imported)
    assert not [name for name in imported if name.startswith(("test", "idlelib", "lib2to3", "_test"))]


def test_a_python_without_source_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without the source of its standard library"):
        Modules(tmp_path)


def test_a_library_of_our_own(tmp_path: Path) -> None:
    """Every way a public name comes about, on files written here."""
    files = {
        "os.py": "",
        "json/__init__.py": (
            '"""Package."""\nfrom .decoder import JSONDecoder\nfrom ._private import hidden as shown\n'
            "from .sub import *\n__all__ = ['JSONDecoder', 'shown', 'Lazy', 'again']\n"
            'def again():\n    "Again."\n'
        ),
        "json/decoder.py": (
            'class JSONDecoder:\n    "Decodes."\n    def decode(self, s): "One."\n    def _no(self): "x"\n'
        ),
        "json/_private.py": 'def hidden(a, *, b=1):\n    "Shown under another name."\n',
        "json/sub.py": 'class Lazy(dict):\n    def __init__(self, size=3): "Sized."\ndef _x(): "x"\n',
        "json/broken.py": "def (:\n",
        "json/lent.py": "import sys\nimport _lender\nsys.modules[__name__] = _lender\n",
        "_lender.py": 'def lend(): "Lent."\ndef said(): ...\nimport helper\nsaid.__doc__ = helper.f.__doc__\n',
        "helper.py": 'def f(): "Said."\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    reader = DocReader(Modules(tmp_path))
    found = {doc.name: doc for doc in reader.read("json")}
    assert set(found) == {
        "json", "json.JSONDecoder", "json.JSONDecoder.decode", "json.shown", "json.Lazy", "json.again",
        "json.lent.lend", "json.lent.said",
    }
    assert found["json.shown"].text == "shown(a, *, b=1)\n\nShown under another name."
    assert found["json.Lazy"].text == "class Lazy(size=3)\n\nSized."
    assert found["json.JSONDecoder.decode"].text == "decode(s)\n\nOne."
    assert found["json.JSONDecoder"].place == "json/decoder.py"
    assert [place for place, _ in reader.unreadable] == ["json/broken.py"]
