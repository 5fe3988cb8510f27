"""The ``quietroom`` command: serve, look whether all is well, and what ``signaling.commands`` offers beside.

What went wrong is said in a sentence with its remedy, never as a traceback.

    exit code 0   done            1   not possible, or not healthy            2   the command line is wrong
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import click

from broker.errors import QuietroomError
from signaling import commands, logs
from signaling.commands import WHERE, known_settings, options, run_to_end
from signaling.settings import MAX_DRAIN, SERVING, Settings, read_settings, remember

if TYPE_CHECKING:  # what a command needs is imported when it runs, so that each starts quickly
    from signaling.app import Server
    from signaling.workers import Supervisor

_REMEDIES: Final = {
    "audit-unavailable": "Run `quietroom doctor` to see why.",
    "data-directory-busy": "Stop the other server, or give this one its own --data-dir.",
    "no-store-server": "`quietroom doctor` tells more.",
    "unsafe-files": "Give it to the user who runs Quietroom, and to nobody else: chown, then chmod 700.",
    "no-practice": "Give the --data-dir that the server uses, or begin with: "
    "quietroom staff add NAME --role therapist",
    "no-session": "`quietroom status` lists the open ones.",
    "no-staff": "Check the spelling, and --data-dir.",
    "bad-window": "See `quietroom book --help` for how to write times.",
    "busy": "Try again in a moment.",
    "cannot-unseal": "The keys are not the ones this was sealed with; restore the right --keys-dir.",
}


class _Commands(click.Group):
    """Turns what goes wrong into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except QuietroomError as error:
            raise click.ClickException(explain(error)) from None
        except (click.exceptions.Exit, click.ClickException, click.Abort, KeyboardInterrupt):
            raise
        except BrokenPipeError:  # the reader of a pipe had enough; click ends quietly
            raise
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise click.ClickException(
                f"The system refused: {error.strerror or type(error).__name__}{where}. Check path and rights."
            ) from None
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise click.ClickException(
                f"Something went wrong in Quietroom: {type(error).__name__} at {place.name}:{place.lineno}. "
                "Nothing private is in this line; please report it, and run `quietroom doctor`."
            ) from None


def explain(error: QuietroomError) -> str:
    """An error as a sentence with its remedy."""
    remedy = _REMEDIES.get(error.code, "")
    return f"{error.text} {remedy}".strip()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("quietroom"), prog_name="quietroom")
def main() -> None:
    """Private video visits with a waiting room, for practices that treat couples and individuals.

    Every option can also be set in the environment: QUIETROOM_PORT for --port, and so on.
    """


for command in (commands.book, commands.status, commands.end, commands.staff, commands.audit):
    main.add_command(command)


# ---- serving --------------------------------------------------------------------------------------------


@main.command()
@options(*SERVING, *WHERE)
@click.option(
    "--drain",
    type=click.IntRange(0, MAX_DRAIN),
    help="Seconds that SIGTERM lets running visits go on. [3600]",
)
@click.option("--self-signed", is_flag=True, help="Make a certificate for a first try in this network.")
def serve(self_signed: bool, **flags: Any) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    from signaling import app, process
    from signaling.tls import try_pair

    if self_signed:
        flags = _with_self_signed(flags)
    settings = read_settings(**flags)
    if settings.tls_cert is not None and settings.tls_key is not None:
        try_pair(settings.tls_cert, settings.tls_key)  # before anything is started
    logs.configure("info")

    def tell(server: Server | Supervisor, *media_ports: int) -> None:
        remember(server.settings)
        media = ways_of_media(server.settings, media_ports)
        click.echo(f"Quietroom is at {server.url}  ({media}). Ctrl-C stops it.")

    async def ready(server: Server) -> None:
        tell(server, server.media_port)

    if settings.workers == 1:
        process.run(app.serve(settings, ready))
    else:
        from signaling import workers

        process.run(workers.serve(settings, lambda node: tell(node, *node.media_ports)))


def ways_of_media(settings: Settings, ports: Sequence[int]) -> str:
    """Where browsers send media, over UDP and over TCP, in words for the operator.

    Args:
        settings: of a server that has started.
        ports: the UDP ports of its workers.
    """
    udp = f"media at {settings.media_host}: UDP {', '.join(map(str, ports))}"
    if settings.tcp_port is None:
        return f"{udp}; TCP nowhere, so where UDP is blocked nobody gets through: quietroom doctor tells more"
    tcp = ports if settings.behind_proxy else (settings.tcp_port,)
    return f"{udp}; TCP {', '.join(map(str, tcp))} where UDP is blocked"


@main.command()
@options("port", "data_dir")
def demo(**flags: Any) -> None:
    """Run the server with a demo practice on http://localhost:8080 and say what to do."""
    from signaling.demo import run_demo

    run_demo(flags)


def _with_self_signed(flags: dict[str, Any]) -> dict[str, Any]:
    """Fill in what a first try on a phone needs: all addresses, a certificate, the address to open."""
    from signaling.tls import fingerprint, names_of_this_machine, self_signed

    if flags["tls_cert"] or flags["tls_key"] or flags["behind_proxy"]:
        raise click.UsageError("--self-signed makes its own certificate: leave the other TLS options out.")
    # Read once as if on loopback, for the data directory, the port and an address given otherwise.
    known = read_settings(**{**flags, "host": "127.0.0.1", "public_url": None})
    wanted = {name for name in (flags["media_host"], flags["host"]) if name}
    names = [*names_of_this_machine(), *sorted(wanted - {"0.0.0.0", "::", "localhost"})]
    cert, key = self_signed(known.data_dir / "tls", names)
    host = flags["host"] or "0.0.0.0"
    # The fourth name is the address on the local network, which a phone beside us can open.
    address = next((name for name in names[3:] if name[:1].isdigit()), "localhost")
    if host not in {"0.0.0.0", "::"}:
        address = f"[{host}]" if ":" in host else host
    click.echo(
        "Browsers will warn about this self-signed certificate: it is for a first try only.\n"
        f"To be sure that a browser shows you this very one, compare its SHA-256 fingerprint:\n"
        f"  {fingerprint(cert)}\n"
    )
    return {
        **flags,
        "host": host,
        "public_url": flags["public_url"] or f"https://{address}:{known.port}",
        "tls_cert": cert,
        "tls_key": key,
    }


# ---- doctor ---------------------------------------------------------------------------------------------


@main.command()
@click.option("--live", "only_live", is_flag=True, help="Only whether the server answers, for health checks.")
@options(*SERVING, *WHERE)
def doctor(only_live: bool, **flags: Any) -> None:
    """Look whether Quietroom can run here; each thing that is not right comes with its remedy.

    Without options it looks at what the server was started with last.
    """
    from signaling.doctor import Verdict, examine, live

    settings = known_settings(flags)
    if only_live:
        if not live(settings):
            raise click.ClickException(f"No server answers on port {settings.port}.")
        click.echo("The server answers.")
        return

    async def work() -> bool:
        healthy = True
        async for finding in examine(settings):
            healthy &= finding.verdict is not Verdict.FAILED
            mark = {Verdict.OK: "ok    ", Verdict.NOTE: "note  ", Verdict.FAILED: "FAILED"}[finding.verdict]
            click.echo(f"{mark}  {finding.topic:<12} {finding.text}")
            if finding.remedy:
                click.echo(f"{'':<22}→ {finding.remedy}")
        return healthy

    if not run_to_end(work()):
        sys.exit(1)


if __name__ == "__main__":
    main()
