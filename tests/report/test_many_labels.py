import subprocess
import sys

import pytest

from lmclassify.report.many_labels import cost_of


def test_the_cost_of_a_command():
    cost = cost_of([sys.executable, "-c", "import time; block = bytearray(50_000_000); time.sleep(0.3)"])
    assert cost.seconds > 0.3
    assert 50 < cost.megabytes < 500


def test_a_command_that_fails():
    with pytest.raises(subprocess.CalledProcessError):
        cost_of([sys.executable, "-c", "raise SystemExit(3)"])
