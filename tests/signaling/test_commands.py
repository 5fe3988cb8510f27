"""What an operator does, on a real store: beside a server and without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.embedded import socket_path
from signaling.commands import run_to_end
from tests.support.commands import PASSWORD, Process, book, data, events, run

__all__ = ["data"]


def test_booking_prints_id_password_and_a_link_for_each_seat(data: Path) -> None:
    result = run(
        data, "book", "--kind", "couple", "--host", "Dora", "--public-url", "https://visit.example.org"
    )
    assert result.exit_code == 0, result.output
    meeting = re.search(r"Meeting ID +(\w{26})\n", result.stdout)
    assert meeting
    for code in "AB":
        link = (
            rf"Partner {code} +https://visit\.example\.org/j/{meeting[1]}#{code}(-\w{{4}}){{4}}\.\w{{26}}\n"
        )
        assert re.search(link, result.stdout)
    assert re.search(rf"Therapist +https://visit\.example\.org/host/{meeting[1]}#\w{{26}}\n", result.stdout)
    assert re.search(r"Password +\w{5}-\w{5}\n", result.stdout)


def test_a_secret_drawn_for_a_booking_is_in_its_links_and_nowhere_else(data: Path) -> None:
    booked = book(data, "--password-in-link")
    secret = booked["host-link"].partition("#")[2]
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", secret)
    for seat in booked["seats"]:
        assert seat["link"].endswith(f"#{seat['seat-token']}.{secret}.{booked['password']}")
    assert booked["encryption"] == "end-to-end"
    kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert kept
    assert secret.encode() not in kept


def test_booking_for_programs_is_one_json_object(data: Path) -> None:
    booked = book(data, "--starts", "2099-03-01T10:00+01:00", "--ends", "2099-03-01T11:00+01:00")
    assert booked["starts"] == "2099-03-01T09:00:00Z"
    assert booked["ends"] == "2099-03-01T10:00:00Z"
    assert len(booked["seats"]) == 2


def test_the_password_is_in_a_link_only_when_asked_for(data: Path) -> None:
    apart, together = book(data), book(data, "--password-in-link")
    assert apart["password"] not in json.dumps(apart["seats"])
    assert together["password"] in json.dumps(together["seats"])


def test_status_shows_seats_as_codes_and_is_on_record(data: Path) -> None:
    meeting = book(data)["meeting"]
    shown = run(data, "status")
    assert shown.exit_code == 0
    assert re.search(
        rf"{meeting[:6]}  couple .*\n    A  expected .*\n    B  expected .*\n    T  expected", shown.stdout
    )
    assert "Dora" not in shown.stdout
    told = json.loads(run(data, "status", "--json").stdout)
    (session,) = [each for each in told["sessions"] if each["meeting"] == meeting]
    assert [seat["seat"] for seat in session["seats"]] == ["A", "B", "T"]
    viewed = [event for event in events(data) if event["type"] == "status.viewed"]
    assert viewed[-1]["actor"] == "operator"


@pytest.mark.parametrize("name", [lambda meeting: meeting, lambda meeting: meeting[:6], str.upper])
def test_end_takes_the_id_or_its_short_code(data: Path, name: Callable[[str], str]) -> None:
    meeting = book(data)["meeting"]
    assert run(data, "end", name(meeting)).stdout == f"Session {meeting[:6]} has ended.\n"
    assert run(data, "end", meeting).stdout == f"Session {meeting[:6]} had ended already.\n"
    ended = [
        event for event in events(data) if event["type"] == "session.ended" and event["session"] == meeting
    ]
    assert [(event["actor"], event["reason"]) for event in ended] == [("operator", "ended-by-operator")]


def test_audit_tail_prints_a_line_per_event_from_any_point(data: Path) -> None:
    meeting = book(data)["meeting"]
    lines = run(data, "audit", "tail").stdout.splitlines()
    booked = [line for line in lines if "session.booked" in line and meeting[:6] in line]
    assert re.match(r" +\d+  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  session\.booked ", booked[0])
    everything = events(data, "--after", "-1")
    assert [event["index"] for event in everything] == list(range(len(everything)))
    last = everything[-1]["index"]
    later = events(data, "--after", str(last))
    assert [event["type"] for event in later] == ["audit.viewed"]


def test_no_name_and_no_password_reaches_the_audit_stream(data: Path) -> None:
    booked = book(data)
    told = run(data, "audit", "tail", "--after", "-1", "--json").stdout
    for private in ("Dora", "dora", PASSWORD, booked["password"]):
        assert private not in told


def test_staff_password_can_be_made_and_is_shown_once(data: Path) -> None:
    result = run(data, "staff", "add", "Generated", "--role", "admin", "--generate")
    assert re.search(r"Password: \w{5}-\w{5}-\w{5}  \(shown once\)", result.stdout)
    again = run(data, "staff", "add", "generated", "--role", "admin", "--generate")
    assert (again.exit_code, "Password:" in again.output) == (1, False)
    assert "already" in again.stderr


def test_staff_password_is_asked_twice(data: Path) -> None:
    words = ("staff", "add", "Asked", "--role", "therapist")
    result = run(data, *words, stdin=f"{PASSWORD}\nanother one here\n{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert "do not match" in result.output
    assert PASSWORD not in result.output


def test_a_locked_account_can_be_unlocked_and_that_is_on_record(data: Path) -> None:
    unlocked = run(data, "staff", "unlock", "dora")
    assert (unlocked.exit_code, unlocked.stdout) == (0, "Unlocked: dora.\n")
    last = [event for event in events(data) if event["type"] == "auth.unlocked"][-1]
    assert last["actor"] == "operator"
    assert last["subject"].startswith("staff:")
    unknown = run(data, "staff", "unlock", "nobody")
    assert unknown.exit_code == 1
    assert "no account of this name" in unknown.stderr


COMMANDS_ON_A_PRACTICE = [
    ("status",),
    ("end", "aaaaaa"),
    ("audit", "tail"),
    ("book", "--kind", "couple", "--host", "dora"),
    ("staff", "unlock", "dora"),
]


@pytest.mark.parametrize("words", COMMANDS_ON_A_PRACTICE, ids=" ".join)
def test_a_mistyped_folder_does_not_look_like_an_empty_practice(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = run(tmp_path / "typo", *words)
    assert result.exit_code == 1
    assert "no practice in" in result.stderr
    assert "--data-dir" in result.stderr
    assert not (tmp_path / "typo").exists()


def add_somebody(data: Path) -> None:
    assert run(data, "staff", "add", "Dora", "--role", "therapist", "--generate").exit_code == 0


def test_without_a_server_a_command_starts_the_store_for_the_moment(tmp_path: Path) -> None:
    add_somebody(tmp_path)
    assert run(tmp_path, "status").stdout == "No open sessions.\n"
    assert not socket_path(tmp_path / "store").exists()
    followed = run(tmp_path, "audit", "tail", "--follow")
    assert followed.exit_code == 1
    assert "leave --follow out" in followed.stderr


def test_nobody_else_may_enter_the_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "new"
    add_somebody(data)
    assert data.stat().st_mode & 0o077 == 0


def test_ctrl_c_ends_a_command_also_where_a_library_swallows_it() -> None:
    async def deaf_once() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # also where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            run_to_end(deaf_once())
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_following_shows_what_others_do_until_ctrl_c(data: Path) -> None:
    following = Process("audit", "tail", "--follow", "--data-dir", str(data))
    following.until("audit.viewed")
    meeting = book(data)["meeting"]
    following.until(rf"session\.booked +{meeting[:6]}/- +by operator")
    assert following.stop(signal.SIGINT) == 0
    assert "Traceback" not in following.seen
