"""A port of this machine on which nobody listens."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Let the kernel choose one; it stays free for a while, not for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
