"""``python -m tests.fuzz.one TARGET SECONDS``: one target for so long.

With atheris inputs are guided by coverage, and those that reach new code go to ``build/fuzz/``, to begin from
next time. Without it they are the mutations of the short run under a new seed, and the run says so.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time

from tests.architecture.tree import ROOT

#: Beyond this the process is taken to leak; a target needs some 100 MB.
LARGEST_MB = 1_024


def unguided(name: str, seconds: float) -> None:
    """Seeded mutations of the corpus."""
    from tests.fuzz.driver import run_mutations
    from tests.fuzz.targets import TARGETS

    seed = time.time_ns()
    print(f"{name}: mutations without coverage (atheris is not installed), seed {seed}", flush=True)
    done = run_mutations(TARGETS[name], seed=seed, seconds=seconds)
    print(f"{name}: {done} inputs", flush=True)


def guided(name: str, seconds: float) -> None:
    """Inputs that atheris makes of the corpus, by what they reach in our packages; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["rooms", "signaling", "broker", "aioice"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.driver import Hang, keep, watched

    target, reached = TARGETS[name], ROOT / "build" / "fuzz" / name
    reached.mkdir(parents=True, exist_ok=True)
    tokens = reached.parent / f"{name}.dict"
    tokens.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens), encoding="ascii")
    print(f"{name}: guided by coverage", flush=True)
    options = [
        f"-max_total_time={max(1, int(seconds))}",
        *([f"-dict={tokens}"] if target.tokens else []),
        f"-rss_limit_mb={LARGEST_MB}",
        "-max_len=16384",
        "-verbosity=0",
        "-print_final_stats=1",
        f"-artifact_prefix={reached.parent}{os.sep}",
    ]
    with target.begin() as check, watched() as run:

        def one_input(data: bytes) -> None:
            try:
                run(check, data)
            except (Exception, Hang) as error:
                print(f"{name}: {error!r}, kept as {keep(target, data)}", flush=True)
                raise

        atheris.Setup([sys.argv[0], *options, str(reached), str(target.folder)], one_input)
        atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{octet:02X}" for octet in token)


if __name__ == "__main__":
    fuzz = unguided if importlib.util.find_spec("atheris") is None else guided
    fuzz(sys.argv[1], float(sys.argv[2]))
