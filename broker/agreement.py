"""The confidentiality agreement that every patient accepts before they may be admitted.

Plain language, versioned by its own words: the version is the date of the text and the beginning of its
SHA-256, so no word can change under an acceptance that was recorded before. Changing the text below makes
a new version, and every seat is asked again. An acceptance (version, seat, store time) is in the audit
stream; admission checks it inside the same script that lets the person in.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version of the agreement.

    Attributes:
        dated: the day on which this text was written, ``YYYY-MM-DD``.
        title: its heading.
        paragraphs: its clauses, in order, as plain text.
    """

    dated: str
    title: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole text, as it is hashed: title and paragraphs with an empty line between."""
        return "\n\n".join((self.title, *self.paragraphs))

    @property
    def version(self) -> str:
        """The date and the first 12 hexadecimal digits of the SHA-256 of the text (UTF-8)."""
        return f"{self.dated}-{sha256(self.text.encode()).hexdigest()[:12]}"


CURRENT: Final = Agreement(
    dated="2026-11-21",
    title="Before we begin: keeping this visit confidential",
    paragraphs=(
        "This visit is private. What is said in it belongs to the people in it. By accepting you agree to "
        "the following, for this visit and for the time after it.",
        "I will not record the visit: no sound, no picture, no transcript, with no device and no software.",
        "I will not take screenshots or photographs of the screen, and I will not share any that others "
        "took.",
        "I will not disclose to anyone what my partner, or another person in the visit, reveals about "
        "themselves. What they tell in here is theirs to tell.",
        "I will be in a place where others cannot overhear us, as far as I can. I will say who is in the "
        "room with me, also when somebody comes in later, and whether I can talk freely.",
        "The practice does the same: staff do not record the visit, and nobody is in it whom you cannot "
        "see among the people present. The practice keeps a record of who joined, who let them in, when "
        "they left and why, without names and without anything that was said.",
        "An honest limit: we cannot see what other software, or a second device, does. A person who means "
        "to record cannot be stopped by technology alone. That is why we ask for your word.",
        "If you think that this agreement was broken, tell your therapist or the practice. You may leave "
        "the visit at any time.",
    ),
)
"""The version in force."""
