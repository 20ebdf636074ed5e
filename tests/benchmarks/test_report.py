from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks import report
from benchmarks.figures import Figure, Part


def _part(title: str, ratio: float) -> Part:
    return Part(
        title=title,
        rows=[("films/s", Figure.of([1.0, 3.0, 2.0]).text(1))],
        summary={"ratio": ratio},
        bars=[("raw & ready", 9000.0, 2.0, 0.0, 180.0), ("movies_sync", 7000.0, 20.0, 25.0, 185.0)],
    )


def test_a_figure_is_told_with_its_spread() -> None:
    assert Figure.of([1.0, 3.0, 2.0]).text(1) == "2.0 (1.0 - 3.0)"
    assert Figure.of([1234.5]).text() == "1,234"


def test_a_part_that_is_measured_again_replaces_its_section(tmp_path: Path) -> None:
    report.write("load", _part("First load of 100 films", 0.5), 100, tmp_path)
    report.write("load", _part("First load of 1,000 films", 0.6), 1_000, tmp_path)
    page = report.write("load", _part("First load of 100 films, again", 0.8), 100, tmp_path)

    text = page.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## First load of 100 films, again",
        "## First load of 1,000 films",
    ]
    assert "| films/s | 2.0 (1.0 - 3.0) |" in text
    assert "The ratio to the ceiling at 1,000 films is 0.75 of that at 100." in text


def test_the_chart_is_drawn_from_the_largest_load(tmp_path: Path) -> None:
    report.write("load", _part("First load of 100 films", 0.5), 100, tmp_path)
    root = ET.parse(tmp_path / "chart.svg").getroot()  # noqa: S314
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert "raw & ready" in texts
    assert "7,000" in texts
    bars = [float(bar.get("width", "0")) for bar in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert any(abs(one / other - 9 / 7) < 0.01 for one in bars for other in bars if other)


def test_a_table_has_columns() -> None:
    lines = report.table(_part("Title", 1.0)).splitlines()
    assert lines[0] == "Title"
    assert lines[2].index("2.0") == lines[1].index("median")
