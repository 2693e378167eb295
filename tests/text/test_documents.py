"""Headings of Markdown, reStructuredText, HTML and source code."""

from __future__ import annotations

import pytest

from workbench.text.documents import Document, parse_code, parse_markdown, parse_rst, share, title_path
from workbench.text.html import parse_html


def outline(document: Document) -> list[tuple[tuple[str, ...], str, int]]:
    return [(section.headings, section.text.strip(), section.line) for section in document.sections]


def test_markdown() -> None:
    text = (
        "---\ntitle: \"My notes\"\n---\nintro\n\n# One\n\nfirst\n\n```\n# no heading\n```\n## Two ##\nsecond\n\n"
        "Three\n-----\nthird\n- item\n---\n# Four\n"
    )
    found = parse_markdown(text)
    assert found.title == "My notes"
    assert outline(found) == [
        ((), "intro", 4),
        (("One",), "first\n\n```\n# no heading\n```", 7),
        (("One", "Two"), "second", 14),
        (("One", "Three"), "third\n- item\n---", 18),
    ]


def test_a_single_first_heading_names_the_document() -> None:
    found = parse_markdown("# Guide\nhello\n## Setup\nrun it\n")
    assert found.title == "Guide"
    assert outline(found) == [((), "hello", 2), (("Setup",), "run it", 4)]
    assert parse_markdown("# A\nx\n# B\ny\n").title == ""


def test_nothing_but_headings_is_text() -> None:
    assert outline(parse_markdown("# Alone\n")) == [((), "# Alone", 1)]


def test_rst() -> None:
    text = (
        "=====\nTitle\n=====\n\nintro\n\nFirst\n=====\n\na\n\nSub\n---\n\nb\n\nSecond\n======\n\nc\n\n"
        ".. note::\n\n   x\n"
    )
    found = parse_rst(text)
    assert found.title == "Title"
    assert [(headings, line) for headings, _, line in outline(found)] == [
        ((), 4), (("First",), 9), (("First", "Sub"), 14), (("Second",), 19)
    ]
    assert parse_rst("PEP: 8\nTitle: Style Guide\n\nIntro\n=====\n\nx\n").title == "Style Guide"


def test_code() -> None:
    text = "import os\n\n# about f\n@cached\ndef f():\n    pass\n\nclass A(B):\n    def inner(self): ...\n"
    found = parse_code(text)
    assert outline(found) == [
        ((), "import os", 1), (("f",), "# about f\n@cached\ndef f():\n    pass", 3),
        (("A",), "class A(B):\n    def inner(self): ...", 8),
    ]
    assert "".join(section.text for section in found.sections) == text
    other = parse_code("// x\npub fn go(a: u8) {\n}\nexport default class Thing {\n}\nfunc (r *R) Name() {}\n")
    assert [section.headings for section in other.sections] == [("go",), ("Thing",), ("Name",)]


def test_html() -> None:
    text = (
        "<!doctype html><html><head><title>A &amp; B</title><style>x{}</style></head><body><p>in<b>tro</b></p>\n"
        "<h1>One</h1><p>first\n   line</p><script>no()</script><ul><li>a<li>b</ul>\n<pre>  keep\n  this</pre>"
        "<h2>Two <i>deep</i></h2>second<br>line</body></html>"
    )
    found = parse_html(text)
    assert found.title == "A & B"
    assert outline(found) == [
        ((), "intro", 1), (("One",), "first line\n\n- a\n- b\n\n  keep\n  this", 2),
        (("One", "Two deep"), "second\nline", 5),
    ]


@pytest.mark.parametrize(
    "odd",
    ["<![endif--]>", "<![foo[bar]>", "<![if !IE]>", "<![endif]>", "<![]>", "<![>", "<![CDATA[x > y]]>", "<!endif-->",
     "<!--[if gte mso 9]><xml>never shown</xml><![endif]-->", "<!ELEMENT x>", "<!>", "</>", "<?php echo 1 ?>"],
)
def test_html_with_odd_declarations_keeps_its_text(odd: str) -> None:
    found = parse_html(f"<h1>Top</h1><p>before</p>{odd}<p>after</p>")
    assert [section.headings for section in found.sections] == [("Top",)]
    assert found.sections[0].text.split() == ["before", "after"]


@pytest.mark.parametrize("odd", ["<![", "<![foo", "<![CDATA[x", "<!", "<!--", "<![endif--]"])
def test_html_that_ends_in_a_declaration_keeps_what_was_before(odd: str) -> None:
    assert parse_html(f"<p>before</p>{odd}").sections[0].text.split()[0] == "before"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_hold_all_text_once(count: int) -> None:
    text = "# T\n" + "".join(f"## S{i}\n" + f"word{i} " * 900 + "\n\n" for i in range(9))
    sections = parse_markdown(text).sections
    parts = [part for number in range(count) for part in share(sections, number, count)]
    assert "".join(part.text for part in parts) == "".join(section.text for section in sections)
    lines = text.split("\n")
    for part in parts:
        assert lines[part.line - 1].startswith(part.text.split("\n")[0][:5])


def test_title_paths_stay_short() -> None:
    assert title_path("doc", ["A", "B"]) == "doc › A › B"
    assert title_path("A", ["A", "B"]) == "A › B"
    long = title_path("doc", ["x" * 100, "y" * 100, "last"])
    assert long == "doc › " + "y" * 100 + " › last"
    assert len(title_path("z" * 400, [])) == 160
