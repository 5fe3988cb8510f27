"""Whether somebody hears us: questions go down to them all the time, and what comes back of them tells.

    hears ──nothing answered for 1.5 s, or two thirds lost of 3 s──▶ deaf
      ▲                                                                │
      └─────── three quarters of 1.5 s answered again, all anew ◀──────┘

What comes *from* a clinician says nothing of what reaches them, and partners must not go on talking before
one who hears nothing (decision 3). Receiver reports would tell, but browsers send those on sound every two to
seven seconds, and none while nobody talks. So the server asks: a STUN binding request over the very path that
media takes, which every ICE agent answers at once.

Only the way down counts here: what the way up loses of the answers is known, and taken off, and one that
holds them back for a while makes nobody deaf as long as they keep coming.

Pure: random ids and ``now`` come in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

EVERY: Final = 0.125
"""Seconds between two questions: often enough that a quarter lost is never taken for most of it by chance."""
PATIENCE: Final = 1.5
"""Seconds for which questions may stay unanswered; with the look four times a second, within 2 s."""
WINDOW: Final = 24
"""Questions, three seconds of them, of which the fraction lost is taken: one burst is no judgement."""
ENOUGH: Final = 1 / 3
"""Fraction of these that must be answered: sound of which more than half is lost is not followed."""
LAST: Final = 12
"""Questions, one and a half seconds of them, that tell whether one who was deaf hears again."""
BACK: Final = 3 / 4
"""Fraction of those that must be answered: at the worst loss above a rare chance, at 85 % none."""
LATEST: Final = 3.5
"""Seconds after which an answer says nothing of the present: who is later can take no part in a talk."""
FRESH: Final = 0.6
"""Seconds since the last answer up to which we know better than a page that has lost its connection."""
_MOST_LOST: Final = 0.5  # of the answers; a way up that loses more leaves nothing to count by
_KEPT: Final = WINDOW + int(LATEST / EVERY)


@dataclass(slots=True)
class _Question:
    id: bytes
    asked_at: float
    answered: bool = False


class Hearing:
    """What is known of one seat's way down."""

    def __init__(self) -> None:
        self._deaf = False
        self._questions: deque[_Question] = deque(maxlen=_KEPT)
        self._answered_at = float("-inf")

    def ask(self, transaction: bytes, now: float) -> None:
        """Note a question that goes out now; to be called all the time, also where none can be sent.

        Args:
            transaction: its id, which nobody can guess.
        """
        self._questions.append(_Question(transaction, now))

    def answer(self, transaction: bytes, now: float) -> bool:
        """Take in an answer whose integrity was verified. Returns whether it was waited for."""
        for question in self._questions:
            if question.id == transaction and not question.answered and now - question.asked_at <= LATEST:
                question.answered, self._answered_at = True, now
                return True
        return False

    def doubt(self, now: float) -> None:
        """Their page says that its connection is lost: it does not hear, unless we know better."""
        if not self._deaf and now - self._answered_at > FRESH:
            self._lose()

    def look(self, now: float, *, loss: float = 0.0) -> bool:
        """Judge anew.

        Args:
            loss: fraction that the way up loses.

        Returns:
            Whether the seat hears.
        """
        arrives = 1 - min(loss, _MOST_LOST)
        questions = list(self._questions)
        newest = max((n for n, question in enumerate(questions, 1) if question.answered), default=0)
        known, waiting = questions[:newest], questions[newest:]
        # From a question on, not from an answer: while we stood still we did not ask.
        since = max(self._answered_at, waiting[0].asked_at) if waiting else now
        silent = now - since > PATIENCE
        if self._deaf:
            back = sum(question.answered for question in known[-LAST:]) >= BACK * arrives * LAST
            self._deaf = silent or not back
            return not self._deaf
        heard = sum(question.answered for question in known[-WINDOW:])
        if silent or (len(known) >= WINDOW and heard <= ENOUGH * arrives * WINDOW):
            self._lose()
        return not self._deaf

    def _lose(self) -> None:
        """From here only what is asked from now on counts."""
        self._deaf = True
        self._questions.clear()
