"""The file server for tests of downloads."""

from tests.datasets.file_server import server

__all__ = ["server"]
