"""What pages are told of TURN servers."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path
from typing import Any

import pytest

from broker.private import Private
from rooms.turn import Credential, mint
from signaling.ice_servers import EXTERNAL_FOR, IceServers, own_urls
from signaling.settings import Settings

SECRET = Private(b"s" * 32)


def of_this_server(until: int, whose: str) -> Credential:
    assert whose == "meeting/A"
    return mint(SECRET, until, "opaque")


def test_each_offer_has_credentials_that_end_with_the_session() -> None:
    servers = IceServers(
        ("turn:127.0.0.1:8443?transport=tcp",),
        of_this_server,
        ("turn:turn.example.org:3478", "turns:turn.example.org:5349?transport=tcp"),
        Private("north-of-the-border"),
        clock=lambda: 1_799_999_999.5,
    )
    own, external = servers.until(1_800_000_000_001, "meeting/A")
    assert (own.urls, own.username) == (("turn:127.0.0.1:8443?transport=tcp",), "1800000001:opaque")
    assert own.credential == mint(SECRET, 1_800_000_001, "opaque").password.reveal()
    assert external.urls == ("turn:turn.example.org:3478", "turns:turn.example.org:5349?transport=tcp")
    until, _, who = external.username.partition(":")
    assert until == "1800000001"
    # As coturn checks it with static-auth-secret.
    digest = hmac.new(b"north-of-the-border", external.username.encode(), "sha1").digest()
    assert external.credential == base64.b64encode(digest).decode()
    again = servers.until(1_800_000_000_001, "meeting/A")[1]
    assert again.username.partition(":")[2] != who
    assert external.credential not in repr(external)
    assert external.username not in repr(external)
    assert "north" not in repr(servers)


def test_those_of_an_external_server_are_for_the_next_minutes() -> None:
    """It knows of nobody's removal, and relays to anywhere."""
    servers = IceServers(
        ("turn:127.0.0.1:8443?transport=tcp",),
        of_this_server,
        ("turn:turn.example.org:3478",),
        Private("north-of-the-border"),
        clock=lambda: 1_800_000_000.5,
    )
    own, external = servers.until(1_800_007_200_000, "meeting/A")
    assert own.username == "1800007200:opaque"
    assert external.username.partition(":")[0] == str(1_800_000_000 + EXTERNAL_FOR)


def test_without_any_there_are_none() -> None:
    assert IceServers((), of_this_server).until(1_800_000_000_000, "meeting/A") == ()


@pytest.mark.parametrize(
    ("public_url", "url"),
    [
        ("https://visit.example.org", "turns:visit.example.org:443?transport=tcp"),
        ("https://visit.example.org:8443", "turns:visit.example.org:8443?transport=tcp"),
        ("https://[2001:db8::1]:8443", "turns:[2001:db8::1]:8443?transport=tcp"),
    ],
)
def test_with_a_certificate_it_is_reached_where_the_pages_are(
    public_url: str, url: str, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        host="0.0.0.0",
        media_host="203.0.113.7",
        public_url=public_url,
        tls_cert=tmp_path / "cert",
        tls_key=tmp_path / "key",
        media_port=9000,
    )
    assert own_urls(settings) == (url,)  # whatever the number of the media port


def test_without_a_certificate_it_is_reached_at_the_web_port_too(tmp_path: Path) -> None:
    plain = Settings(data_dir=tmp_path, port=8080)
    assert own_urls(plain) == ("turn:127.0.0.1:8080?transport=tcp",)


def test_behind_a_proxy_it_is_reached_at_the_media_port(tmp_path: Path) -> None:
    proxied = Settings(
        data_dir=tmp_path,
        behind_proxy=True,
        public_url="https://visit.example.org",
        media_host="2001:db8::7",
        media_port=9000,
    )
    assert proxied.tcp_port == 9000
    assert own_urls(proxied) == ("turn:[2001:db8::7]:9000?transport=tcp",)


def test_behind_a_proxy_the_web_port_carries_no_media(tmp_path: Path) -> None:
    proxied: dict[str, Any] = {
        "data_dir": tmp_path,
        "behind_proxy": True,
        "public_url": "https://visit.example.org",
        "media_host": "203.0.113.7",
    }
    assert own_urls(Settings(**proxied)) == ("turn:203.0.113.7:8444?transport=tcp",)
    same = Settings(**proxied, media_port=8443)
    assert same.tcp_port is None
    assert own_urls(same) == ()
