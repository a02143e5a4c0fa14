import sys

import pytest

from lmclassify import LMClassifier
from lmclassify.cli.main import main
from lmclassify.errors import OptionError
from tests.conftest import SMALL, run_cli


def test_without_ray_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = run_cli("fit", "--engine", "ray", "-o", "model", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == b"lmclassify: error: --engine ray needs Ray: pip install 'lmclassify[ray]'\n"
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("option", [("--address", "auto"), ("--shards", "2"), ("--storage", "there")])
def test_options_of_a_cluster_need_one(option, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lmclassify", "fit", *option, "-o", str(tmp_path / "model")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "add --engine ray" in capsys.readouterr().err


def test_a_cluster_trains_on_processors():
    with pytest.raises(OptionError, match="device must be auto or cpu"):
        LMClassifier(**SMALL, device="cuda").fit(["a", "b"], ["x", "y"], cluster=object())
