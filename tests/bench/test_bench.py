"""The bench's own arithmetic and files; what it measures is run by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.bench import __main__ as bench
from tests.bench.e2ee import page_gz, size_gz
from tests.bench.rows import Row, table, write


def test_a_row_is_the_median_and_its_ratio_to_the_peer() -> None:
    assert Row.of("a_ms", "ms", [9, 1, 2]) == Row("a_ms", 2, "ms", 3)
    assert Row.of("a_ms", "ms", [1, 3], peer=[4]) == Row("a_ms", 2, "ms", 2, 4, 0.5)


def test_no_sample_is_no_row() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Row.of("a_ms", "ms", [])


def test_the_file_holds_what_readers_expect(tmp_path: Path) -> None:
    path = write("visit", [Row("a_ms", 2.0, "ms", 3)], tmp_path / "bench")
    assert json.loads(path.read_text()) == {
        "rows": [
            {"name": "a_ms", "median": 2.0, "unit": "ms", "runs": 3, "peer": None, "ratio": None, "note": ""}
        ]
    }


def test_the_table_lines_up() -> None:
    assert table(
        [Row("a_ms", 2.0, "ms", 3), Row("events_per_s", 15000, "1/s", 5, 7500, 2.0, "in one run")]
    ).splitlines() == [
        "name          median  unit  runs   peer  ratio",
        "a_ms               2  ms       3      –      –",
        "events_per_s  15,000  1/s      5  7,500      2  in one run",
    ]


def test_an_unknown_group_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["nothing"]) == 2
    assert "No bench group nothing" in capsys.readouterr().err


def test_what_groups_are_made_of_is_no_group() -> None:
    assert "visit" in bench.groups()
    assert not {"parts", "rows", "test_bench", "__main__"} & set(bench.groups())


def test_a_failing_group_does_not_hide_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def good() -> list[Row]:
        return [Row("a_ms", 2.0, "ms", 3)]

    async def bad() -> list[Row]:
        raise RuntimeError("the store went away")

    for name, rows in (("first", bad), ("second", good)):
        module = ModuleType(f"tests.bench.{name}")
        module.__dict__["rows"] = rows
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(bench, "groups", lambda: ["first", "second"])
    monkeypatch.chdir(tmp_path)
    assert bench.main([]) == 1
    assert (tmp_path / "build/bench/second.json").exists()
    printed = capsys.readouterr()
    assert "a_ms" in printed.out
    assert "the store went away" in printed.err


def test_the_size_of_a_page_counts_each_module_that_it_loads_once(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "vendor").mkdir()
    alone = "export const a = 1;\n"
    (tmp_path / "js" / "b.js").write_text(
        'import { a } from "./a.js";\nimport * as c from "../vendor/c.js";\n'
    )
    (tmp_path / "js" / "a.js").write_text('import {\n  c,\n} from "../vendor/c.js";\n')
    (tmp_path / "vendor" / "c.js").write_text(alone)
    both = size_gz(tmp_path, "js/a.js", "js/b.js")
    assert both == size_gz(tmp_path, "js/b.js")
    assert both > size_gz(tmp_path, "js/a.js") > size_gz(tmp_path, "vendor/c.js") > 0


def test_the_size_of_a_page_is_that_of_what_is_sent(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    for name, comment in (("a", ""), ("b", "// The same with a comment that is not sent.")):
        (tmp_path / "js" / f"{name}.js").write_text(f"{comment}\nexport const a = 1;\n")
    assert size_gz(tmp_path, "js/a.js") == size_gz(tmp_path, "js/b.js")


def test_the_size_of_a_whole_page_counts_all_that_is_loaded_for_it(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "a.js").write_text('import "./b.js";\n')
    (tmp_path / "js" / "b.js").write_text("export {};\n")
    page = tmp_path / "a.html"
    page.write_text('<script type="module" src="/static/js/a.js"></script>\n')
    modules = page_gz(tmp_path, "a.html")
    assert modules > size_gz(tmp_path, "js/a.js") > 0
    (tmp_path / "style.css").write_text("\n".join(f".a{number} {{}}" for number in range(1000)))
    page.write_text('<link href="/static/style.css" />\n' + page.read_text())
    assert page_gz(tmp_path, "a.html") > modules + 1
