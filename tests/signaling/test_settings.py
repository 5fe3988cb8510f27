"""Settings: flags before environment before defaults; contradictions are refused with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.settings import (
    Settings,
    SettingsError,
    TurnAddress,
    default_data_dir,
    is_loopback_name,
    read_settings,
    turn_address,
)

CERT = {"tls_cert": Path("/c.pem"), "tls_key": Path("/k.pem")}


def settings(**values: Any) -> Settings:
    return Settings(data_dir=Path("/data"), **values)


def test_flag_wins_over_environment_wins_over_default() -> None:
    environ = {"QUIETROOM_PORT": "9001", "QUIETROOM_HOST": "127.0.0.2", "HOME": "/home/quietroom"}
    read = read_settings(environ, port=9002, host=None)
    assert (read.port, read.host, read.practice) == (9002, "127.0.0.2", "main")


def test_every_setting_can_come_from_the_environment() -> None:
    read = read_settings(
        {
            "QUIETROOM_DATA_DIR": "/d",
            "QUIETROOM_KEYS_DIR": "/elsewhere",
            "QUIETROOM_HOST": "0.0.0.0",
            "QUIETROOM_PORT": "443",
            "QUIETROOM_MEDIA_HOST": "203.0.113.7",
            "QUIETROOM_MEDIA_PORT": "5000",
            "QUIETROOM_PUBLIC_URL": "https://visit.example.org/",
            "QUIETROOM_REDIS_URL": "redis://store.example.org",
            "QUIETROOM_BEHIND_PROXY": "1",
            "QUIETROOM_TURN_URLS": "turn:turn.example.org, turns:[2001:db8::1]:5349?transport=tcp",
            "QUIETROOM_TURN_SECRET": "north-of-the-border",
            "QUIETROOM_PRACTICE": "north",
            "QUIETROOM_NODE": "n1",
        }
    )
    assert read == Settings(
        data_dir=Path("/d"),
        keys_dir=Path("/elsewhere"),
        host="0.0.0.0",
        port=443,
        media_host="203.0.113.7",
        media_port=5000,
        public_url="https://visit.example.org",
        redis_url="redis://store.example.org",
        behind_proxy=True,
        turn_urls=("turn:turn.example.org", "turns:[2001:db8::1]:5349?transport=tcp"),
        turn_secret="north-of-the-border",
        practice="north",
        node="n1",
    )


def test_what_follows_is_filled_in() -> None:
    read = settings(port=8080)
    assert read.media_port == 8080
    assert read.media_host == "127.0.0.1"
    assert read.public_url == "http://localhost:8080"
    assert read.keys_dir == Path("/data/keys")
    assert read.store_dir == Path("/data/store")


def test_two_processes_have_two_node_names() -> None:
    assert settings().node != settings().node


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.4", "::", "2001:db8::4"])
def test_plain_http_is_refused_beyond_loopback(host: str) -> None:
    with pytest.raises(SettingsError, match=r"--tls-cert.*--self-signed.*--behind-proxy"):
        settings(host=host, public_url="http://localhost:8443")
    with pytest.raises(SettingsError, match="Plain HTTP is refused"):
        settings(host=host, public_url="https://visit.example.org")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_plain_http_is_spoken_on_loopback(host: str) -> None:
    assert settings(host=host).public_url == "http://localhost:8443"


def test_tls_or_a_proxy_opens_other_addresses() -> None:
    assert settings(host="192.0.2.4", **CERT).public_url == "https://192.0.2.4:8443"
    assert settings(host="2001:db8::4", port=443, **CERT).public_url == "https://[2001:db8::4]"
    proxied = settings(
        host="127.0.0.1", behind_proxy=True, public_url="https://a.example", media_host="192.0.2.9"
    )
    assert proxied.media_bind == "0.0.0.0"  # the proxy carries no media
    assert settings(host="192.0.2.4", **CERT).media_bind == "192.0.2.4"


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"tls_cert": Path("/c.pem")}, "--tls-cert and --tls-key together"),
        ({"tls_key": Path("/k.pem")}, "--tls-cert and --tls-key together"),
        ({**CERT, "behind_proxy": True}, "only one of them"),
        ({**CERT, "host": "0.0.0.0"}, "--public-url"),
        ({"behind_proxy": True, "media_host": "192.0.2.9"}, "--public-url"),
        ({"behind_proxy": True, "public_url": "http://visit.example.org"}, "https://"),
        ({**CERT, "public_url": "http://localhost:8443"}, "https://"),
        ({"public_url": "https://visit.example.org/path"}, "such as https://"),
        ({"public_url": "https://user@visit.example.org"}, "such as https://"),
        ({"public_url": "https://visit.example.org:port"}, "such as https://"),
        ({"public_url": "https://visit example.org"}, "such as https://"),
        ({"public_url": "ftp://visit.example.org"}, "such as https://"),
        ({"public_url": "https://"}, "such as https://"),
        ({"host": "visit.example.org"}, "IP address"),
        ({"media_host": "visit.example.org"}, "IP address"),
        ({"media_host": "0.0.0.0"}, "browsers can reach"),
        ({"port": 70_000}, "between 1 and 65535"),
        ({"media_port": -2}, "between 1 and 65535"),
        ({"redis_url": "http://store"}, "redis://"),
        ({"pages_salt": "2026"}, "openssl"),
        ({"turn_urls": ("turn:turn.example.org",)}, "TURN_SECRET together"),
        ({"turn_secret": "s" * 32}, "TURN_URLS and QUIETROOM_TURN_SECRET together"),
        ({"turn_urls": ("turn:turn.example.org",), "turn_secret": "short"}, "openssl"),
        ({"turn_urls": ("turn:a.example",) * 5, "turn_secret": "s" * 32}, "up to four"),
        *(
            ({"turn_urls": (url,), "turn_secret": "s" * 32}, "each like")
            for url in (
                "stun:turn.example.org",
                "https://turn.example.org",
                "turn:",
                "turn:turn.example.org:0",
                "turn:turn.example.org:65536",
                "turn:turn.example.org?transport=sctp",
                "turns:turn.example.org?transport=udp",
                "turn:user@turn.example.org",
                "turn:[2001:db8::g]",
                "turn:[::1",
            )
        ),
        ({"practice": "{north}"}, "small letters"),
        ({"node": "N" * 40}, "small letters"),
    ],
)
def test_contradictions_are_refused_with_the_remedy(values: dict[str, Any], remedy: str) -> None:
    with pytest.raises(SettingsError, match=remedy):
        settings(**values)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("QUIETROOM_PORT", "eighty"), ("QUIETROOM_PORT", "٨٠"), ("QUIETROOM_BEHIND_PROXY", "perhaps")],
)
def test_an_unreadable_variable_is_named_and_its_value_is_not(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as refusal:
        read_settings({variable: value, "HOME": "/home/quietroom"})
    assert value not in refusal.value.text


def test_public_url_is_written_as_browsers_write_an_origin() -> None:
    assert (
        settings(**CERT, public_url="https://Visit.Example.org:443/").public_url
        == "https://visit.example.org"
    )
    assert settings(public_url="http://localhost:80").public_url == "http://localhost"
    assert settings(**CERT, public_url="https://[2001:DB8::4]:444").public_url == "https://[2001:db8::4]:444"


def test_ports_chosen_by_the_system_reach_the_links() -> None:
    bound = settings(port=0).bound_to(port=41_000, media_port=41_001)
    assert (bound.public_url, bound.media_port) == ("http://localhost:41000", 41_001)
    named = settings(port=0, **CERT, public_url="https://visit.example.org").bound_to(1, 2)
    assert named.public_url == "https://visit.example.org"
    behind = settings(port=80, behind_proxy=True, public_url="http://localhost", media_host="192.0.2.7")
    assert behind.bound_to(80, 2).public_url == "http://localhost"


def test_behind_a_proxy_media_has_a_port_of_its_own() -> None:
    proxied = {"behind_proxy": True, "public_url": "https://a.example", "media_host": "192.0.2.9"}
    assert (settings(**proxied).media_port, settings(**proxied).tcp_port) == (8444, 8444)
    assert settings(**proxied, port=0).media_port == 0  # the system chooses
    told = settings(**proxied, media_port=8443)  # for UDP alone
    assert (told.media_port, told.tcp_port) == (8443, None)


def test_a_turn_secret_is_not_shown() -> None:
    shown = settings(turn_urls=("turn:turn.example.org",), turn_secret="north-of-the-border")
    assert "north" not in repr(shown)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("turn:turn.example.org", TurnAddress("turn.example.org", 3478, tls=False, tcp=False)),
        ("turn:192.0.2.7:80?transport=tcp", TurnAddress("192.0.2.7", 80, tls=False, tcp=True)),
        ("turns:turn.example.org", TurnAddress("turn.example.org", 5349, tls=True, tcp=True)),
        ("turns:[2001:db8::1]:443", TurnAddress("2001:db8::1", 443, tls=True, tcp=True)),
    ],
)
def test_a_turn_url_says_where_and_how(url: str, address: TurnAddress) -> None:
    assert turn_address(url) == address


def test_a_store_password_is_not_shown() -> None:
    assert "hunter2" not in repr(settings(redis_url="redis://:hunter2@store.example.org"))


def test_default_data_dir_follows_the_base_directories() -> None:
    assert default_data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/quietroom")
    assert default_data_dir({"HOME": "/home/quietroom"}) == Path("/home/quietroom/.local/share/quietroom")


def test_relative_paths_survive_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({}, data_dir="data").data_dir == tmp_path / "data"


@given(st.text(max_size=80))
def test_any_public_url_is_taken_or_refused(text: str) -> None:
    try:
        url = settings(public_url=text).public_url
    except SettingsError:
        return
    assert url.startswith(("http://", "https://"))
    assert " " not in url


def test_loopback_names() -> None:
    assert all(map(is_loopback_name, ["localhost", "a.localhost", "127.0.0.1", "::1"]))
    assert not any(map(is_loopback_name, ["localhost.example.org", "192.0.2.1", "visit.example.org"]))


def test_whip_is_off_unless_switched_on(tmp_path: Path) -> None:
    environ = {"QUIETROOM_DATA_DIR": str(tmp_path)}
    assert not read_settings(environ).whip
    assert not read_settings(environ | {"QUIETROOM_WHIP": "0"}).whip
    assert read_settings(environ | {"QUIETROOM_WHIP": "1"}).whip


def test_media_over_tcp_has_the_number_that_browsers_know(tmp_path: Path) -> None:
    pair: dict[str, Any] = {"tls_cert": tmp_path / "cert", "tls_key": tmp_path / "key"}
    public = "https://visit.example.org"
    more: dict[str, Any] = {"host": "0.0.0.0", "media_host": "203.0.113.7", "public_url": public}
    assert Settings(data_dir=tmp_path, **more, **pair).tcp_port == 443  # whatever it is mapped to
    many = Settings(data_dir=tmp_path, workers=3, **(more | {"public_url": "https://a.example:8443"}), **pair)
    assert (many.tcp_port, many.media_ports) == (8443, (8444, 8445, 8446))
    assert Settings(data_dir=tmp_path, port=8080).tcp_port == 8080
    several = Settings(data_dir=tmp_path, behind_proxy=True, workers=4, **more)
    assert (several.tcp_port, several.media_ports) == (8444, (8444, 8445, 8446, 8447))
    around = Settings(data_dir=tmp_path, behind_proxy=True, workers=3, media_port=8442, **more)
    assert (around.tcp_port, around.media_ports) == (8442, (8442, 8444, 8445))  # one is the proxy's
    assert Settings(data_dir=tmp_path, behind_proxy=True, media_port=9000, **more).tcp_port == 9000
