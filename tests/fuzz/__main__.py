"""``python -m tests.fuzz [MINUTES] [TARGET …]``: the long run, by default all targets, one after the other.

Each has a process of its own, ``tests.fuzz.one``. What fails is written into ``tests/fuzz/corpus/``, where
every later run of the tests checks it.
"""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.tree import ROOT
from tests.fuzz.targets import TARGETS


def main(words: list[str]) -> int:
    """Fuzz for so many minutes in all. Returns 1 when something failed."""
    minutes = float(words.pop(0)) if words and words[0].replace(".", "", 1).isdigit() else 5.0
    if unknown := set(words) - TARGETS.keys():
        print(f"There is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}.")
        return 2
    names = words or list(TARGETS)
    seconds = 60 * minutes / len(names)
    failed = [
        name
        for name in names
        if subprocess.call([sys.executable, "-m", "tests.fuzz.one", name, str(seconds)], cwd=ROOT)
    ]
    print(f"failed: {', '.join(failed)}" if failed else f"{len(names)} targets: nothing failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
