"""The project's own files, as the architecture tests read them: standard library only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("signaling", "rooms", "broker")  # highest first: each may import those after it

# What is made, not written; .gitignore names whole folders only.
_MADE = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split() if line.endswith("/")} | {
    ".git"
}


def written_files(root: Path = ROOT) -> Iterator[Path]:
    """Every file that belongs to the project, committed or about to be."""
    for path in sorted(root.iterdir()):
        if path.name in _MADE or any(path.match(pattern) for pattern in _MADE):
            continue
        if path.is_dir():
            yield from written_files(path)
        else:
            yield path


def modules(package: str) -> dict[str, Path]:
    """Modules of one package by dotted name, e.g. ``broker.seats``; its map, ``__init__``, is not one."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    }


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a module's text imports, at any depth.

    ``from broker import seats`` yields ``broker.seats``: what follows ``import`` may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
