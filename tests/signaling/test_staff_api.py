"""Staff over HTTP, on a real store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broker.audit import EventType
from broker.errors import BadInput
from broker.ids import new_meeting_id
from broker.link_secret import authenticator_of, draw_link_secret, link_auth_of
from broker.policy import Role
from signaling.group_wire import to_text
from signaling.messages import BookBody
from signaling.routing import STAFF_COOKIES, seat_cookie
from signaling.staff_api import check_encryption, milliseconds, rfc3339
from tests.signaling.front import ORIGIN, PASSWORD, Front, window

KEY = {"Idempotency-Key": "booking-1"}
SECRET = draw_link_secret()
SEALED = {"link-authenticator-hash": link_auth_of(SECRET)}
SHOWN = {"link-auth": to_text(authenticator_of(SECRET).reveal())}


async def test_signing_in_and_out(front: Front) -> None:
    await front.staff(Role.ADMIN, "ada")
    signed_in = await front.post("/api/login", {"name": "ada", "password": PASSWORD})
    assert (signed_in.status, signed_in.json) == (200, {"name": "ada", "role": "admin"})
    (header,) = signed_in.headers.getall("Set-Cookie")
    assert header.startswith("__Host-staff-admin=")
    assert sorted(header.split("; ")[1:]) == ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]

    name = STAFF_COOKIES[Role.ADMIN]
    cookies = {name: signed_in.cookies[name].value}
    assert (await front.get("/api/me", cookies=cookies)).json == {"name": "ada", "role": "admin"}
    out = await front.post("/api/logout", cookies=cookies)
    assert (out.status, out.cookies[name].value) == (204, "")
    assert (await front.get("/api/me", cookies=cookies)).code == "sign-in-needed"


async def test_signing_in_anew_ends_the_sign_in_before(front: Front) -> None:
    _, former = await front.staff(Role.THERAPIST, "tess")
    again = await front.post("/api/login", {"name": "tess", "password": PASSWORD}, cookies=former)
    assert again.status == 200
    assert (await front.get("/api/me", cookies=former)).code == "sign-in-needed"


async def test_a_wrong_name_and_a_wrong_password_look_the_same(front: Front) -> None:
    await front.staff(Role.THERAPIST, "tess")
    wrong = await front.post("/api/login", {"name": "tess", "password": "wrong"})
    unknown = await front.post("/api/login", {"name": "nobody", "password": "wrong"})
    assert (wrong.status, wrong.code) == (403, "cannot-sign-in")
    assert wrong.body == unknown.body
    drop = {"Date"}
    assert {k: v for k, v in wrong.headers.items() if k not in drop} == {
        k: v for k, v in unknown.headers.items() if k not in drop
    }


async def test_a_booking_gives_links_that_open_the_waiting_room(front: Front) -> None:
    _, cookies = await front.staff(Role.THERAPIST)
    body = {"kind": "couple", **window(), **SEALED}
    booked = await front.post("/api/sessions", body, cookies=cookies, headers=KEY)
    assert booked.status == 201
    assert [seat["seat"] for seat in booked.json["seats"]] == ["A", "B"]
    assert booked.json["host-link"] == f"{ORIGIN}/host/{booked.json['meeting']}"
    for seat in booked.json["seats"]:
        page, _, fragment = seat["link"].partition("#")
        assert page == f"{ORIGIN}/j/{booked.json['meeting']}"
        assert fragment == seat["seat-token"]
        entered = await front.post(
            "/api/enter",
            {
                "meeting": booked.json["meeting"],
                "seat-token": fragment,
                "password": booked.json["password"],
                **SHOWN,
            },
        )
        assert (entered.status, entered.json["seat"]) == (200, seat["seat"])
        assert seat_cookie(booked.json["meeting"], seat["seat"]) in entered.cookies


async def test_a_caller_that_draws_a_link_secret_gets_an_encrypted_session(front: Front) -> None:
    _, cookies = await front.staff(Role.THERAPIST)
    body = {"kind": "couple", **window(), **SEALED}
    booked = await front.post("/api/sessions", body, cookies=cookies, headers=KEY)
    assert (booked.status, booked.json["encryption"]) == (201, "end-to-end")
    assert SECRET.reveal() not in booked.body.decode()
    enter = {
        "meeting": booked.json["meeting"],
        "seat-token": booked.json["seats"][0]["seat-token"],
        "password": booked.json["password"],
    }
    without = await front.post("/api/enter", enter)
    assert (without.status, without.code) == (403, "cannot-enter")
    entered = await front.post("/api/enter", enter | SHOWN)
    assert (entered.status, entered.json["encryption"]) == (200, "end-to-end")
    (listed,) = (await front.get("/api/sessions", cookies=cookies)).json
    assert listed["encryption"] == "end-to-end"


async def test_a_session_is_booked_encrypted_or_for_programs_and_that_only_where_they_may(
    front: Front,
) -> None:
    plain = BookBody("couple", "", "", encryption="transport-only")
    sealed = BookBody("couple", "", "", link_authenticator_hash="0" * 64)
    both = BookBody("couple", "", "", link_authenticator_hash="0" * 64, encryption="transport-only")
    neither = BookBody("couple", "", "")
    refused = ((plain, False), (both, True), (both, False), (neither, True), (neither, False))
    for body, programs in refused:
        with pytest.raises(BadInput, match="bad-encryption"):
            check_encryption(body, programs=programs)
    check_encryption(plain, programs=True)
    check_encryption(sealed, programs=True)
    _, cookies = await front.staff(Role.THERAPIST)
    asked: tuple[dict[str, str], ...] = ({}, {"encryption": "transport-only"})
    for more in asked:
        said = {"kind": "couple", **window(), **more}
        answer = await front.post("/api/sessions", said, cookies=cookies, headers=KEY)
        assert (answer.status, answer.code) == (422, "bad-encryption"), more


async def test_the_password_is_in_the_link_only_when_asked(front: Front) -> None:
    _, cookies = await front.staff(Role.THERAPIST)
    body = {"kind": "individual", **window(), **SEALED, "password-in-link": True}
    booked = (await front.post("/api/sessions", body, cookies=cookies, headers=KEY)).json
    (seat,) = booked["seats"]
    assert seat["link"].endswith(f"#{seat['seat-token']}.{booked['password']}")


async def test_a_booking_tried_again_is_one_booking(front: Front) -> None:
    _, cookies = await front.staff(Role.THERAPIST)
    body = {"kind": "couple", **window(), **SEALED}
    first = await front.post("/api/sessions", body, cookies=cookies, headers=KEY)
    again = await front.post("/api/sessions", body, cookies=cookies, headers=KEY)
    assert (again.status, again.json) == (201, first.json)
    other = await front.post("/api/sessions", body | {"kind": "individual"}, cookies=cookies, headers=KEY)
    assert (other.status, other.code) == (422, "idempotency-conflict")
    assert len(await front.events(EventType.SESSION_BOOKED)) == 1


async def test_a_booking_needs_a_proper_key(front: Front) -> None:
    _, cookies = await front.staff(Role.THERAPIST)
    body = {"kind": "couple", **window(), **SEALED}
    for key in (None, "", "with space", "x" * 129, "é"):
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await front.post("/api/sessions", body, cookies=cookies, headers=headers)
        assert (answer.status, answer.code) == (400, "idempotency-key-needed"), key


async def test_impossible_times_are_refused(front: Front) -> None:
    _, cookies = await front.staff(Role.THERAPIST)
    for times in (
        {"starts": "2126-01-01T10:00:00", "ends": "2126-01-01T11:00:00"},
        {"starts": "tomorrow", "ends": "later"},
        {"starts": "0001-01-01T00:00:00+14:00", "ends": "9999-12-31T23:59:59-12:00"},
        window(hours=-1),
        window(hours=25),
        window(hours=1, starts_in=-3),
    ):
        body = {"kind": "couple", **times, **SEALED}
        answer = await front.post("/api/sessions", body, cookies=cookies, headers=KEY)
        assert (answer.status, answer.code) == (422, "bad-window"), times


async def test_hosts_are_therapists_and_an_admin_names_one(front: Front) -> None:
    _, admin = await front.staff(Role.ADMIN, "ada")
    _, therapist = await front.staff(Role.THERAPIST, "tess")
    body = {"kind": "couple", **window(), **SEALED}
    for host in ({}, {"host": "ada"}, {"host": "nobody"}, {"host": "tess", "cohost": "tess"}):
        answer = await front.post("/api/sessions", body | host, cookies=admin, headers=KEY)
        assert (answer.status, answer.code) == (422, "bad-host"), host
    booked = await front.post("/api/sessions", body | {"host": "tess"}, cookies=admin, headers=KEY)
    assert booked.status == 201
    mine = await front.get("/api/sessions", cookies=therapist)
    assert [session["meeting"] for session in mine.json] == [booked.json["meeting"]]


async def test_a_list_holds_ones_own_sessions_and_looking_is_recorded(front: Front) -> None:
    tess, tess_cookies = await front.staff(Role.THERAPIST, "tess")
    tom, tom_cookies = await front.staff(Role.THERAPIST, "tom")
    booked = await front.book(tess)
    (only,) = (await front.get("/api/sessions", cookies=tess_cookies)).json
    assert (only["meeting"], only["state"], only["kind"]) == (booked.meeting, "open", "couple")
    assert (await front.get("/api/sessions", cookies=tom_cookies)).json == []
    viewed = await front.events(EventType.STATUS_VIEWED)
    assert [event.actor for event in viewed] == [tess.id, tom.id]


async def test_a_session_of_somebody_else_looks_like_none(front: Front) -> None:
    tess, _ = await front.staff(Role.THERAPIST, "tess")
    _, tom = await front.staff(Role.THERAPIST, "tom")
    booked = await front.book(tess)
    for path, body in (
        ("/api/sessions/{}/end", None),
        ("/api/host-ticket", "meeting"),
    ):
        answers = [
            await front.post(path.format(meeting), {body: meeting} if body else None, cookies=tom)
            for meeting in (booked.meeting, "0" * 26, "nonsense")
        ]
        assert {(answer.status, answer.code) for answer in answers} == {(404, "no-session")}
        assert len({answer.body for answer in answers}) == 1
    session = await front.services.booking.load(booked.meeting)
    assert session is not None
    assert session.open


@pytest.mark.parametrize("role", [Role.THERAPIST, Role.ADMIN])
async def test_a_session_is_ended_by_its_host_or_an_admin(front: Front, role: Role) -> None:
    tess, cookies = await front.staff(Role.THERAPIST, "tess")
    ada, admin = await front.staff(Role.ADMIN, "ada")
    booked = await front.book(tess)
    who, used = (tess, cookies) if role is Role.THERAPIST else (ada, admin)
    for _ in range(2):
        ended = await front.post(f"/api/sessions/{booked.meeting}/end", cookies=used)
        assert ended.status == 204
    assert front.reloaded[0] == booked.meeting
    (event,) = await front.events(EventType.SESSION_ENDED)
    assert event.actor == who.id


async def test_ending_a_session_of_somebody_else_is_refused_and_on_record(front: Front) -> None:
    tess, _ = await front.staff(Role.THERAPIST, "tess")
    other, cookies = await front.staff(Role.THERAPIST, "theo")
    booked = await front.book(tess)
    for meeting in (booked.meeting, new_meeting_id()):
        refused = await front.post(f"/api/sessions/{meeting}/end", cookies=cookies)
        assert (refused.status, refused.code) == (404, "no-session")
    found = [(event.actor, event.reason) for event in await front.events(EventType.AUTHZ_DENIED)]
    assert found == [(other.id, "no-care-relation")] * 2
    assert await front.events(EventType.SESSION_ENDED) == []


async def test_the_host_gets_a_ticket_for_the_hosts_seat(front: Front) -> None:
    tess, cookies = await front.staff(Role.THERAPIST)
    booked = await front.book(tess)
    answer = await front.post("/api/host-ticket", {"meeting": booked.meeting}, cookies=cookies)
    grant = await front.services.tickets.redeem(answer.json["ticket"])
    assert (grant.meeting, grant.seat, grant.actor) == (booked.meeting, "T", tess.id)


async def test_an_admin_unlocks_a_seat(front: Front) -> None:
    tess, _ = await front.staff(Role.THERAPIST)
    ada, admin = await front.staff(Role.ADMIN)
    booked = await front.book(tess)
    path = f"/api/sessions/{booked.meeting}/seats/{{}}/unlock"
    assert (await front.post(path.format("A"), cookies=admin)).status == 204
    (event,) = await front.events(EventType.AUTH_UNLOCKED)
    assert (event.actor, event.seat) == (ada.id, "A")
    for seat in ("T", "Q", "nonsense"):
        assert (await front.post(path.format(seat), cookies=admin)).code == "no-seat"
    assert (await front.post("/api/sessions/x/seats/A/unlock", cookies=admin)).code == "no-session"


def test_times_are_read_with_their_offset() -> None:
    moment = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    ms = round(moment.timestamp() * 1000)
    assert milliseconds("2026-03-01T10:00:00+01:00") == ms
    assert milliseconds("2026-03-01T09:00:00Z") == ms
    assert rfc3339(ms) == "2026-03-01T09:00:00Z"
    assert milliseconds(rfc3339(ms + 999)) == ms
    with pytest.raises(BadInput, match="bad-window"):
        milliseconds("2026-03-01T09:00:00")
    assert milliseconds((moment + timedelta(days=1)).isoformat()) == ms + 86_400_000
