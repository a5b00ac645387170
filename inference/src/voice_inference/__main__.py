"""The command line: ``voice-inference serve``, the default without arguments, and ``voice-inference key``."""

from __future__ import annotations

import argparse
import contextlib
import logging
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from voice_inference.access import key_command
from voice_inference.api import accounting
from voice_inference.api.app import create_app
from voice_inference.api.connections import guarded_protocol
from voice_inference.api.middleware import BODY_LIMIT
from voice_inference.api.services import build_services
from voice_inference.errors import InvalidSettings
from voice_inference.settings import Settings, add_flags, read_settings
from voice_store import ENVIRONMENT_HELP
from voice_store.printable import PrintableFormatter

BACKLOG = 2048  # as uvicorn's own
EX_USAGE = 64  # of sysexits.h, as in the other programs of this project


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="voice-inference", description="Text to speech with the desired voices.")
    parser.add_argument("--version", action="version", version=version("voice-inference"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve_parser = commands.add_parser(
        "serve",
        help="answer HTTP requests",
        description="Load the desired voices and answer HTTP requests.",
        epilog=ENVIRONMENT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = add_flags(serve_parser)
    key_command.add_parser(commands.add_parser)
    given = sys.argv[1:] if arguments is None else arguments
    flags = parser.parse_args(given or ["serve"])  # a pod has its settings in the environment
    try:
        if flags.command == "key":
            key_command.run(flags)
        else:
            serve(read_settings(source, flags))
    except InvalidSettings as error:
        print(f"voice-inference: {error}", file=sys.stderr)  # noqa: T201 -- what is wrong is known before anything runs
        return EX_USAGE
    return 0


def serve(settings: Settings) -> None:
    """Answer requests until SIGTERM or SIGINT; running requests may finish within the grace period."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[lines])
    if settings.access_log:
        accounting.log_to(sys.stdout)
    config = config_of(create_app(build_services(settings)), settings)
    everywhere = settings.host == "*"
    uvicorn.Server(config).run(listen_everywhere(settings.port) if everywhere else None)


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves the app."""
    return uvicorn.Config(
        app,
        http=guarded_protocol(settings.max_connections, settings.request_seconds, settings.write_seconds),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=settings.log_level == "debug",
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
        ws="websockets-sansio",
        ws_max_size=BODY_LIMIT,
        ws_per_message_deflate=False,  # audio does not become smaller
    )


def listen_everywhere(port: int) -> list[socket.socket]:
    """Return sockets on all addresses: of IPv4, and of IPv6 where the machine has it."""
    sockets = [socket.create_server(("", port), backlog=BACKLOG)]
    with contextlib.suppress(OSError):  # no IPv6, or switched off
        port = sockets[0].getsockname()[1]
        sockets.append(socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG))
    return sockets


if __name__ == "__main__":
    sys.exit(main())
