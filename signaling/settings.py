"""What a Quietroom server is told: where to listen, under which address, with which store and keys.

Every value comes from a flag, else from the environment (``QUIETROOM_PORT`` for ``--port``), else from the
default here. Settings that contradict each other are refused at once with a sentence that says what to do, so
that nothing starts half right. The one rule that protects patients: plain HTTP is spoken on loopback only,
unless the operator says that a proxy in front terminates TLS (A20).

One number serves both ports: TCP for pages and signaling, UDP for media. Where a network blocks UDP, media
takes the TCP port too. A proxy passes no media on, so behind one media has the next number, for UDP and TCP.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from broker.errors import BadInput

DEFAULT_PORT: Final = 8443
MAX_WORKERS: Final = 64
MAX_DRAIN: Final = 24 * 3600
PREFIX: Final = "QUIETROOM_"

_SERVING_FILE: Final = "serving.json"
SERVING: Final = (
    "host",
    "port",
    "media_host",
    "media_port",
    "public_url",
    "tls_cert",
    "tls_key",
    "behind_proxy",
    "workers",
)
"""The settings that say how a server is reached; noted for commands beside it."""

_TOKEN = re.compile(r"[!-~]{16,128}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HOST_NAME = re.compile(
    r"[a-z0-9.-]{1,253}|[0-9a-f:.]{2,45}"
)  # as urlsplit gives it: small, without brackets
_TURN_URL = re.compile(
    r"turns?:(?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?(\?transport=(udp|tcp))?"
)
_MAX_TURN_URLS: Final = 4  # browsers slow down with more
_SECRET = re.compile(r"[!-~]{16,256}")
_YES = {"1", "true", "yes", "on"}
_NO = {"", "0", "false", "no", "off"}


class SettingsError(BadInput):
    """The operator's mistake; the text is a sentence for them and says what to do."""

    def __init__(self, text: str) -> None:
        super().__init__("bad-settings", text)


