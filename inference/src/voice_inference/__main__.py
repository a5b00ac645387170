"""The command line: ``voice-inference serve``, the default without arguments, ``key`` and ``detect``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version

import uvicorn

from voice_inference import detect_command, logs
from voice_inference.access import key_command
from voice_inference.api import accounting
from voice_inference.api.app import create_app
from voice_inference.api.connections import FrugalLoop, guarded_protocol, guarded_socket_protocol, listen
from voice_inference.api.middleware import BODY_LIMIT
from voice_inference.api.services import Services, build_services
from voice_inference.errors import InvalidSettings
from voice_inference.settings import Settings, add_flags, read_settings
from voice_store import ENVIRONMENT_HELP

EX_USAGE = 64  # of sysexits.h, as in the other programs of this project

log = logging.getLogger(__name__)


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
    detect_command.add_parser(commands.add_parser)
    given = sys.argv[1:] if arguments is None else arguments
    flags = parser.parse_args(given or ["serve"])  # a pod has its settings in the environment
    try:
        if flags.command == "detect":
            return detect_command.run(flags)
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
    logs.configure(settings.log_level, settings.log_format)
    if settings.access_log:
        accounting.log_to(sys.stdout)
    services = build_services(settings)
    sockets = listen(settings.host, settings.port, settings.max_connections)
    for one in sockets:
        log.info("running on %s", _url(one, is_tls=settings.tls is not None))
    Server(config_of(services), services.ending).run(sockets)


class Server(uvicorn.Server):
    """uvicorn's, which tells the sessions of WebSockets that the process is to end."""

    def __init__(self, config: uvicorn.Config, ending: asyncio.Event) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End connections, and wait for what is being answered."""
        self._ending.set()
        await super().shutdown(sockets)


def _url(listener: socket.socket, *, is_tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def config_of(services: Services) -> uvicorn.Config:
    """Return how uvicorn serves the app of these services."""
    settings, certificate = services.settings, services.certificate
    return uvicorn.Config(
        create_app(services),
        loop=f"{FrugalLoop.__module__}:{FrugalLoop.__name__}",
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        http=guarded_protocol(settings.request_seconds, settings.write_seconds),
        log_config=None,
        access_log=settings.log_level == "debug",
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
        ws=guarded_socket_protocol(settings.write_seconds),
        ws_ping_timeout=None,  # a pong waits behind what is to be read; who reads nothing is left by write_seconds
        ws_max_size=BODY_LIMIT,
        ws_per_message_deflate=False,  # audio does not become smaller
    )


if __name__ == "__main__":
    sys.exit(main())
