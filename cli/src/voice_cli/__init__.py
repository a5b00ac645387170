"""``kubectl voice``: what people and pipelines do with voices, through their own kubectl and their own keys."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("voice-cli")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0"
