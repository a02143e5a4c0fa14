"""AdamW beside torch's own."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from lmclassify.lm.neural.optimizer import AdamW


@pytest.mark.parametrize("decay_all", [False, True])
def test_steps_are_those_of_torch(decay_all):
    torch.manual_seed(0)
    ours, torchs = nn.Linear(3, 4), nn.Linear(3, 4)
    torchs.load_state_dict(ours.state_dict())
    groups = [
        {"params": [torchs.weight]},
        {"params": [torchs.bias], "weight_decay": 0.3 if decay_all else 0.0},
    ]
    expected = torch.optim.AdamW(groups, lr=1.0, weight_decay=0.3)
    optimizer = AdamW(ours.parameters(), 0.3, 1.0, decay_all=decay_all)
    for step in range(5):
        values, rate = torch.randn(6, 3), 0.1 / (step + 1)
        for model in (ours, torchs):
            (100 * model(values)).square().mean().backward()
        nn.utils.clip_grad_norm_(torchs.parameters(), 1.0)
        for group in expected.param_groups:
            group["lr"] = rate
        expected.step()
        expected.zero_grad()
        optimizer.step(rate)
        assert all(parameter.grad is None for parameter in ours.parameters())
        for one, other in zip(ours.parameters(), torchs.parameters(), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.long
def test_training_does_not_import_the_compiler():
    """It takes more than a second to import; sympy, which old versions of torch need anyway, half a second."""
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    slow = {"torch._dynamo"} if version < (2, 13) else {"torch._dynamo", "sympy"}
    program = (
        "import sys; from lmclassify import LMClassifier;"
        "LMClassifier(recipe='plain', max_epochs=1, num_lstm_units=4).fit(['a b', 'c d'], ['x', 'y']);"
        f"sys.exit(bool({slow} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
