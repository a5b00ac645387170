"""``kubectl-voice`` and ``voice``."""

from voice_cli.error_handlers import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