def _fresh_node() -> str:
    return f"n-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process, checked.

    Attributes:
        data_dir: everything this server keeps lives below it.
        keys_dir: key files; defaults to ``data_dir/keys``. Better on another disk than the store: whoever
            steals the store's disk alone can then read nothing sealed.
        host: IP address to listen on, for TCP; ``localhost`` is taken as 127.0.0.1.
        port: TCP port for pages and signaling; 0 lets the system choose (tests).
        media_host: IP address that browsers send media to, written into the offers; defaults to ``host``, or
            to the address of the default route when ``host`` is a wildcard or hidden behind a proxy.
        media_port: UDP port for media, behind a proxy TCP as well; defaults to the number of ``port``, behind
            a proxy to the one above.
        public_url: what browsers have in their address bar, without a path; links are made from it and the
            Origin check compares with it. Defaults to what ``host`` and ``port`` imply.
        redis_url: an external store; ``None`` starts the embedded one. May hold a password: not in ``repr``.
        tls_cert: certificate chain, PEM.
        tls_key: its private key, PEM.
        behind_proxy: a proxy in front terminates TLS and passes plain HTTP on to us.
        workers: processes that run rooms, one core each; every one has a media port of its own, counted up
            from ``media_port``; see ``media_ports``.
        drain: seconds for which SIGTERM lets running visits go on before the server stops.
        whip: programs may publish for a patient's seat (RFC 9725); off unless switched on.
        metrics_token: whoever shows it may read ``/metrics``; ``None``: only who asks from this machine. No
            flag, since others on the machine can read those.
        turn_urls: TURN servers beside our own, such as ``turn:turn.example.org:3478``, for browsers.
        turn_secret: the secret shared with them (coturn's ``static-auth-secret``). No flag either.
        pages_salt: goes into the addresses of the pages' files: with another one browsers load all anew.
        practice: prefix of this practice's keys in the store.
        node: names this process in the audit stream; fresh for each process, so that two never share one.

    Raises:
        SettingsError: values that contradict each other or cannot be used; the text names the remedy.
    """

    data_dir: Path
    keys_dir: Path = Path()
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    media_host: str = ""
    media_port: int = -1
    public_url: str = ""
    redis_url: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    workers: int = 1
    drain: int = 3600
    whip: bool = False
    metrics_token: str | None = field(default=None, repr=False)
    turn_urls: tuple[str, ...] = ()
    turn_secret: str | None = field(default=None, repr=False)
    pages_salt: str = field(default="", repr=False)
    practice: str = "main"
    node: str = field(default_factory=_fresh_node)

    def __post_init__(self) -> None:
        """Fill in what follows from other values, then check all of it."""
        fill = object.__setattr__  # the documented way to set a field of a frozen dataclass from inside
        fill(self, "data_dir", Path(self.data_dir))
        fill(self, "keys_dir", self.data_dir / "keys" if self.keys_dir == Path() else Path(self.keys_dir))
        fill(self, "host", "127.0.0.1" if self.host == "localhost" else self.host)
        address = _address(self.host, "--host")
        _check_port(self.port, "--port")
        if self.media_port == -1:
            fill(self, "media_port", self.port + (self.behind_proxy and self.port != 0))
        _check_port(self.media_port, "--media-port")
        if not 1 <= self.workers <= MAX_WORKERS:
            raise SettingsError(f"--workers is between 1 and {MAX_WORKERS}; one per processor core is right.")
        if self.media_ports[-1] > 65_535:
            raise SettingsError("Each worker has a media port of its own: give a lower --media-port.")
        if not 0 <= self.drain <= MAX_DRAIN:
            raise SettingsError(f"--drain is a number of seconds, at most {MAX_DRAIN}; 0 waits for nobody.")
        self._check_tls(address)
        fill(self, "public_url", self._public_url(address))
        fill(self, "media_host", self._media_host(address))
        if self.redis_url is not None and urlsplit(self.redis_url).scheme not in {"redis", "rediss", "unix"}:
            raise SettingsError(
                "The store's URL must begin with redis://, rediss:// or unix:// (--redis-url)."
            )
        if self.metrics_token is not None and not _TOKEN.fullmatch(self.metrics_token):
            raise SettingsError(
                "QUIETROOM_METRICS_TOKEN is 16 to 128 letters, digits and signs: openssl rand -hex 16."
            )
        if self.pages_salt and not _TOKEN.fullmatch(self.pages_salt):
            raise SettingsError(
                "QUIETROOM_PAGES_SALT is 16 to 128 letters, digits and signs: openssl rand -hex 16."
            )
        self._check_turn()
        for name, value in (("practice", self.practice), ("node", self.node)):
            if not _NAME.fullmatch(value):
                raise SettingsError(f"--{name} may hold up to 32 small letters, digits and dashes.")

    @property
    def secure(self) -> bool:
        """Whether this process speaks TLS itself."""
        return self.tls_cert is not None

    @property
    def media_bind(self) -> str:
        """IP address to bind the media port to; a proxy carries no media, so then it is a reachable one."""
        if not self.behind_proxy:
            return self.host
        return "::" if ":" in self.media_host else "0.0.0.0"

    @property
    def tcp_port(self) -> int | None:
        """The TCP port that browsers reach for media: the one of the pages, unless a proxy has it.

        Behind a proxy it is the number of the first media port; ``None`` where that was told to be the web
        port's as well.
        """
        if self.behind_proxy:
            first = self.media_ports[0]
            return None if first == self.port != 0 else first
        url = urlsplit(self.public_url)  # not what we listen on: something may pass 443 on to us
        return url.port or {"http": 80, "https": 443}[url.scheme]

    @property
    def media_ports(self) -> tuple[int, ...]:
        """The media port of each worker, UDP, and behind a proxy TCP; 0 where the system chooses.

        Several workers all accept from the web port, so its number is left out.
        """
        if self.workers == 1 or self.media_port == 0:
            return (self.media_port,) * self.workers
        numbers = range(self.media_port, self.media_port + self.workers + 1)
        return tuple(number for number in numbers if number != self.port)[: self.workers]

    @property
    def store_dir(self) -> Path:
        """Where the embedded store keeps its files."""
        return self.data_dir / "store"

    def bound_to(self, port: int, media_port: int) -> Settings:
        """The same settings with the ports that the system chose in place of 0."""
        implied = not self.behind_proxy and self.public_url == self._implied_url(ip_address(self.host))
        return replace(self, port=port, media_port=media_port, public_url="" if implied else self.public_url)

    def _check_tls(self, address: IPv4Address | IPv6Address) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("A certificate needs its key: give --tls-cert and --tls-key together.")
        if self.secure and self.behind_proxy:
            raise SettingsError(
                "Either this server terminates TLS (--tls-cert, --tls-key) or a proxy does (--behind-proxy): "
                "give only one of them."
            )
        if not (self.secure or self.behind_proxy or address.is_loopback):
            raise SettingsError(
                f"Plain HTTP is refused on {self.host}: others could read along, browsers give no camera. "
                "Give --tls-cert and --tls-key, or --self-signed for a first try, "
                "or --behind-proxy when a proxy terminates TLS."
            )

    def _check_turn(self) -> None:
        if bool(self.turn_urls) != (self.turn_secret is not None):
            raise SettingsError(
                "A TURN server needs its shared secret: give QUIETROOM_TURN_URLS and QUIETROOM_TURN_SECRET "
                "together."
            )
        if len(self.turn_urls) > _MAX_TURN_URLS or not all(map(_is_turn_url, self.turn_urls)):
            raise SettingsError(
                "QUIETROOM_TURN_URLS holds up to four addresses with commas between them, each like "
                "turn:turn.example.org:3478?transport=udp or turns:turn.example.org:5349?transport=tcp"
            )
        if self.turn_secret is not None and not _SECRET.fullmatch(self.turn_secret):
            raise SettingsError(
                "QUIETROOM_TURN_SECRET is 16 to 256 letters, digits and signs, the same as the TURN server's "
                "static-auth-secret: openssl rand -hex 32."
            )

    def _implied_url(self, address: IPv4Address | IPv6Address) -> str:
        scheme = "https" if self.secure else "http"
        name = (
            "localhost" if address.is_loopback else f"[{address}]" if address.version == 6 else str(address)
        )
        default = 443 if self.secure else 80
        return f"{scheme}://{name}" if self.port == default else f"{scheme}://{name}:{self.port}"

    def _public_url(self, address: IPv4Address | IPv6Address) -> str:
        if not self.public_url:
            if self.behind_proxy or address.is_unspecified:
                raise SettingsError(
                    "Say under which address browsers reach this server: --public-url https://visit.example.org"
                )
            return self._implied_url(address)
        url = urlsplit("")
        try:
            url = urlsplit(self.public_url)
            usable = (
                url.scheme in {"http", "https"}
                and _HOST_NAME.fullmatch(url.hostname or "")
                and url.port != 0
                and not (url.username or url.password or url.query or url.fragment)
                and url.path in {"", "/"}
            )
        except ValueError:  # a port that is no number, an unclosed bracket
            usable = False
        if not usable:
            raise SettingsError(
                "--public-url is a scheme, a name and perhaps a port, such as https://visit.example.org"
            )
        if url.scheme == "http" and not (is_loopback_name(url.hostname or "") and not self.secure):
            raise SettingsError("--public-url must begin with https:// (only localhost may do without).")
        # Browsers write an origin in small letters and leave the usual port out; to compare, so do we.
        name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        usual = {"http": 80, "https": 443}[url.scheme]
        return f"{url.scheme}://{name}" if url.port in {None, usual} else f"{url.scheme}://{name}:{url.port}"

    def _media_host(self, address: IPv4Address | IPv6Address) -> str:
        if self.media_host:
            given = _address(
                "127.0.0.1" if self.media_host == "localhost" else self.media_host, "--media-host"
            )
            if given.is_unspecified:
                raise SettingsError(
                    "--media-host is written into every offer: give the address browsers can reach."
                )
            return str(given)
        if not (address.is_unspecified or self.behind_proxy):
            return str(address)
        found = lan_address(6 if address.version == 6 and address.is_unspecified else 4)
        if found is None:
            raise SettingsError(
                "No network address was found to announce for media: give it with --media-host 203.0.113.7"
            )
        return found


def read_settings(environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Settings from flags, then the environment, then defaults.

    Args:
        environ: the environment; ``None`` for this process's own.
        flags: fields of ``Settings``; ``None`` means that the flag was not given.

    Raises:
        SettingsError: see ``Settings``; also for a variable that cannot be read.
    """
    env = os.environ if environ is None else environ
    values: dict[str, object] = {name: flag for name, flag in flags.items() if flag is not None}
    for name in Settings.__dataclass_fields__:
        raw = env.get(PREFIX + name.upper(), "")
        if name in values or not raw:
            continue
        if name in {"port", "media_port"}:
            values[name] = _number(raw, PREFIX + name.upper(), "a port number between 1 and 65535")
        elif name in {"workers", "drain"}:
            values[name] = _number(raw, PREFIX + name.upper(), "a whole number")
        elif name in {"behind_proxy", "whip"}:
            values[name] = _truth(raw, PREFIX + name.upper())
        elif name in {"data_dir", "keys_dir", "tls_cert", "tls_key"}:
            values[name] = Path(raw)
        elif name == "turn_urls":
            values[name] = tuple(raw.replace(",", " ").split())
        else:
            values[name] = raw
    if not values.get("behind_proxy"):
        values.pop("behind_proxy", None)
    values.setdefault("data_dir", default_data_dir(env))
    for name in ("data_dir", "keys_dir", "tls_cert", "tls_key"):
        if isinstance(path := values.get(name), str | Path):
            values[name] = Path(path).expanduser().absolute()  # a later change of directory moves nothing
    return Settings(**values)  # type: ignore[arg-type]  # names are fields; __post_init__ checks the values


def remember(settings: Settings) -> None:
    """Note in the data directory how the server is being run, so that commands beside it need not be told.

    Args:
        settings: of a server that has started.
    """
    noted = {name: getattr(settings, name) for name in SERVING}
    text = json.dumps(
        {name: str(value) if isinstance(value, Path) else value for name, value in noted.items()}
    )
    draft = settings.data_dir / f".{_SERVING_FILE}.{secrets.token_hex(4)}"
    draft.write_text(text, encoding="utf-8")
    draft.replace(settings.data_dir / _SERVING_FILE)


def recall(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Flags of a command, completed by how the server on the same data directory was started last.

    Args:
        flags: fields of ``Settings``; ``None`` where the flag was not given.
        environ: the environment; ``None`` for this process's own.

    Returns:
        Flags for ``read_settings``. What was noted counts only if neither flags nor environment say anything
        about serving: half of one and half of the other would fit nothing.
    """
    env = os.environ if environ is None else environ
    if any(flags.get(name) is not None or env.get(PREFIX + name.upper()) for name in SERVING):
        return dict(flags)
    data_dir = Path(str(flags.get("data_dir") or env.get(f"{PREFIX}DATA_DIR") or default_data_dir(env)))
    try:
        noted = json.loads((data_dir.expanduser() / _SERVING_FILE).read_text(encoding="utf-8"))
        known = {name: noted[name] for name in SERVING}
        Settings(data_dir=data_dir, **known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SettingsError):
        return dict(flags)  # never served, or noted by another version: the defaults are as good
    return {**flags, **known}


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where data is kept when nobody says: the place that the XDG base directories give to an application."""
    home = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return Path(home) / "quietroom"


def is_loopback_name(name: str) -> bool:
    """Whether a URL's host name never leaves this machine, as browsers judge it."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def lan_address(version: int = 4) -> str | None:
    """The address that this machine uses on its default route; ``None`` without a network."""
    family, anywhere = (socket.AF_INET, "192.0.2.1") if version == 4 else (socket.AF_INET6, "2001:db8::1")
    try:
        # Connecting a UDP socket only picks a route; no packet leaves.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _address(text: str, flag: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise SettingsError(
            f"{flag} must be an IP address, such as 127.0.0.1, 0.0.0.0 (all) or 203.0.113.7."
        ) from None


def _check_port(port: int, flag: str) -> None:
    if not 0 <= port <= 65_535:
        raise SettingsError(f"{flag} must be a port number between 1 and 65535.")


def _number(text: str, name: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise SettingsError(f"{name} must be {what}.")
    return int(text)


@dataclass(frozen=True, slots=True)
class TurnAddress:
    """A TURN server as its URL names it (RFC 7065)."""

    host: str
    port: int
    tls: bool
    tcp: bool


def turn_address(url: str) -> TurnAddress:
    """Take a URL of ``Settings.turn_urls`` apart."""
    found = _TURN_URL.fullmatch(url)
    if found is None:
        raise AssertionError("Settings checks its TURN URLs.")
    tls = url.startswith("turns:")
    port = int(found["port"] or (5349 if tls else 3478))
    return TurnAddress(found["host"].strip("[]"), port, tls, tls or url.endswith("=tcp"))


def _is_turn_url(text: str) -> bool:
    # RFC 7065, without what no one writes; a URL that a browser refuses would end every visit.
    found = _TURN_URL.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 3478) <= 65_535:
        return False
    if text.startswith("turns:") and text.endswith("udp"):  # DTLS to the TURN server: browsers have none
        return False
    try:
        return not found["host"].startswith("[") or ip_address(found["host"][1:-1]).version == 6
    except ValueError:
        return False


def _truth(text: str, name: str) -> bool:
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    raise SettingsError(f"{name} must be 1 or 0.")
