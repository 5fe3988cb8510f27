"""What people are told when something is not possible: one sentence per code saying what to do next.

A *code* is part of the interface and never changes. Here each has its HTTP status, a short title and its
text; ``problem`` makes the RFC 9457 document of it, and the signaling connection uses the same texts in
``reply``, ``error`` and ``bye``. Nothing here depends on what was sent, so nothing private can be in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker.errors import BadInput, QuietroomError, Refused, StoreUnavailable
from signaling.messages import Problem

CONTENT_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Text:
    """One code as people meet it.

    Attributes:
        status: of the HTTP answer.
        title: the problem in a few words; the same every time (RFC 9457 §3.1.3).
        detail: one or two sentences ending in what to do.
        retry_after: seconds after which trying again makes sense, for ``Retry-After``.
    """

    status: int
    title: str
    detail: str
    retry_after: int | None = None


TEXTS: Final[dict[str, Text]] = {
    # The request itself.
    "bad-message": Text(
        400, "This could not be read", "Reload the page; if it happens again, tell the practice."
    ),
    "bad-window": Text(
        422,
        "These times are not possible",
        "Choose an end after the start, in the future and at most 24 hours later; "
        "write both with an offset, such as 2026-03-01T10:00:00+01:00.",
    ),
    "bad-host": Text(
        422,
        "These clinicians are not possible",
        "Name a therapist's account as the host and another one as co-therapist.",
    ),
    "bad-encryption": Text(
        422,
        "Say how the session is encrypted",
        "Draw a link secret and send the hash of its authenticator; or book “transport-only”, where programs "
        "may publish. Never both.",
    ),
    "bad-authenticator": Text(
        422, "The hash of an authenticator is not one", "It is SHA-256 in hex: 64 digits, lower case."
    ),
    "idempotency-key-needed": Text(
        400,
        "Idempotency-Key is missing",
        "Send an Idempotency-Key of 1 to 128 letters, digits, dashes or underscores, new for each booking.",
    ),
    "idempotency-conflict": Text(
        422,
        "This Idempotency-Key was used for another booking",
        "Send a new key for a new booking, or the same booking for the same key.",
    ),
    "too-large": Text(413, "This is too large", "Send at most 64 KiB."),
    "too-slow": Text(408, "This took too long to arrive", "Check your connection and try again."),
    "unsupported-type": Text(
        415, "This kind of content is not read here", "Send uncompressed JSON as application/json."
    ),
    "not-sdp": Text(
        415,
        "This kind of content is not read here",
        "POST an offer as application/sdp, or PATCH a fragment as application/trickle-ice-sdpfrag.",
    ),
    "bad-sdp": Text(
        422,
        "This offer cannot be taken",
        "Offer at most one audio and one video, sent over one DTLS-SRTP transport (BUNDLE, rtcp-mux), with "
        "their SSRCs announced.",
    ),
    "bad-group-message": Text(
        400, "This key message cannot be used", "Reload the page; if it happens again, tell the practice."
    ),
    "no-common-codec": Text(
        406,
        "There is no common codec",
        "Offer Opus for sound, and VP8 or H.264 (baseline, packetization mode 1) for pictures; others are "
        "not taken.",
    ),
    "if-match-needed": Text(
        428, "If-Match is missing", "Send the ETag of the last answer in If-Match, or * to restart ICE."
    ),
    "if-match-old": Text(
        412, "This was changed meanwhile", "Send the ETag of the last answer, or restart ICE with *."
    ),
    "not-found": Text(404, "There is nothing here", "Check the address, or open your link again."),
    "method-not-allowed": Text(405, "This address does not do that", "See /openapi.json for what it does."),
    # Who may.
    "wrong-origin": Text(
        403,
        "This request came from another site",
        "Open Quietroom at its own address and do it there.",
    ),
    "not-allowed": Text(
        403, "You may not do this", "Sign in with an account that may, or ask your practice."
    ),
    "sign-in-needed": Text(403, "Please sign in", "Your sign-in has ended or was never made. Sign in again."),
    "enter-again": Text(
        403,
        "Please enter again",
        "This page is no longer connected to your seat. Open your link again and type the password.",
    ),
    "cannot-enter": Text(
        403,
        "You cannot enter with this",
        "Check the meeting ID, the seat code, the room code and the password, and that it is no more than 15 "
        "minutes before your visit. After several wrong tries please wait a few minutes. If it still fails, "
        "call your practice.",
    ),
    "cannot-sign-in": Text(
        403,
        "You cannot sign in with this",
        "Check the name and the password. After several wrong tries please wait a few minutes.",
    ),
    "bearer-needed": Text(
        401, "A seat token is needed", "Send the seat's token as Authorization: Bearer, never the password."
    ),
    "wait-for-admission": Text(
        403,
        "Waiting to be let in",
        "The therapist sees that this seat waits. Ask again in a few seconds; nothing is sent before.",
        retry_after=4,
    ),
    "denied-for-now": Text(
        403,
        "The therapist did not let you in",
        "Ask again later, or call your practice.",
        retry_after=60,
    ),
    "agreement-by-link": Text(
        403,
        "The agreement comes first",
        "Open the seat's link in a browser, accept the confidentiality agreement there, then ask again.",
    ),
    "end-to-end-encrypted": Text(
        403,
        "This session is end-to-end encrypted",
        "Programs that publish by WHIP cannot take part in it. Open the seat's link in a browser.",
    ),
    "no-session": Text(
        404, "There is no such session for you", "Check the meeting ID, or look in your list of sessions."
    ),
    "no-seat": Text(404, "There is no such seat in this session", "Check the seat code."),
    "bad-ticket": Text(
        403,
        "This connection's ticket is used or too old",
        "The page gets a new one by itself; else reload it.",
    ),
    # How it stands.
    "not-open": Text(
        409, "This session is not open", "It opens 15 minutes before its start and closes at its end."
    ),
    "full": Text(409, "The room is full", "Somebody must leave before another person can come in."),
    "wrong-state": Text(
        409, "This is no longer possible", "Something changed in the meantime. Look again and decide anew."
    ),
    "agreement-needed": Text(
        409, "The agreement comes first", "Read and accept the confidentiality agreement, then try again."
    ),
    "agreement-outdated": Text(
        409, "There is a newer agreement", "Please read the current version and accept that one."
    ),
    "seat-in-use": Text(
        409,
        "Another device has this seat",
        "Leave on that device first, or wait until it is gone; then ask again.",
        retry_after=10,
    ),
    "clinician-absent": Text(
        409, "No clinician is in the room", "A clinician must come in first; nobody is ever in there alone."
    ),
    "nobody-there": Text(
        409, "Nobody is there to read it", "Send it again when somebody is; nothing is kept for later."
    ),
    "keys-changed": Text(409, "The conversation is being secured anew", "Wait a moment, then send it again."),
    # How much.
    "busy": Text(
        429, "Many people are coming in at this moment", "Wait a few seconds and try again.", retry_after=5
    ),
    "too-fast": Text(429, "That was too much at once", "Wait a few seconds and try again.", retry_after=5),
    # Ours.
    "audit-unavailable": Text(
        503,
        "Nobody can be let in at the moment",
        "The record that every access needs cannot be written, so nothing was changed. Visits in progress go "
        "on. Try again in a moment.",
        retry_after=2,
    ),
    "draining": Text(
        503,
        "This server is being restarted",
        "The page connects again by itself in a few seconds and your place is kept.",
        retry_after=2,
    ),
    "moved": Text(
        503,
        "Your visit goes on elsewhere in this service",
        "The page connects again by itself at once and your place is kept.",
        retry_after=1,
    ),
    "internal": Text(
        500,
        "Something went wrong on our side",
        "Try again. If it happens again, give the practice this reference.",
    ),
    # How a connection ends.
    "opened-elsewhere": Text(
        409,
        "This page was opened again",
        "Your visit goes on in the other tab or window. You can close this one.",
    ),
    "replaced": Text(
        409, "Another device took over", "Your visit goes on there. To come back to this one, open your link."
    ),
    "device-refused": Text(
        403,
        "The other device stays",
        "Your other device kept the seat. Use that one, or leave there first and open your link here.",
    ),
    "removed": Text(
        403, "You were removed from this session", "Call your practice if you think this was a mistake."
    ),
    "left": Text(409, "You left the session", "To come back, open your link again."),
    "ended": Text(410, "This session has ended", "You can close this page."),
    "gone": Text(408, "The connection was lost", "The page connects again by itself and your place is kept."),
}
"""Every code that can reach a person, with its text."""


def text_of(code: str) -> Text:
    """The text of a code; of ``internal`` for one that has none."""
    return TEXTS.get(code) or TEXTS["internal"]


def problem(code: str, detail: str | None = None) -> Problem:
    """The problem document of a code.

    Args:
        code: a key of ``TEXTS``.
        detail: what to say instead of the code's own sentence; never anything private.
    """
    code = code if code in TEXTS else "internal"
    text = TEXTS[code]
    return Problem(f"urn:quietroom:problem:{code}", text.title, text.status, code, detail or text.detail)


def code_of(error: QuietroomError) -> str:
    """Which of our codes an error of the broker is told as."""
    if error.code in TEXTS:
        return error.code
    if isinstance(error, BadInput):
        return "bad-message"
    if isinstance(error, StoreUnavailable):
        return "audit-unavailable"
    if isinstance(error, Refused):
        return "wrong-state"
    return "internal"


def detail_of(error: QuietroomError) -> str | None:
    """What an error says beyond its code's own sentence: only unreadable input does, naming the field."""
    if code_of(error) == "bad-message" and isinstance(error, BadInput):
        return f"{error.text} {TEXTS['bad-message'].detail}" if error.code == "bad-message" else None
    return None
