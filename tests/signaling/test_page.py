"""What lies between a page's connection and its room; ``test_websocket.py`` has it over real sockets."""

from __future__ import annotations

import json

from signaling.messages import Bye
from signaling.page import OUTBOX_BYTES, Outbox


def test_a_view_replaces_an_unsent_one_and_a_full_outbox_ends() -> None:
    outbox = Outbox(lambda ends_ms, whose: (), "meeting/A")
    outbox.put(Bye("a", "first"), view=True)
    outbox.put(Bye("a", "second"), view=True)
    outbox.reply(1, None)
    outbox.put(Bye("a", "third"), view=True)
    sent = []
    while (text := outbox.take()) is not None:
        sent.append(json.loads(text).get("text"))
    assert sent == ["second", None, "third"]

    for number in range(OUTBOX_BYTES // 1000):
        outbox.offer("x" * 1000, restart=bool(number), ends_ms=0)
    assert outbox.end == "too-slow"
    outbox.reply(2, None)
    outbox.close("ended")
    assert outbox.end == "too-slow"  # the first reason counts, and nothing comes after it
    last = ""
    while (text := outbox.take()) is not None:
        last = text
    assert json.loads(last)["code"] == "too-slow"
