"""The frame of an HTML page: one file, no script, no network, light and dark, printable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

CSS = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2430;--soft:#5c6675;--line:#d9dee6;--card:#f5f7fa;
--good:#1a7f4b;--bad:#b3261e;--c1:#2563c9;--c2:#c2570c;--c3:#0f8a6d;--c4:#8b3fc0;--c5:#8a6d00;--c6:#b3266a;
--busy:#2563c9;--in:#c9d3e3;--out:#e0a458}
@media screen and (prefers-color-scheme:dark){:root{
--paper:#14181f;--ink:#e4e8ee;--soft:#9aa5b4;--line:#323a46;--card:#1c222b;
--good:#4cc38a;--bad:#ff8a80;--c1:#6ea8ff;--c2:#ff9f5a;--c3:#4fd1b0;--c4:#c792ff;--c5:#e0c14a;--c6:#ff86b8;
--busy:#6ea8ff;--in:#3a4556;--out:#b9823d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2rem 0 .6rem}h3{font-size:.95rem;margin:.2rem 0}
p{margin:.4rem 0}.soft,figcaption{color:var(--soft)}
.verdict{background:var(--card);border-left:.4rem solid var(--c2);padding:.9rem 1.1rem;border-radius:.4rem;
margin:1rem 0}
.verdict.good{border-color:var(--good)}.verdict.failed{border-color:var(--bad)}
.verdict strong{font-size:1.15rem}.verdict ul{margin:.5rem 0 .5rem 1.1rem;padding:0}
.do{font-weight:600}code{font:.92em ui-monospace,Consolas,Menlo,monospace;overflow-wrap:anywhere}
.pipe{display:flex;flex-wrap:wrap;gap:.4rem;align-items:stretch}
.stage{flex:1 1 11rem;background:var(--card);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .7rem}
.stage.binds{border:2px solid var(--c2)}.ring{flex:0 1 7rem}.arrow{align-self:center;color:var(--soft)}
.bar{display:flex;height:.85rem;border-radius:.2rem;overflow:hidden;background:var(--line);margin:.3rem 0}
.bar span{display:block}.busy{background:var(--busy)}.in{background:var(--in)}.out{background:var(--out)}
.swatch{display:inline-block;width:.75rem;height:.75rem;border-radius:.15rem;
margin:0 .3rem 0 .8rem;vertical-align:-.05rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:.4rem;padding:.6rem}figure svg{width:100%;height:auto}
figure svg .series .reactive{stroke-width:2.5!important;stroke-opacity:1!important}figcaption>span{white-space:nowrap}
td.bars{width:60%}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}tr.changed td{font-weight:600}
details{margin:.6rem 0}summary{cursor:pointer;font-weight:600}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--card:#f4f4f4}
body{max-width:none;padding:0}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
figure,.verdict,tr,.stage{break-inside:avoid}}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page; `parts` are HTML already."""
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0, marks: Sequence[bool] = ()) -> str:
    """Rows of plain text; the last `numbers` columns are figures. `marks` sets rows off that differ."""
    first = len(header) - numbers

    def cells(row: Sequence[str], tag: str) -> str:
        kinds = [' class="n"' if i >= first else "" for i in range(len(row))]
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(row, kinds, strict=True))

    lines = [
        f'<tr{" class=changed" if i < len(marks) and marks[i] else ""}>{cells(row, "td")}</tr>'
        for i, row in enumerate(rows)
    ]
    return f'<div class="wide"><table><tr>{cells(header, "th")}</tr>{"".join(lines)}</table></div>'


def bars(items: Sequence[tuple[str, float, str]], width_of: float | None = None) -> str:
    """Horizontal bars: (name, value, figure in words)."""
    most = width_of or max((value for _, value, _ in items), default=1.0) or 1.0
    rows = [
        f'<tr><td style="width:22%">{escape(name)}</td><td class="bars"><div class="bar"><span class="busy" '
        f'style="width:{100 * min(1.0, value / most):.1f}%"></span></div></td><td class="n">{escape(figure)}</td></tr>'
        for name, value, figure in items
    ]
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """One bar made of shares (0–1), by CSS class."""
    spans = "".join(f'<span class="{kind}" style="width:{100 * share:.1f}%"></span>' for kind, share in parts)
    return f'<div class="bar">{spans}</div>'


def section(title: str, *parts: str) -> str:
    """A heading and what belongs under it; nothing when there is nothing."""
    inner = "\n".join(part for part in parts if part)
    return f"<h2>{escape(title)}</h2>\n{inner}" if inner else ""
