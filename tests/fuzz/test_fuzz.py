"""The short run: every kept input, and some thousand spoilt ones, against every parser of outside bytes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.fuzz import driver
from tests.fuzz.driver import Hang, run_corpus, run_mutations, watched
from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import CORPUS, TARGETS, Target, pure

SEED = 20_261_122
SECONDS = 2.0
#: Also on a machine busy with other things.
AT_LEAST = 50


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_kept_input_is_taken_or_refused(target: Target) -> None:
    assert run_corpus(target) > 0


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_spoilt_input_is_taken_or_refused(target: Target) -> None:
    run_mutations(target, seed=SEED, seconds=SECONDS, least=AT_LEAST)


def test_the_corpus_stays_small_and_belongs_to_targets() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {target.folder for target in TARGETS.values()}
    assert {path.suffix for path in files} == {".bin"}
    assert sum(path.stat().st_size for path in files) < 300_000


def test_the_same_seed_gives_the_same_inputs() -> None:
    one, same, other = (Mutator([b"abc", b"defg"], [b"x"], seed) for seed in (1, 1, 2))
    inputs = [one.next() for _ in range(50)]
    assert inputs == [same.next() for _ in range(50)]
    assert inputs != [other.next() for _ in range(50)]


def test_a_failure_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(data: bytes) -> None:
        assert len(data) < 4, "a made-up defect"

    monkeypatch.setattr("tests.fuzz.targets.CORPUS", tmp_path)
    target = Target("made-up", pure(check))
    target.folder.mkdir()
    (target.folder / "seed.bin").write_bytes(b"abc")
    with pytest.raises(AssertionError, match="made-up") as caught:
        run_mutations(target, seed=1, seconds=10)
    (kept,) = (path for path in target.folder.iterdir() if path.name != "seed.bin")
    assert kept.name in caught.value.__notes__[0]
    with pytest.raises(AssertionError, match="made-up"):
        run_corpus(target)


def test_an_endless_input_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(data: bytes) -> None:
        for _ in itertools.count():
            try:
                len(data)
            except Exception:
                return

    monkeypatch.setattr(driver, "PATIENCE", 0.02)
    with watched() as run, pytest.raises(Hang):
        run(endless, b"")
