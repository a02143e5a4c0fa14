import subprocess
import sys

import pytest

from benchmarks.resource_usage import measure_command, measure_lmclassify


@pytest.mark.long
def test_the_measure_command_a_command():
    mine = bytearray(400_000_000)  # is not the command's
    mine[::4096] = b"x" * len(mine[::4096])
    cost = measure_command(
        sys.executable, "-c", "import time; block = bytearray(50_000_000); time.sleep(0.3); print('x')"
    )
    assert cost.seconds > 0.3
    assert 50 < cost.megabytes < 150
    assert cost.output.strip() == b"x"


def test_a_command_that_fails(capfd):
    with pytest.raises(subprocess.CalledProcessError):
        measure_lmclassify("predict", "no such file")
    assert "no such file" in capfd.readouterr().err
