"""Running targets: one input at a time, under a clock, and what fails is kept.

    corpus ──▶ as it is ──▶ spoilt, seeded ──▶ check ──raises, or takes too long──▶ a new file in the corpus

The short run, in CI, is the whole corpus and some seeded mutations. The long one, ``make fuzz``, is guided by
coverage where atheris is installed (it has wheels for x86-64) and goes on with the same mutations where not.
"""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import Target

#: Seconds of this process's own computing that one input may cost.
PATIENCE = 0.1


class Hang(BaseException):
    """One input cost more than its time. No parser's ``except Exception`` can swallow it."""


def _too_long(number: int, frame: FrameType | None) -> None:
    raise Hang(f"one input took more than {PATIENCE:g} s")


@contextmanager
def watched() -> Iterator[Callable[[Callable[[bytes], None], bytes], None]]:
    """Gives a way to run one check on one input, interrupted when it computes for too long.

    Time spent waiting for a processor that others have does not count.
    """
    former = signal.signal(signal.SIGVTALRM, _too_long)

    def run(check: Callable[[bytes], None], data: bytes) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
        try:
            check(data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    try:
        yield run
    finally:
        signal.signal(signal.SIGVTALRM, former)


def keep(target: Target, data: bytes) -> str:
    """Write an input that failed into the corpus; returns the file's name."""
    target.folder.mkdir(parents=True, exist_ok=True)
    name = f"found-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    (target.folder / name).write_bytes(data)
    return name


def run_corpus(target: Target) -> int:
    """Check every kept input; returns how many there are."""
    corpus = target.corpus()
    with target.begin() as check, watched() as run:
        for data in corpus:
            run(check, data)
    return len(corpus)


def run_mutations(target: Target, *, seed: int, seconds: float, least: int = 0) -> int:
    """Check spoilt inputs until the time is over; the first that fails is kept, and the failure goes on.

    Args:
        seconds: of wall time.
        least: inputs to check even if that takes longer.

    Returns:
        How many were checked.
    """
    mutator, until, done = Mutator(target.corpus(), target.tokens, seed), time.monotonic() + seconds, 0
    with target.begin() as check, watched() as run:
        while done < least or time.monotonic() < until:
            data = mutator.next()
            try:
                run(check, data)
            except (Exception, Hang) as error:
                error.add_note(f"kept as {target.folder.name}/{keep(target, data)}")
                raise
            done += 1
    return done
