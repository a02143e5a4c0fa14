import socket
import sys

import pytest

from lmclassify.cluster.connection import connect
from lmclassify.errors import OptionError


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(OptionError, match=r"^--engine ray needs Ray: .*pip install .*\[ray\]'$"),
        connect(),
    ):
        pass


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "http://head:6379", ""])
def test_an_address_is_auto_or_host_and_port(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("lmclassify.cluster.connection.require_ray", lambda: None)
    with pytest.raises(OptionError, match="neither auto nor HOST:PORT"), connect(address):
        pass


def test_where_nothing_listens_no_cluster_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmclassify.cluster.connection.require_ray", lambda: None)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, so nobody else's, and not listening
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(OptionError, match=f"'{address}': no Ray cluster answers"), connect(address):
            pass
