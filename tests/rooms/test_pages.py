"""The pages of a room: what each is told, and that nobody speaks to one that is gone."""

from __future__ import annotations

from broker.seats import SeatCode
from rooms.effects import Close, Reply, Show
from rooms.events import Link
from rooms.groups import NotTaken, Tell
from rooms.pages import OpenPage, Pages
from tests.rooms.house import Outbox
from tests.rooms.playbook import A, B, T, waiting

VIEW = waiting().views["a"]


def joined(pages: Pages, link: Link, seat: SeatCode) -> Outbox:
    outbox = Outbox()
    pages.join(link, OpenPage(seat, f"device of {link}", outbox, heard_at=1.0, ingest=False))
    return outbox


def test_each_page_is_told_what_is_for_it() -> None:
    pages = Pages()
    first, second = joined(pages, "a", A), joined(pages, "b", B)
    pages.perform(Show("a", VIEW))
    pages.perform(Reply("a", 7, None))
    pages.perform(Tell("a", NotTaken("not-allowed")))
    pages.offer("a", "v=0", restart=True, ends_ms=0)
    assert (first.views, first.replies, first.news) == ([VIEW], {7: None}, [NotTaken("not-allowed")])
    assert first.offers == [("v=0", True)]
    assert second == Outbox()


def test_a_page_that_is_gone_is_told_nothing() -> None:
    pages = Pages()
    page = joined(pages, "a", A)
    assert pages.part("a")
    assert not pages.part("a")
    for effect in (
        Show("a", VIEW),
        Reply("a", 7, None),
        Tell("a", NotTaken("not-allowed")),
        Close("a", "removed"),
    ):
        pages.perform(effect)
    pages.offer("a", "v=0", restart=False, ends_ms=0)
    pages.heard("a", 2.0)
    assert page == Outbox()
    assert pages.get("a") is None


def test_a_page_that_is_closed_is_told_why_once_and_is_gone() -> None:
    pages = Pages()
    first, second = joined(pages, "a", A), joined(pages, "b", B)
    pages.perform(Close("a", "removed"))
    assert "a" not in pages
    assert "b" in pages
    pages.close_all("draining")
    pages.close_all("draining")
    assert (first.closed, second.closed) == (["removed"], ["draining"])
    assert not pages


def test_only_pages_that_are_here_were_heard() -> None:
    pages = Pages()
    for link, seat in (("a", A), ("b", B), ("t", T)):
        joined(pages, link, seat)
    pages.heard("a", 2.0)
    pages.part("b")
    assert pages.heard_at(["a", "b", "t", "nobody"]) == [2.0, 1.0]
    assert pages.devices([A, B]) == {(A, "device of a")}
