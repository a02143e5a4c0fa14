"""Writes the losses of each epoch for TensorBoard."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lmclassify.errors import LMClassifyError, OutputError
from lmclassify.extras import install_package

if TYPE_CHECKING:
    from lmclassify.lm.neural.trainer import EpochRecord


class TensorBoardWriter:
    """Writes losses and speed by label and epoch into a folder of events.

    Cross-fitting trains a label's model several times: from the second time on, its name has a number. Raises
    LMClassifyError if the package tensorboard is not installed. Raises OutputError if the folder cannot be
    written to.
    """

    def __init__(self, folder: str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise LMClassifyError(
                f"--tensorboard needs tensorboard: {install_package('tensorboard')}"
            ) from None
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._writer: Any = SummaryWriter(folder)
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror}") from None
        self._rounds: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def update(self, label: Any, record: EpochRecord) -> None:
        """Write an epoch of a label, or of all labels together (None); called from the threads that train."""
        name = "tuning" if label is None else str(label)
        with self._lock:
            if record.epoch == 1:
                self._rounds[name] = self._rounds.get(name, 0) + 1
            count = self._rounds.get(name, 1)
            tag = name if count == 1 else f"{name} ({count})"
            values = {
                "training_loss": record.training_loss,
                "validation_loss": record.validation_loss,
                "tokens_per_second": record.tokens / record.seconds if record.seconds else None,
            }
            for key, value in values.items():
                if value is not None:
                    self._writer.add_scalar(f"{tag}/{key}", value, record.epoch)
