"""``quietroom demo``: the real server with a practice to try out, and a page of text that says what to do.

Nothing here is a mode of the server: it is started as ``quietroom serve`` starts it, then two staff accounts
are added and a visit is booked through the same services that everybody uses. What the page of text needs
again is kept in ``demo.json``: the staff passwords, and the Idempotency-Key of the booking, under which the
store gives the same meeting ID, password and links again for as long as the visit lasts.
"""

from __future__ import annotations

import os
import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from broker.booking import BookedSession
from broker.errors import QuietroomError, Refused
from broker.identity import Staff
from broker.link_secret import draw_link_secret, link_auth_of
from broker.policy import Role
from broker.private import Private
from broker.seats import SessionKind
from signaling import app, logs, process
from signaling.messages import Booked
from signaling.practice import Practice, new_staff_password
from signaling.settings import read_settings, remember
from signaling.staff_api import booked_answer

PORT: Final = 8080
LASTS_MS: Final = 12 * 3600 * 1000
_BY: Final = "demo"
_TRIES: Final = 9


class _Account(msgspec.Struct):
    """A staff account of the demo; ``made`` once the store has it."""

    name: str
    password: str
    made: bool = False


class _Visit(msgspec.Struct):
    """A booking, as it can be asked for again; with its link secret, which only a demo writes down."""

    key: str
    starts_ms: int
    ends_ms: int
    link_secret: str


class _Notes(msgspec.Struct):
    """``demo.json``."""

    therapist: _Account
    admin: _Account
    visit: _Visit


def run_demo(flags: dict[str, Any]) -> None:
    """Run the server with the demo practice until Ctrl-C.

    Args:
        flags: of the command line; port 8080 unless told otherwise.
    """
    if flags.get("port") is None and not os.environ.get("QUIETROOM_PORT"):
        flags = {**flags, "port": PORT}
    settings = read_settings(**{**flags, "workers": 1, "drain": 0})
    logs.configure("warning")
    print("Starting Quietroom …", flush=True)

    async def ready(server: app.Server) -> None:
        remember(server.settings)
        notes, booked = await furnish(server.practice)
        secret = Private(notes.visit.link_secret)
        answer = booked_answer(booked, server.url, password_in_link=False, secret=secret)
        print(page(notes, answer, server.url), flush=True)

    process.run(app.serve(settings, ready))
    print("Stopped. Your demo practice is kept; start again to find it.", flush=True)


async def furnish(practice: Practice) -> tuple[_Notes, BookedSession]:
    """See to it that the practice has its two accounts and an open visit.

    Returns:
        The notes as kept, and the visit with its credentials.
    """
    path = practice.settings.data_dir / "demo.json"
    notes = _read(path) or _new_notes()
    for account, role in ((notes.therapist, Role.THERAPIST), (notes.admin, Role.ADMIN)):
        await _see_to_account(practice, path, notes, account, role)
    host = await practice.identity.staff_by_name(notes.therapist.name)
    if host is None:
        raise AssertionError("The therapist's account was there a moment ago.")
    return notes, await _see_to_visit(practice, path, notes, host)


async def _see_to_account(
    practice: Practice, path: Path, notes: _Notes, account: _Account, role: Role
) -> None:
    """Add an account unless it is there; its password is written down before the store has it."""
    if account.made and await practice.identity.staff_by_name(account.name) is not None:
        return
    for number in range(1, _TRIES + 1):
        account.name = role.value if number == 1 else f"{role.value}-{number}"
        _write(path, notes)
        try:
            await practice.identity.add_staff(account.name, role, Private(account.password), actor=_BY)
        except Refused as refused:
            if refused.code != "name-taken":
                raise
            # Ours, from a start that was cut short right here? The password tells. Else somebody else's.
            if not await _opens(practice, account):
                continue
        account.made = True
        _write(path, notes)
        return
    raise Refused("name-taken", "The demo found no free account name; give it an empty --data-dir.")


async def _opens(practice: Practice, account: _Account) -> bool:
    try:
        signed_in = await practice.identity.sign_in(account.name, Private(account.password))
    except Refused:
        return False
    await practice.identity.sign_out(signed_in.token.reveal())
    return True


async def _see_to_visit(practice: Practice, path: Path, notes: _Notes, host: Staff) -> BookedSession:
    """The visit that is open already, or a new one of twelve hours."""
    now_ms = round(time.time() * 1000)
    for visit in (notes.visit, _new_visit()):
        if visit.ends_ms <= now_ms:
            continue
        notes.visit = visit
        _write(path, notes)
        try:
            booked = await practice.booking.book(
                SessionKind.COUPLE,
                visit.starts_ms,
                visit.ends_ms,
                host,
                None,
                _BY,
                visit.key,
                link_auth_of(Private(visit.link_secret)),
            )
        except Refused as refused:
            if refused.code != "idempotency-conflict":  # booked under a host that is no more
                raise
            continue
        if booked.session.open:
            return booked
    raise QuietroomError("no-visit", "No visit could be booked; give the demo an empty --data-dir.")


def page(notes: _Notes, booked: Booked, url: str) -> str:
    """What the demo prints once it runs.

    Args:
        notes: names and passwords of the staff.
        booked: the visit.
        url: our origin.
    """
    visit = booked.seats
    lines = [
        "",
        f"  Quietroom is running at {url}",
        "  Everything below is made up for trying out, and kept for the next start.",
        "",
        "  THERAPIST",
        f"    {booked.host_link}",
        f"    sign in as  {notes.therapist.name}   password  {notes.therapist.password}",
        "",
    ]
    for seat in visit:
        lines += [
            f"  {seat.label.upper()}",
            f"    {seat.link}",
            f"    password    {booked.password}",
            f"    or by hand  {url}   meeting ID {booked.meeting}   seat code {seat.seat_token}",
            f"                room code {notes.visit.link_secret}",
            "",
        ]
    lines += [
        "  ADMIN (sees which rooms are busy; no names, no sound, no picture)",
        f"    {url}/admin",
        f"    sign in as  {notes.admin.name}   password  {notes.admin.password}",
        "",
        "  WHAT TO DO",
        "    1  Open the therapist's link in a browser and sign in.",
        "    2  Open each partner's link in a tab of its own, type the password, and knock.",
        "    3  On the therapist's page, let both in. You now see and hear one another.",
        "    4  Close the therapist's tab: both partners are put on hold. Open it again: they are back.",
        "",
        f"  The visit is open until {_until(booked.ends)}. Ctrl-C stops the server.",
        "",
    ]
    return "\n".join(lines)


def _until(rfc3339: str) -> str:
    return f"{datetime.fromisoformat(rfc3339).astimezone():%A %H:%M}"


def _new_notes() -> _Notes:
    return _Notes(
        therapist=_Account("therapist", new_staff_password().reveal()),
        admin=_Account("admin", new_staff_password().reveal()),
        visit=_new_visit(),
    )


def _new_visit() -> _Visit:
    now_ms = round(time.time() * 1000)
    return _Visit(secrets.token_urlsafe(16), now_ms, now_ms + LASTS_MS, draw_link_secret().reveal())


def _read(path: Path) -> _Notes | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Notes)
    except (OSError, msgspec.DecodeError):
        return None  # first start, or damaged: then there will be new accounts beside the old


def _write(path: Path, notes: _Notes) -> None:
    draft = path.with_name(f".demo.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(notes))
    draft.replace(path)
