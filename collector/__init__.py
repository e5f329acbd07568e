"""wef-collector: receives Windows events over WinRM, and says what became of each of them."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wef-collector")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
