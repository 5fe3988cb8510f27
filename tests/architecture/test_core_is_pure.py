"""The core decides, shells act: no clock, socket, task, file or chance in these modules."""

from __future__ import annotations

import ast

from tests.architecture.tree import PACKAGES, imports, modules

# Every module named here stays pure; a machine added to the project is added here.
PURE = {
    *(
        "broker.agreement",
        "broker.audit",
        "broker.changes",
        "broker.circuit",
        "broker.errors",
        "broker.policy",
        "broker.private",
    ),
    *("broker.seats", "broker.sessions", "broker.tenure"),
    *(
        "rooms.brake",
        "rooms.checks",
        "rooms.commits",
        "rooms.crowd",
        "rooms.delivery",
        "rooms.description",
        "rooms.effects",
        "rooms.events",
        "rooms.feedback",
        "rooms.forwarding",
        "rooms.framing",
        "rooms.gate",
        "rooms.group",
        "rooms.groups",
        "rooms.handover",
        "rooms.hearing",
        "rooms.ingest_sdp",
        "rooms.lateness",
        "rooms.mls_wire",
        "rooms.nomination",
        "rooms.pages",
        "rooms.proof",
        "rooms.questions",
        "rooms.quality",
        "rooms.room",
        "rooms.rates",
        "rooms.rtcp",
    ),
    *(
        "rooms.rtp",
        "rooms.sdp",
        "rooms.seat",
        "rooms.stun",
        "rooms.turn",
        "rooms.uplink",
        "rooms.views",
        "rooms.weak",
    ),
    *("signaling.close_codes", "signaling.codec", "signaling.group_wire"),
    *("signaling.messages", "signaling.problems", "signaling.whip_rates"),
}

WORLDLY = {
    *("asyncio", "concurrent", "multiprocessing", "threading", "subprocess", "signal"),
    *("http", "select", "selectors", "socket", "ssl", "urllib.request", "uvloop"),
    *("io", "os", "pathlib", "shutil", "tempfile"),
    *("random", "secrets", "time", "uuid"),
}
WORLDLY_CALLS = {"open", "print", "input", "breakpoint"}
CLOCKS = {
    "now",
    "today",
    "utcnow",
}  # of datetime and date; `now` as an argument is fine, as a call it is a clock


def faults(module: str, source: str) -> list[str]:
    """Where one module touches the world, as ``module:line what``."""
    found = []
    for line, name in imports(source):
        parts = name.split(".")
        if any(".".join(parts[:n]) in WORLDLY for n in range(1, len(parts) + 1)):
            found.append(f"{module}:{line} {name}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) if name in WORLDLY_CALLS:
                    found.append(f"{module}:{node.lineno} {name}()")
                case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name) if name in CLOCKS:
                    found.append(f"{module}:{node.lineno} {name}()")
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append(f"{module}:{node.lineno} async")
    return found


def test_the_core_touches_nothing_outside() -> None:
    everything = {name: path for package in PACKAGES for name, path in modules(package).items()}
    pure = {name: path for name, path in everything.items() if name in PURE}
    assert pure, "no pure module found: the list names none that exists"
    assert [fault for name, path in pure.items() for fault in faults(name, path.read_text())] == []


def test_a_clock_a_socket_a_task_and_chance_are_found() -> None:
    source = """
import time
from os import path
from urllib.request import urlopen
def f(now):
    return datetime.now(), open("x")
async def g(): ...
"""
    assert faults("m", source) == [
        *("m:2 time", "m:3 os.path", "m:4 urllib.request.urlopen"),
        *("m:7 async", "m:6 now()", "m:6 open()"),
    ]


def test_arithmetic_on_given_times_is_fine() -> None:
    assert (
        faults(
            "m", "from datetime import timedelta\nfrom urllib.parse import quote\ndef f(now): return now + 1"
        )
        == []
    )
