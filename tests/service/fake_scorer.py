"""A worker process without a model: ``python -m tests.service.fake_scorer``. The texts say what it does.

Options: ``name_file`` holds the name of the model, which is every text's label; a model named "broken" cannot be
loaded. ``users`` are the names of users with a model. ``load_gate`` is a path: loading blocks, as on the text ``hold PATH``. ``journal`` is a file with the
lessons that the model has learned, each a line of JSON.
"""

import hashlib
import json
import os
import time
from pathlib import Path

from lmclassify.errors import ModelError, OptionError, OutputError
from lmclassify.service.worker import UnknownUserError, run_worker


def hold(path):
    """Tell the test that this point is reached, and wait until it lets us continue; see `conftest.Gate`."""
    Path(path).with_suffix(".started").touch()
    while not Path(path).with_suffix(".released").exists():
        time.sleep(0.005)


class FakeScorer:
    """Its models: that of each user in ``users`` and, unless ``shared`` is false, a shared one."""

    notes = ()

    def __init__(self, options):
        if "load_gate" in options:
            hold(options["load_gate"])
        self.name = Path(options["name_file"]).read_text() if "name_file" in options else "fake"
        if self.name == "broken":
            raise ModelError("this model is broken")
        self.checksum = f"checksum of {self.name}"
        self.batches = []
        self.journal = Path(options["journal"]) if "journal" in options else None
        self.shared = options.get("shared", True)
        self.users = options.get("users", [])
        self.user = None

    def scorer(self, user, *, to_teach):
        if user not in self.users and (user is not None or not self.shared):
            raise UnknownUserError("there is no such model")
        self.user = user
        self.checksum = f"checksum of {user or self.name}"
        self.refresh()
        return self

    def predict(self, texts):
        self.batches.append(len(texts))
        self.obey(texts)
        label = self.user or self.name
        return [{"label": label, "text": text, "batches": self.batches} for text in texts]

    def obey(self, texts):
        for text in texts:
            if text.startswith("hold "):
                hold(text.removeprefix("hold "))
            elif text.startswith("fail"):
                raise ValueError(text)
            elif text == "die":
                os._exit(3)
            elif text.startswith("rename "):  # as if another process had replaced the model
                self.name = text.removeprefix("rename ")
            elif text == "full disk":
                raise OutputError("cannot write the journal: No space left on device")
            elif text.startswith("print"):
                print(text)
                os.write(1, b"noise on standard output\n")

    def explain(self, text, label, against, brief):
        if label is not None:
            raise OptionError(f"no label {label!r} in this model")
        return {"text": text}

    def suggest(self, prefix, label, n):
        return [{"word": prefix, "probability": 1 / n}]

    def learn(self, text, label, from_label, undo):
        if label not in ("ham", "spam"):
            raise OptionError(f"no label {label!r} in this model; there are: 'ham' and 'spam'")
        self.obey([text])
        before = self.lessons.get(text, "ham")
        after = "ham" if undo else label
        if undo and text not in self.lessons:
            raise OptionError("this text was not learned")
        changed = undo or self.lessons.get(text) != label
        if changed:
            with self.journal.open("a") as file:
                file.write(json.dumps([text, None if undo else label, before]) + "\n")
            self.refresh()
        if text.startswith("then die"):
            os._exit(3)
        identity = hashlib.sha256(text.encode()).hexdigest()[:32]
        return {
            "id": identity,
            "label": label,
            "changed": changed,
            "predicted_before": before,
            "predicted_after": after,
        }

    def refresh(self):
        self.lessons = {}
        for line in self.journal.read_text().splitlines() if self.journal and self.journal.exists() else ():
            text, label, _ = json.loads(line)
            self.lessons[text] = label
            if label is None:
                del self.lessons[text]

    def lesson_counts(self):
        if self.journal is None:
            return None
        labels = list(self.lessons.values())
        return {
            "total": len(labels),
            "corrections": labels.count("spam"),
            "per_label": {label: labels.count(label) for label in sorted(set(labels))},
            "today": len(labels),
            "corrections_today": labels.count("spam"),
            "last": time.time() if labels else None,
        }

    def model_info(self):
        return {
            "model": self.user or self.name,
            "checksum": self.checksum,
            "pid": os.getpid(),
            "lessons": self.lesson_counts(),
        }


if __name__ == "__main__":
    run_worker(FakeScorer)
