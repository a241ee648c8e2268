"""The commands, their arguments and options; what they do stands in a module each."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import cast

import click

from .._version import __version__
from ._border import EXIT_UNUSABLE, complain, exit_code_of_signal, report, run
from ._descriptors import hold_standard_streams

__all__ = ["run_command_line"]

_NAME = "hface-trio"


def run_command_line(arguments: Sequence[str] | None) -> int:
    """Read the arguments, run the command, and return the exit code."""
    hold_standard_streams()
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        cast("io.TextIOWrapper[io.BufferedWriter]", output).reconfigure(errors="backslashreplace")
    try:
        exit_code = _command_line.main(
            args=None if arguments is None else list(arguments), prog_name=_NAME, standalone_mode=False
        )
    except click.ClickException as exc:
        context = exc.ctx if isinstance(exc, click.UsageError) else None
        see = f" (see '{context.command_path} --help')" if context is not None else ""
        message = exc.format_message().rstrip(".")
        complain(f"{message[:1].lower()}{message[1:]}{see}")
        exit_code = EXIT_UNUSABLE
    except click.Abort:
        exit_code = exit_code_of_signal(signal.SIGINT)
    except Exception as exc:  # noqa: BLE001 - a bug: no traceback leaves the command
        exit_code = report(exc)
    _flush_output()
    return exit_code if isinstance(exit_code, int) else 0


def _flush_output() -> None:
    """Write what is buffered, now: at the interpreter's end a pipe that nobody reads would cost a message."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_seconds(context: click.Context, parameter: click.Parameter, seconds: float) -> float:
    """Refuse what is no span of time; ``inf`` is one."""
    if not seconds >= 0:  # true of nan, too
        raise click.BadParameter(f"{seconds:g} is not a span of time.", context, parameter)
    return seconds


_READABLE_FILE = click.Path(exists=True, dir_okay=False, readable=True)


@click.group(name=_NAME, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=_NAME, message="%(prog)s %(version)s")
def _command_line() -> None:
    """HTTP for trio, on the command line."""


@_command_line.command("demo", short_help="Serve and fetch, to see that it works.")
@click.option("--once", is_flag=True, help="End when everything was fetched; exit 0 only if all came back right.")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=0,
    metavar="N",
    help="Port for https, the next one for http; free ports unless given.",
)
def _demo(once: bool, port: int) -> int:
    """Serve over TLS, fetch from it over every HTTP version, print what came back.

    Then serve on, with a certificate made for the occasion, until Ctrl-C.
    """
    from ._demo import run_demo  # noqa: PLC0415 - each command imports what it needs

    return run(functools.partial(run_demo, once=once, port=port))


@_command_line.command("server", short_help="Serve a stream handler.")
@click.argument("handler", metavar="MODULE:HANDLER")
@click.argument("endpoints", metavar="ENDPOINT...", nargs=-1, required=True)
@click.option("--cert", type=_READABLE_FILE, metavar="FILE", help="Certificate chain, PEM, leaf first.")
@click.option(
    "--key", type=_READABLE_FILE, metavar="FILE", help="Its private key, PEM, unless the chain's file has it."
)
@click.option(
    "--grace",
    type=float,
    metavar="SECONDS",
    callback=_check_seconds,
    default=10.0,
    show_default=True,
    help="How long requests under way may go on after SIGINT or SIGTERM. A second signal ends them at once.",
)
@click.option("--access-log", is_flag=True, help="Print a line for every request.")
def _server(
    handler: str, endpoints: tuple[str, ...], cert: str | None, key: str | None, grace: float, access_log: bool
) -> int:
    """Serve a stream handler: an asynchronous function that takes an HTTPStream.

    An ENDPOINT is a URL such as http://localhost:8080, https://*:443, http://[::1]:0 (a free port) or
    http://unix:/run/app.sock.
    """
    from ._server import ServerOptions, run_server  # noqa: PLC0415

    options = ServerOptions(handler, endpoints, cert, key, grace, access_log)
    return run(functools.partial(run_server, options))


@_command_line.command("client", short_help="Fetch URLs.")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("-X", "--request", "method", metavar="METHOD", help="Method; GET, or POST with --data, unless given.")
@click.option("-d", "--data", metavar="DATA", help="Body to send, as it is; @FILE for a file's, @- for standard input.")
@click.option("-H", "--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="Field to send; repeatable.")
@click.option("-k", "--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--cacert", type=_READABLE_FILE, metavar="FILE", help="Trust these authorities, PEM, not the system's.")
@click.option("--http1.1", "version", flag_value="1.1", help="Speak HTTP/1.1.")
@click.option("--http2", "version", flag_value="2", help="Speak HTTP/2; without TLS by prior knowledge.")
@click.option("--http3", "version", flag_value="3", help="Speak HTTP/3.")
@click.option("-o", "--output", metavar="FILE", help="Write bodies to this file, as they arrive.")
@click.option("-i", "--include", is_flag=True, help="Write heads in front of bodies.")
@click.option("-v", "--verbose", is_flag=True, help="Print connections and heads on standard error.")
@click.option("-f", "--fail", is_flag=True, help="Fail on statuses from 400, without their bodies.")
def _client(
    urls: tuple[str, ...],
    method: str | None,
    data: str | None,
    headers: tuple[str, ...],
    insecure: bool,
    cacert: str | None,
    version: str | None,
    output: str | None,
    include: bool,
    verbose: bool,
    fail: bool,
) -> int:
    """Fetch URLs, one after the other, and write their bodies to standard output."""
    from ._client import ClientOptions, parse_field, run_client  # noqa: PLC0415

    async def fetch() -> int:
        fields = [parse_field(text) for text in headers]
        return await run_client(
            ClientOptions(urls, method, data, fields, insecure, cacert, version, output, include, verbose, fail)
        )

    return run(fetch)
