"""Kill commands that write at random moments. A script to run by hand; it takes minutes.

    python -m tests.long.kill_commands 200

It starts `fit`, `update`, `add-label` and `predict -o` in turn, over an existing model or file, and kills each with
SIGKILL: half of them at a random moment, the others within milliseconds of the first file written. Afterwards
the old model or file must be complete, or the new one.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import lmclassify
from lmclassify.persistence.reading import read_model

SUBJECTS = Path(__file__).parents[1] / "sample" / "subjects.csv"
MAX_DELAY = 0.05  # seconds from the first file written to the kill; a commit takes less


def main() -> None:
    """Kill as many commands as the command line says, and print what was left."""
    count, rng = int(sys.argv[1]), random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        outcomes = kill(count, rng, folder)
    for name, times in sorted(outcomes.items()):
        print(f"{name}: {times}")
    sys.exit(any(name.endswith("lost") for name in outcomes))


def kill(count: int, rng: random.Random, folder: Path) -> Counter[str]:
    """Kill commands that write into copies of a model and a file; count the outcomes."""
    rows = SUBJECTS.read_text(encoding="utf-8").splitlines()
    (folder / "data.csv").write_text("\n".join(rows[:80]) + "\n")
    (folder / "more.csv").write_text("\n".join(rows[:1] + rows[80:100]) + "\n")
    (folder / "texts.txt").write_text("\n".join(row.split(",")[0] for row in rows[100:130]) + "\n")
    small = ["--recipe", "plain", "--max-epochs", "1", "--num-lstm-units", "8", "--vocab-size", "100"]
    commands = {
        "fit": ["fit", "data.csv", *small, "--seed", "1", "-o", "model"],
        "update": ["update", "more.csv", "-m", "model"],
        "add-label": ["add-label", "notice", "texts.txt", "-m", "model"],
        "predict": ["predict", "data.csv", "-m", "old-model", "-o", "out.csv"],
    }
    run(folder, ["fit", "data.csv", *small, "-o", "old-model"])
    (folder / "old-out.csv").write_bytes(b"old\n")
    seconds = {}
    for name, command in commands.items():
        restore(folder)
        started = time.monotonic()
        run(folder, command)
        seconds[name] = time.monotonic() - started
    complete_out = (folder / "out.csv").read_bytes()
    outcomes: Counter[str] = Counter()
    for number in range(count):
        name = list(commands)[number % len(commands)]
        restore(folder)
        process = start(folder, commands[name])
        if number // len(commands) % 2:
            wait_for_draft(folder, process)
            time.sleep(rng.uniform(0.0, MAX_DELAY))
        else:
            time.sleep(rng.uniform(0.0, seconds[name]))
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        left = outcome(folder, name, complete_out)
        outcomes[f"{name}, {'killed' if killed else 'had ended'}: {left}"] += 1
        if number % 20 == 19:
            print(f"{number + 1} of {count}: {dict(outcomes)}", file=sys.stderr, flush=True)
    return outcomes


def outcome(folder: Path, name: str, complete_out: bytes) -> str:
    """Return "old" or "new" if that one is complete; else what is lost."""
    if name == "predict":
        out = (folder / "out.csv").read_bytes()
        return "old" if out == b"old\n" else "new" if out == complete_out else "lost"
    try:
        lmclassify.load(folder / "model").predict(["a text"])
        found, old = read_model(folder / "model"), read_model(folder / "old-model")
    except lmclassify.LMClassifyError as error:
        return f"{error}: lost"
    return "old" if found == old else "new" if found.config != old.config and found.training else "lost"


def restore(folder: Path) -> None:
    """Restore the old model and the old file."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    shutil.copytree(folder / "old-model", folder / "model")
    shutil.copy(folder / "old-out.csv", folder / "out.csv")
    for draft in folder.glob(".out.csv.*"):
        draft.unlink()


def start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a command on one thread."""
    arguments = [sys.executable, "-m", "lmclassify", *command, "--threads", "1", "-q"]
    return subprocess.Popen(arguments, cwd=folder, stderr=subprocess.DEVNULL)


def run(folder: Path, command: list[str]) -> None:
    """Run a command until it ends."""
    if start(folder, command).wait():
        raise RuntimeError(f"{command} failed")


def wait_for_draft(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a command has written a new file, or has ended."""
    before = set(os.listdir(folder / "old-model"))
    while process.poll() is None:
        new = set(os.listdir(folder / "model")) - before
        if any(name[0].isdigit() for name in new) or any(folder.glob(".out.csv.*")):
            return
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
