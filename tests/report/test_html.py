"""The report: one file that needs nothing else, verdict first, failure before it."""

import re
from html.parser import HTMLParser

import pytest

from tests.diagnose.scripted import World
from tests.report.recorded import record
from workbench.core.errors import UsageError
from workbench.report.ceilings import keep_ceilings
from workbench.report.html import report, write_report
from workbench.report.page import CSS
from workbench.telemetry.fake_nvml import card
from workbench.telemetry.runs import runs_of

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that tags close in order; collects text, tags and what would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.fetched = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v and not v.startswith("#")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_a_report_is_whole_and_fetches_nothing(tmp_path):
    text = report(record(tmp_path / "c" / "runs" / "r1"))
    page = Page(text)
    assert page.fetched == [] and "script" not in page.tags and "@import" not in text and "url(" not in text
    assert page.tags.count("svg") == 4  # throughput, rings, CPU, memory
    for heading in ("Pipeline", "Time lines", "Stages", "Ceilings", "Settings", "Environment", "How these figures"):
        assert heading in page.text
    for source in ("Denning", "Plumber", "roofline", "NVML"):
        assert source in page.text
    assert "prefers-color-scheme:dark" in text and "@media print" in text
    assert page.text.index("Too few workers") < page.text.index("Pipeline")
    assert "--set pipeline.workers=2" in page.text and "Predicted" in page.text


def test_cards_are_drawn_and_unknown_readings_are_not_zero(tmp_path):
    world = World(gpu=card(name="RTX <1>", utilisation=99.0, power=150.0, power_limit=200.0))
    page = Page(report(record(tmp_path / "r", world)))
    assert "RTX <1>: power" in page.text and "RTX <1>: memory" not in page.text and "SM clock" not in page.text
    assert "kernels running 99 % of the time, MFU n/a" in page.text


@pytest.mark.parametrize(("result", "first"), [
    ("failed", "This run failed: the disk <is> full"), ("stopped", "stopped by the user"), (None, "did not finish"),
])
def test_a_run_that_did_not_end_well_says_so_first(tmp_path, result, first):
    page = Page(report(record(tmp_path / "r", result=result)))
    assert first in page.text
    assert page.text.index(first) < page.text.index("Too few workers")
    assert ("10 chunks, 1,000 tokens" in page.text) == (result == "stopped") and "0 chunks, 0 tokens" not in page.text


def test_a_recording_that_hardly_began_still_makes_a_page(tmp_path):
    folder = record(tmp_path / "r", result=None, seconds=0.5)
    page = Page(report(folder))
    assert "did not finish" in page.text and "Not enough evidence" in page.text


def test_names_from_outside_cannot_break_the_page(tmp_path):
    folder = record(tmp_path / "r", title="<script>alert(1)</script>", notes=("a & b <i>",))
    page = Page(report(folder))
    assert "script" not in page.tags and "<script>alert(1)</script>" in page.text and "a & b <i>" in page.text


def test_written_where_asked_and_no_recording_is_an_error(tmp_path):
    folder = record(tmp_path / "r")
    assert write_report(folder) == folder / "report.html"
    other = write_report(folder, tmp_path / "é.html")
    assert re.match("<!DOCTYPE html>", other.read_text(encoding="utf-8"))
    with pytest.raises(UsageError):
        write_report(tmp_path)


def test_ceilings_kept_for_a_collection_are_drawn(tmp_path):
    folder = record(tmp_path / "c" / "runs" / "r1")
    stages = [{"name": "workers", "tokens_per_second": 9e5}, {"name": "encoder", "tokens_per_second": 4e5}]
    keep_ceilings(tmp_path / "c", {"stages": stages, "efficiency": 0.97})
    text = Page(report(folder)).text
    assert "900 k tokens/s" in text and "lowest bound): 97 %" in text
    assert runs_of(tmp_path / "c") == [folder]


def blocks(condition):
    """Custom properties set inside the media rules of the page whose condition matches: name → value."""
    found = {}
    for media, inner in re.findall(r"@media([^{]*)\{((?:[^{}]*\{[^{}]*\})*)\s*\}", CSS):
        if re.search(condition, media):
            found.update(re.findall(r"(--[a-z0-9]+):([^;}]+)", inner))
    return found


def test_on_paper_colours_are_light_bars_are_there_and_nothing_is_folded_away(tmp_path):
    dark = blocks("dark")
    assert len(dark) >= 15 and blocks(r"^\s*screen and .*dark") == dark  # paper has the light ones of :root
    assert not {name: value for name, value in blocks("print").items() if dark.get(name) == value}
    assert re.search(r"@media print\{.*print-color-adjust:exact", CSS, re.DOTALL)  # bars are backgrounds
    text = report(record(tmp_path / "r"))
    assert text.count("<details open>") == text.count("<details") > 3
