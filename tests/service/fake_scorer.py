"""A worker process without a model: ``python -m tests.service.fake_scorer``. The texts say what it does.

Options: ``name_file`` holds the name of the model, which is every text's label; a model named "broken" cannot be
loaded. ``load_gate`` is a path: loading blocks, as on the text ``hold PATH``.
"""

import os
import time
from pathlib import Path

from lmclassify.errors import ModelError, OptionError
from lmclassify.service.worker import run_worker


def hold(path):
    """Tell the test that this point is reached, and wait until it lets us continue; see `conftest.Gate`."""
    Path(path).with_suffix(".started").touch()
    while not Path(path).with_suffix(".released").exists():
        time.sleep(0.005)


class FakeScorer:
    notes = ()

    def __init__(self, options):
        if "load_gate" in options:
            hold(options["load_gate"])
        self.name = Path(options["name_file"]).read_text() if "name_file" in options else "fake"
        if self.name == "broken":
            raise ModelError("this model is broken")
        self.batches = []

    def predict(self, texts):
        self.batches.append(len(texts))
        for text in texts:
            if text.startswith("hold "):
                hold(text.removeprefix("hold "))
            elif text.startswith("fail"):
                raise ValueError(text)
            elif text == "die":
                os._exit(3)
            elif text.startswith("print"):
                print(text)
                os.write(1, b"noise on standard output\n")
        return [{"label": self.name, "text": text, "batches": self.batches} for text in texts]

    def explain(self, text, label, against):
        if label is not None:
            raise OptionError(f"no label {label!r} in this model")
        return {"text": text}

    def suggest(self, prefix, label, n):
        return [{"word": prefix, "probability": 1 / n}]

    def model_info(self):
        return {"model": self.name, "checksum": f"checksum of {self.name}", "pid": os.getpid()}


if __name__ == "__main__":
    run_worker(FakeScorer)
