"""Fuzzes saved models: content is changed at random, and checksums are corrected.

Each case must be refused in one line that names a file, or be a model that works: its numbers are finite.

    python -m tests.persistence.fuzz_models 100000 [FIRST]

tries this number of cases from number FIRST on, and reports failures. A case is the same each time.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from lmclassify import FittedModel, LMClassifier, ModelError, load
from lmclassify.classify.storage import to_stored
from lmclassify.evaluation.model_info import model_info
from lmclassify.persistence import layout
from tests.conftest import bundled

_MAX_SECONDS = 60.0  # of a case, which usually takes milliseconds
_MAX_MEMORY = 200  # MB that a case may add
_TEXTS = ["Your invoice", "", "Ünïcode ▁ <begin> 漢字 \x00", "free " * 8]
_CASES_PER_LINE = 10_000  # of the progress
_RAW = "@raw{}@"
_RAW_VALUES = [
    "NaN",
    "-Infinity",
    "1e999",
    "-1e308",
    "1e-320",
    "9" * 400,
    "9" * 5000,
    "-0.0",
    "[" * 3000 + "]" * 3000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    '"\\ud800"',
    '"\\u0000"',
]
_VALUES = [None, True, False, 0, -1, 1, 2, 3, 10**9, 2**31, 2**63, 2**64, -(2**63), 0.5, -0.5, 1e9, 1e300]
_TEXT_VALUES = ["", "a", "../../x", "\x1b[31m", "a\nb", "‮", "<unknown>", "<0x41>", "▁", " ", "x" * 5000]
_NUMBERS = [
    np.nan,
    np.inf,
    -np.inf,
    0,
    -1,
    1,
    255,
    65504,
    1e30,
    -1e30,
    3e38,
    1e300,
    2.0**63,
    -(2.0**63),
    1e-40,
]
_TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


@dataclass
class Case:
    """A model to be changed."""

    config: dict[str, Any]
    files: list[layout.ModelFile]
    raw: list[str] = field(default_factory=list)


def seeds() -> list[layout.StoredModel]:
    """Return small models of every kind that is stored differently."""
    small = {"max_epochs": 1, "num_lstm_units": 3, "embedding_dim": 2, "random_state": 0, "vocab_size": 20}
    texts, labels = bundled(limit=24)
    return [
        to_stored(LMClassifier(**small, **other).fit(texts, labels).model_)
        for other in (
            {"recipe": "plain", "tokenizer": "word", "class_prior": {"spam": 0.4, "ham": 0.6}},
            {
                "recipe": "plain",
                "direction": "both",
                "cell": "gru",
                "num_lstm_layers": 2,
                "tie_weights": False,
            },
            {"recipe": "tuned", "keep_held_out": True},
        )
    ]


def _value(rng: random.Random, case: Case) -> Any:
    kind = rng.randrange(5)
    if kind == 0:
        case.raw.append(rng.choice(_RAW_VALUES))
        return _RAW.format(len(case.raw) - 1)
    if kind == 1:
        return rng.choice(_TEXT_VALUES)
    if kind == 2:
        return rng.choice(
            [[], {}, [[]], ["a"], [1, 2], {"a": 1}, [None], [0.5] * 3, ["a", "b"], [["a", "b", "c"]]]
        )
    return rng.choice(_VALUES)


def _containers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in JSON data with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _containers(inner)


def _change_json(rng: random.Random, case: Case, data: Any) -> None:
    candidates = list(_containers(data))
    if not candidates:
        return
    container, key = rng.choice(candidates)
    action = rng.randrange(6)
    if action == 0:
        del container[key]
    elif action == 1 and isinstance(container, list):
        container.insert(key, rng.choice([container[key], _value(rng, case)]))
    elif action == 2 and isinstance(container, dict):
        container[rng.choice(_TEXT_VALUES)] = _value(rng, case)
    elif action == 3 and isinstance(container, list):
        rng.shuffle(container)
    elif action == 4 and isinstance(container[key], (int, float)):
        container[key] = container[key] * rng.choice([-1, 0.5, 2, 1e6, 1e30])
    else:
        container[key] = _value(rng, case)


def _random_index(rng: random.Random, case: Case, suffix: str) -> int | None:
    """Return the index of a file with a suffix, None if there is none left."""
    candidates = [number for number, file in enumerate(case.files) if file.suffix == suffix]
    return rng.choice(candidates) if candidates else None


def _change_config(rng: random.Random, case: Case) -> None:
    _change_json(rng, case, case.config)


def _change_json_part(rng: random.Random, case: Case) -> None:
    index = _random_index(rng, case, "json")
    if index is None:
        return
    try:
        data = json.loads(case.files[index].content)
    except (ValueError, RecursionError):
        return
    if isinstance(data, (dict, list)) and data:
        _change_json(rng, case, data)
    _replace(case, index, json.dumps(data).encode())


def _change_arrays(rng: random.Random, case: Case) -> None:
    index = _random_index(rng, case, "safetensors")
    if index is None:
        return
    try:
        arrays = safetensors.numpy.load(case.files[index].content)
    except Exception:  # changed before
        return
    name = rng.choice([*sorted(arrays), "x"])
    if name in arrays:
        changed = _changed_array(rng, arrays[name].copy())
        action = rng.randrange(8)
        if action == 0:
            del arrays[name]
        elif action == 1:
            arrays[rng.choice(["x", "0.order", "layers.1.weight_hh_l0", name + "0"])] = arrays.pop(name)
        elif action == 2:
            arrays[name] = arrays[rng.choice(sorted(arrays))]
        else:
            arrays[name] = changed
    else:
        new = rng.choice(["x", "0.order", "0.contexts", "2.contexts", "7.word.2", "projection.weight", "\n"])
        arrays[new] = np.zeros(rng.choice([0, 1, 5]), np.float32)
    _replace(case, index, safetensors.numpy.save(arrays, {"lmclassify": "x"}))


def _changed_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    action = rng.randrange(7)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if action == 0:
            return array.astype(rng.choice(_TYPES))
        if action == 1:
            return rng.choice(
                [array[:-1], array[1:], array[:0], np.concatenate([array, array])] if array.ndim else [array]
            )
        if action == 2:
            return rng.choice(
                [
                    array.T.copy(),
                    array.reshape(-1),
                    array[np.newaxis],
                    array[..., np.newaxis],
                    np.array(array.sum(), dtype=array.dtype),
                ]
            )
        if action == 3:
            return np.full_like(array, np.array(rng.choice(_NUMBERS)).astype(array.dtype))
        if action == 4 and array.ndim:
            return np.flip(array).copy()
        flat = array.reshape(-1)
        for _ in range(rng.choice([1, 1, 5]) if flat.size else 0):
            flat[rng.randrange(flat.size)] = np.array(rng.choice(_NUMBERS)).astype(array.dtype)
        return flat.reshape(array.shape)


def _change_bytes(rng: random.Random, case: Case) -> None:
    index = rng.randrange(len(case.files))
    content = bytearray(case.files[index].content)
    action = rng.randrange(4)
    if action == 0:
        content = content[: rng.randrange(len(content) + 1)]
    elif action == 1:
        content += bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
    else:
        for _ in range(rng.choice([1, 2, 8])):
            if content:  # mostly in the header, where each byte means something
                content[rng.randrange(min(len(content), rng.choice([12, 400, 1 << 30])))] = rng.randrange(256)
    _replace(case, index, bytes(content))


def _change_header(rng: random.Random, case: Case) -> None:
    index = _random_index(rng, case, "safetensors")
    if index is None:
        return
    content = case.files[index].content
    length = int.from_bytes(content[:8], "little")
    if length > len(content):
        return
    header = content[8 : 8 + length].decode(errors="replace").rstrip()
    numbers = list(re.finditer(r"\d+", header))
    action = rng.randrange(5)
    if action == 0 and numbers:
        match = rng.choice(numbers)
        new = rng.choice(["0", "1", "-1", "1e3", str(2**31), str(2**62), str(2**64), "9" * 40, "4", "8"])
        header = header[: match.start()] + new + header[match.end() :]
    elif action == 1:
        types = '"BF16"', '"F8_E4M3"', '"C64"', '"F4"', '"X"', '"I64"', '"BOOL"', "[]"
        header = re.sub(r'"[FIU]\d+"', rng.choice(types), header, count=rng.choice([0, 1]))
    elif action == 2:
        header = "[" * 100_000
    elif action == 3:
        header = (
            "{"
            + ",".join(f'"{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for n in range(20_000))
            + "}"
        )
    raw = header.encode()
    size = rng.choice([len(raw)] * 5 + [0, 2**20, 2**27, 2**40, 2**63, 2**64 - 1])
    _replace(case, index, size.to_bytes(8, "little") + raw + content[8 + length :])


def _change_parts(rng: random.Random, case: Case) -> None:
    index, other = rng.randrange(len(case.files)), rng.randrange(len(case.files))
    file = case.files[index]
    action = rng.randrange(5)
    if action == 0:
        del case.files[index]
    elif action == 1:
        case.files.append(file)
    elif action == 2:
        _replace(case, index, case.files[other].content)
    elif action == 3:
        label = rng.choice([None, 0, 1, 2, -1, 10**9])
        case.files[index] = layout.ModelFile(file.role, file.content, file.suffix, label)
    else:
        role = rng.choice([case.files[other].role, "x", "", "combination", "backward-lm"])
        case.files[index] = layout.ModelFile(role, file.content, file.suffix, file.label)


def _replace(case: Case, index: int, content: bytes) -> None:
    file = case.files[index]
    case.files[index] = layout.ModelFile(file.role, content, file.suffix, file.label)


CHANGES: list[Callable[[random.Random, Case], None]] = [
    _change_config,
    _change_json_part,
    _change_arrays,
    _change_arrays,
    _change_arrays,
    _change_bytes,
    _change_header,
    _change_parts,
]


def make_case(number: int, models: list[layout.StoredModel]) -> Case:
    """Return a model with one to three changes; the same for the same number."""
    rng = random.Random(number)
    model = models[number % len(models)]
    case = Case(json.loads(json.dumps(model.config)), list(model.files))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if case.files and case.config:
            rng.choice(CHANGES)(rng, case)
    return case


def write_case(folder: Path, case: Case) -> None:
    """Write a model with correct sizes and checksums."""
    for old in folder.iterdir():
        old.unlink()
    files = []
    for number, file in enumerate(case.files, 1):
        name = f"{number}.{file.suffix}"
        content = file.content if file.suffix != "json" else _with_raw(file.content, case.raw)
        (folder / name).write_bytes(content)
        label = {} if file.label is None else {"label": file.label}
        sha256 = hashlib.sha256(content).hexdigest()
        files.append({"name": name, "role": file.role, **label, "size": len(content), "sha256": sha256})
    config = {
        "format": layout.FORMAT,
        "format_version": layout.FORMAT_VERSION,
        **{key: value for key, value in case.config.items() if key != "checksum"},
        "files": files,
        "next_number": len(files) + 3,
        "checksum": "0" * 64,
    }
    text = json.dumps(config, indent=1).encode() + b"\n"
    (folder / "config.json").write_bytes(layout.with_correct_checksum(_with_raw(text, case.raw)))


def _with_raw(text: bytes, raw: list[str]) -> bytes:
    for number, value in enumerate(raw):
        text = text.replace(json.dumps(_RAW.format(number)).encode(), value.encode())
    return text


def use(model: FittedModel) -> None:
    """Use every method of a model; its numbers must be finite."""
    model.n_jobs = 1
    assert all(np.isfinite(array).all() for array in model.score_texts(_TEXTS))
    assert np.isfinite(model.log_likelihood(_TEXTS)).all()
    label = model.classes_.tolist()[0]
    assert model.perplexity(_TEXTS[:1], label) > 0
    json.dumps(model.explain(_TEXTS[2]), allow_nan=False)
    if model.settings.direction != "backward":
        assert all(0 <= word["probability"] <= 1.001 for word in model.suggest("Your", n=2))
        "".join(model.generate(label, 1, max_tokens=5, seed=0)).encode()
    json.dumps(model_info(model))
    "".join(model.label_names).encode()


def try_case(folder: Path, case: Case) -> str:
    """Return the outcome of a case: refused, works, or what went wrong."""
    write_case(folder, case)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    try:
        with _time_limit(_MAX_SECONDS):
            try:
                model = load(folder)
            except ModelError as error:
                outcome, message = "refused", str(error)
                if "\n" in message or len(message) > 600 or not message.startswith(f"{folder}/"):
                    outcome = f"a message of another form: {message[:800]!r}"
            else:
                use(model)
                outcome = "works"
    except BaseException as error:  # a panic of Rust's is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome = f"{type(error).__name__}: {str(error)[:300]}"
    if time.perf_counter() - started > _MAX_SECONDS:
        outcome = f"takes {time.perf_counter() - started:.1f} s"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return f"takes {grown} MB" if grown > _MAX_MEMORY else outcome


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def run(count: int, folder: Path, models: list[layout.StoredModel], first: int = 0) -> dict[int, str]:
    """Try cases by number; return those that went wrong, and under key -1 the counts of outcomes."""
    wrong: dict[int, str] = {}
    outcomes: Counter[str] = Counter()
    for number in range(first, first + count):
        outcome = try_case(folder, make_case(number, models))
        outcomes[outcome if outcome in ("refused", "works") else "wrong"] += 1
        if outcome not in ("refused", "works"):
            wrong[number] = outcome
    wrong[-1] = ", ".join(f"{name} {times:,}" for name, times in sorted(outcomes.items()))
    return wrong


def main() -> None:
    """Try the cases that the command line names."""
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    warnings.simplefilter("error")
    models, failed = seeds(), 0
    with tempfile.TemporaryDirectory() as folder:
        for start in range(first, first + count, _CASES_PER_LINE):
            some = min(_CASES_PER_LINE, first + count - start)
            wrong = run(some, Path(folder), models, start)
            print(f"cases {start:,} to {start + some - 1:,}: {wrong.pop(-1)}", flush=True)
            for number, outcome in wrong.items():
                print(f"case {number}: {outcome}", flush=True)
            failed += len(wrong)
    print(f"{failed} of {count:,} cases went wrong")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
