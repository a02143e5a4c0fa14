"""A scoring process for tests: ``python -m tests.service.stand_in``. Texts say what it does."""

import os
import sys
import time
from pathlib import Path

from lmclassify.errors import ModelError, OptionError
from lmclassify.service.worker import work


class StandIn:
    notes = ()

    def __init__(self, options):
        self.options = options
        self.name = Path(options["name_file"]).read_text() if "name_file" in options else "stand-in"
        if self.name == "broken":
            raise ModelError("this model is broken")
        self.batches = []

    def predict(self, texts):
        self.batches.append(len(texts))
        for text in texts:
            if text.startswith("sleep "):
                time.sleep(float(text.split()[1]))
            elif text.startswith("wait for "):
                while not Path(text.removeprefix("wait for ")).exists():
                    time.sleep(0.01)
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

    def facts(self):
        return {"model": self.name, "checksum": f"checksum of {self.name}", "python_path": sys.path}


if __name__ == "__main__":
    work(StandIn)
