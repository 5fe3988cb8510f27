"""What an operator does to a practice: book, look, end, add staff, read the record.

Every command works while the server runs (it uses the server's store, and the server hears of it through
the ledger) and when it does not (it starts the store for the moment). Commands act as ``operator`` in the
audit stream: whoever can run them owns the machine, and is on record.

``signaling.cli`` puts them together with those that run the server.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from broker.errors import BadInput, Refused
from signaling import logs
from signaling.settings import MAX_WORKERS, Settings, read_settings, recall

if TYPE_CHECKING:  # what a command needs is imported when it runs, so that each starts quickly
    from broker.ledger import Entry
    from broker.sessions import Session
    from signaling.messages import Booked

OPERATOR: Final = "operator"
_TAIL: Final = 20
_ENDS_WITHIN: Final = 2.0  # seconds from Ctrl-C until a command is told once more
_LONGEST_PASSWORD: Final = 1024

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


# ---- what all commands share ----------------------------------------------------------------------------


def options(*names: str) -> Callable[[Command], Command]:
    """Settings as flags, in the order given."""

    def add(command: Command) -> Command:
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return add


_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_PORT: Final = click.IntRange(1, 65_535)
_OPTIONS: Final = {
    "data_dir": click.option("--data-dir", type=_FOLDER, help="Where everything is kept."),
    "keys_dir": click.option(
        "--keys-dir", type=_FOLDER, help="Where the keys are; best on another disk. [data-dir/keys]"
    ),
    "redis_url": click.option("--redis-url", help="A store elsewhere, instead of our own child."),
    "host": click.option("--host", help="IP address to listen on. [127.0.0.1]"),
    "port": click.option("--port", type=_PORT, help="TCP port for pages and signaling. [8443]"),
    "media_host": click.option("--media-host", help="IP address that browsers send media to."),
    "media_port": click.option(
        "--media-port",
        type=_PORT,
        help="UDP port for media. [same number; behind a proxy one above, for TCP too]",
    ),
    "workers": click.option(
        "--workers", type=click.IntRange(1, MAX_WORKERS), help="Processes that run rooms; one per core. [1]"
    ),
    "public_url": click.option("--public-url", help="Address in people's browsers, https://…"),
    "tls_cert": click.option("--tls-cert", type=_FILE, help="Certificate chain, PEM."),
    "tls_key": click.option("--tls-key", type=_FILE, help="Its key, PEM."),
    "behind_proxy": click.option(
        "--behind-proxy", is_flag=True, default=None, help="A proxy in front terminates TLS."
    ),
}
WHERE: Final = ("data_dir", "keys_dir", "redis_url")


# ---- sessions -------------------------------------------------------------------------------------------


@click.command()
@click.option("--kind", type=click.Choice(["couple", "individual"]), required=True)
@click.option("--host", "host_name", required=True, help="Account name of the therapist.")
@click.option("--cohost", "cohost_name", help="Account name of a second clinician.")
@click.option("--starts", help="Such as 2026-03-01T10:00 (this machine's time) or …T10:00+01:00. [now]")
@click.option("--ends", help="At most 24 hours later. [two hours after the start]")
@click.option("--password-in-link", is_flag=True, help="A link alone then opens the waiting room.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
@options(*WHERE, "public_url")
def book(
    kind: str,
    host_name: str,
    cohost_name: str | None,
    starts: str | None,
    ends: str | None,
    password_in_link: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Book a session and print its meeting ID, password and links, this once."""
    from broker.link_secret import draw_link_secret, link_auth_of
    from signaling.staff_api import booked_answer

    settings = _begun(known_settings(flags))
    # Drawn here, by the one who books: it goes into the links below and nowhere else.
    secret = draw_link_secret()
    begin = _moment(starts, "--starts") if starts else datetime.now(UTC)
    finish = _moment(ends, "--ends") if ends else begin + timedelta(hours=2)

    async def work() -> Booked:
        from broker.seats import SessionKind
        from signaling.practice import open_practice

        async with open_practice(settings, command=True) as practice:
            host = await practice.identity.staff_by_name(host_name)
            cohost = await practice.identity.staff_by_name(cohost_name) if cohost_name else None
            if host is None or (cohost_name and cohost is None):
                raise Refused(
                    "bad-host",
                    "There is no therapist's account of that name. Add one with: "
                    "quietroom staff add NAME --role therapist",
                )
            booked = await practice.booking.book(
                SessionKind(kind),
                round(begin.timestamp() * 1000),
                round(finish.timestamp() * 1000),
                host,
                cohost,
                OPERATOR,
                secrets.token_urlsafe(16),
                link_auth_of(secret),
            )
            return booked_answer(
                booked, settings.public_url, password_in_link=password_in_link, secret=secret
            )

    answer = run_to_end(work())
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(answer).decode())
        return
    click.echo(
        f"Booked: {answer.kind} session, {begin.astimezone():%a %d %b %Y %H:%M} to "
        f"{finish.astimezone():%a %d %b %H:%M %Z}\n\n"
        f"  Meeting ID   {answer.meeting}\n"
        f"  Password     {answer.password}\n"
    )
    for seat in answer.seats:
        click.echo(f"  {seat.label:<12} {seat.link}")
    click.echo(f"  {'Therapist':<12} {answer.host_link}")
    click.echo("\nThis is shown once. Give each person only their own link, and the password by another way.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
@options(*WHERE)
def status(as_json: bool, **flags: Any) -> None:
    """List the open sessions and their seats, as codes. Looking is itself on record."""
    settings = _begun(known_settings(flags))

    async def work() -> list[Session]:
        from broker.audit import AuditEvent, EventType
        from signaling.practice import open_practice

        async with open_practice(settings, command=True) as practice:
            await practice.ledger.append(
                AuditEvent(type=EventType.STATUS_VIEWED, actor=OPERATOR, subject="sessions")
            )
            return await practice.booking.all_open()

    sessions = run_to_end(work())
    if as_json:
        click.echo(json.dumps({"sessions": [_told(session) for session in sessions]}))
        return
    if not sessions:
        click.echo("No open sessions.")
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    for session in sessions:
        click.echo(
            f"{session.meeting[:6]}  {session.kind.value:<10}  {_clock(session.starts_ms)} to "
            f"{_clock(session.ends_ms)}"
        )
        for seat in session.seats.values():
            muted = ", muted" if seat.muted else ""
            click.echo(
                f"    {seat.code}  {seat.state.value:<13}  for {_lasting(now_ms - seat.since_ms)}{muted}"
            )


@click.command()
@click.argument("meeting")
@options(*WHERE)
def end(meeting: str, **flags: Any) -> None:
    """End a session for everybody in it. MEETING is its ID, or the six characters that `status` shows."""
    settings = _begun(known_settings(flags))

    async def work() -> tuple[str, bool]:
        from signaling.practice import open_practice

        async with open_practice(settings, command=True) as practice:
            wanted = _meeting(meeting, [session.meeting for session in await practice.booking.all_open()])
            return wanted, await practice.booking.end(wanted, OPERATOR, "ended-by-operator")

    wanted, now = run_to_end(work())
    click.echo(f"Session {wanted[:6]} has ended." if now else f"Session {wanted[:6]} had ended already.")


def _meeting(text: str, open_ones: list[str]) -> str:
    """The meeting that an ID or a short code names.

    Raises:
        Refused: ``no-session``; also when a short code fits more than one.
    """
    from broker.ids import parse_meeting_id

    try:
        return parse_meeting_id(text)
    except BadInput:
        pass
    fitting = [meeting for meeting in open_ones if len(text) >= 6 and meeting.startswith(text.lower())]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Refused("ambiguous-session", "Several sessions begin like that: give the whole meeting ID.")
    raise Refused("no-session", "There is no such open session.")


# ---- staff ----------------------------------------------------------------------------------------------


@click.group()
def staff() -> None:
    """Staff accounts."""


@staff.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(["therapist", "admin"]), required=True)
@click.option("--generate", is_flag=True, help="Make a password and print it.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)
@options(*WHERE)
def add_staff(name: str, role: str, generate: bool, password_stdin: bool, **flags: Any) -> None:
    """Add an account for a therapist or an admin; asks for the password twice."""
    from broker.policy import Role
    from broker.private import Private
    from signaling.practice import new_staff_password

    if generate and password_stdin:
        raise click.UsageError("Either --generate or --password-stdin, not both.")
    settings = known_settings(flags)
    if generate:
        password = new_staff_password()
    elif password_stdin:
        password = Private(sys.stdin.readline(_LONGEST_PASSWORD).rstrip("\r\n"))
    else:
        password = Private(click.prompt("Password", hide_input=True, confirmation_prompt=True))

    async def work() -> None:
        from signaling.practice import open_practice

        async with open_practice(settings, command=True) as practice:
            await practice.identity.add_staff(name, Role(role), password, actor=OPERATOR)

    run_to_end(work())
    click.echo(f"Added: {_plain(name)}, {role}.")
    if generate:
        click.echo(f"Password: {password.reveal()}  (shown once)")


@staff.command()
@click.argument("name")
@options(*WHERE)
def unlock(name: str, **flags: Any) -> None:
    """Let an account sign in again that too many failed attempts have slowed down or locked."""
    settings = _begun(known_settings(flags))

    async def work() -> None:
        from signaling.practice import open_practice

        async with open_practice(settings, command=True) as practice:
            await practice.identity.unlock(name, actor=OPERATOR)

    run_to_end(work())
    click.echo(f"Unlocked: {_plain(name)}.")


# ---- audit ----------------------------------------------------------------------------------------------


@click.group()
def audit() -> None:
    """The audit stream."""


@audit.command()
@click.option("--after", type=click.IntRange(-1, 2**53), help=f"Begin after this index. [the last {_TAIL}]")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@options(*WHERE)
def tail(after: int | None, follow: bool, as_json: bool, **flags: Any) -> None:
    """Print events, one per line. Looking is itself on record."""
    settings = _begun(known_settings(flags))

    async def work() -> None:
        from broker.audit import AuditEvent, EventType
        from signaling.practice import open_practice

        async with open_practice(settings, command=True) as practice:
            if follow and practice.embedded is not None and not practice.beside:
                raise Refused(
                    "no-server",
                    "No server runs on this data directory, so nothing will come: leave --follow out.",
                )
            head = await practice.store.log_size() - 1
            begin = max(-1, head - _TAIL) if after is None else after
            seen = await practice.ledger.append(
                AuditEvent(
                    type=EventType.AUDIT_VIEWED, actor=OPERATOR, subject="audit", detail={"after": begin}
                )
            )
            # Closed with us: the ledger counts its readers.
            async with aclosing(practice.ledger.tail(begin)) as entries:
                if begin >= seen.index and not follow:
                    return
                async for entry in entries:
                    click.echo(_line(entry, as_json=as_json))
                    if not follow and entry.index >= seen.index:
                        return

    try:
        run_to_end(work())
    except KeyboardInterrupt:
        if not follow:
            raise


def _line(entry: Entry, *, as_json: bool) -> str:
    import msgspec

    from signaling.audit_api import record

    told = record(entry)
    if as_json:
        return msgspec.json.encode(told).decode()
    when = datetime.fromtimestamp(told.time_us / 1_000_000, UTC)
    about = f"{told.session[:6]}/{told.seat or '-'}" if told.session else told.subject
    parts = [
        f"{told.index:>6}",
        f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z",
        f"{told.type:<19}",
        f"{about:<20}",
        f"by {told.actor}",
    ]
    parts += [told.outcome] * (told.outcome != "ok")
    parts += [f"({told.reason})"] * bool(told.reason)
    parts += [f"{key}={value}" for key, value in sorted(told.detail.items())]
    return _plain("  ".join(parts))


# ---- helpers --------------------------------------------------------------------------------------------


def known_settings(flags: dict[str, Any]) -> Settings:
    """The settings of a command: unless told otherwise, as the server here was started last."""
    logs.configure("error")
    return read_settings(**recall(flags))


def _begun(settings: Settings) -> Settings:
    """The settings, if there is a practice where they say: a mistyped folder must not look like an empty one.

    Raises:
        Refused: ``no-practice``.
    """
    if settings.redis_url is None and not settings.store_dir.exists():
        raise Refused("no-practice", f"There is no practice in {settings.data_dir}.")
    return settings


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run the part of a command that waits for the store; Ctrl-C ends it.

    Raises:
        KeyboardInterrupt: it did.
    """

    async def heard() -> T:
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Again until it is done: redis-py swallows a cancellation that meets it while it connects.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_ENDS_WITHIN)
            await asyncio.gather(task, return_exceptions=True)
            raise

    return asyncio.run(heard())


def _moment(text: str, flag: str) -> datetime:
    try:
        # Without an offset it is this machine's time; the answer shows which zone that was.
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"{flag} is a date and time such as 2026-03-01T10:00 or 2026-03-01T10:00+01:00."
        ) from None


def _told(session: Session) -> dict[str, Any]:
    from signaling.staff_api import rfc3339

    return {
        "meeting": session.meeting,
        "code": session.meeting[:6],
        "kind": session.kind.value,
        "starts": rfc3339(session.starts_ms),
        "ends": rfc3339(session.ends_ms),
        "seats": [
            {
                "seat": seat.code,
                "role": seat.role.value,
                "state": seat.state.value,
                "since": rfc3339(seat.since_ms),
                "muted": seat.muted,
            }
            for seat in session.seats.values()
        ],
    }


def _clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%d %b %H:%M}"


def _lasting(ms: int) -> str:
    seconds = max(0, ms // 1000)
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _plain(text: str) -> str:
    """Text that came from people, without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
