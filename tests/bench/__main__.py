"""``python -m tests.bench [GROUP]``: run all groups or one, print their tables, keep them in build/bench/."""

from __future__ import annotations

import importlib
import pkgutil
import signal
import sys
import traceback
from pathlib import Path

from signaling.process import run as run_to_end
from tests import bench
from tests.bench.rows import table, write

KEPT = Path("build/bench")
NOT_GROUPS = {"__main__", "rows"}


def groups() -> list[str]:
    """Names of all groups, in order. A package holds what groups are made of."""
    names = (module.name for module in pkgutil.iter_modules(bench.__path__) if not module.ispkg)
    return sorted(
        name for name in names if name not in NOT_GROUPS and not name.startswith(("test_", "_", "conftest"))
    )


def run(group: str, folder: Path = KEPT) -> None:
    """Measure one group, print its table and write its file."""
    module = importlib.import_module(f"tests.bench.{group}")
    rows = run_to_end(module.rows())  # on the event loop that the server runs on
    print(f"\n{group}\n{table(rows)}\n→ {write(group, rows, folder)}", flush=True)


def main(arguments: list[str]) -> int:
    """Run what was asked for.

    Returns:
        0 when every group was measured, 1 when one failed, 2 when there is no such group.
    """
    known = groups()
    if unknown := [name for name in arguments if name not in known]:
        print(
            f"No bench group {', '.join(unknown)}. There is: {', '.join(known) or 'none yet'}.",
            file=sys.stderr,
        )
        return 2
    if not known:
        print("No bench group yet.")
    failed = 0
    for group in arguments or known:
        try:
            run(group)
        except Exception:  # one group that fails must not hide the figures of the others
            traceback.print_exc()
            failed = 1
    return failed


if __name__ == "__main__":
    # Told to stop is told to clean up: servers and browsers have groups of their own and would live on.
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    raise SystemExit(main(sys.argv[1:]))
