"""The chart of the README: films per second, and CPU time per film by process. Plain SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_WIDTH, _LEFT, _RIGHT, _ROW = 860, 250, 130, 30
_COLOURS = ("#2f6f9f", "#8fbcd4", "#d9d9d9")
_SHARES = ("the pipeline", "PostgreSQL", "Elasticsearch")

Row = tuple[str, tuple[float, ...], str]
"""Label, lengths of the bar's pieces, text behind it."""


def write(results: dict[str, Any], path: Path) -> None:
    """Draw the peers beside this project where they were measured, else the first load alone."""
    with_bars = [result for result in results.values() if result["bars"]]
    if not with_bars:
        return
    chosen = with_bars[-1]  # peers come last, and the largest catalogue
    bars = [(label, rate, tuple(cpu)) for label, rate, *cpu in chosen["bars"]]
    rates: list[Row] = [(label, (rate,), f"{rate:,.0f}") for label, rate, _ in bars]
    cpus: list[Row] = [
        (label, cpu, f"{cpu[0] + cpu[1]:,.0f} + {cpu[2]:,.0f}") for label, _, cpu in bars
    ]
    below = 70 + _ROW * len(bars)
    height = below + 90 + _ROW * len(bars)
    style = 'font-family="sans-serif" font-size="14" fill="#222"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {style}>',
        f"<title>{escape(chosen['title'])}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *_panel(f"{chosen['title']}: films per second", rates, top=30),
        *_panel("CPU time per film, µs", cpus, top=below + 20),
        *_legend(top=height - 20),
        "</svg>",
    ]
    path.write_text("\n".join(lines) + "\n")


def _panel(title: str, rows: Sequence[Row], top: int) -> Iterator[str]:
    yield f'<text x="20" y="{top}" font-weight="bold">{escape(title)}</text>'
    longest = max(sum(pieces) for _, pieces, _ in rows)
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    for place, (label, pieces, text) in enumerate(rows):
        y = top + 16 + place * _ROW
        yield f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(label)}</text>'
        x = float(_LEFT)
        for piece, colour in zip(pieces, _COLOURS, strict=False):
            width = piece * scale
            yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{colour}"/>'
            x += width
        yield f'<text x="{x + 8:.1f}" y="{y + 15}">{escape(text)}</text>'


def _legend(top: int) -> Iterator[str]:
    x = _LEFT
    for name, colour in zip(_SHARES, _COLOURS, strict=True):
        yield f'<rect x="{x}" y="{top - 11}" width="14" height="14" fill="{colour}"/>'
        yield f'<text x="{x + 20}" y="{top}">{escape(name)}</text>'
        x += 140
