"""The training record: entries of a model's training history, as `info` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from lmclassify.classify.training.data import DataSplit

if TYPE_CHECKING:
    from lmclassify.classify.training.joint import JointTrainer
    from lmclassify.lm.neural.trainer import Trainer

BACKGROUND = "all labels"
"""What the progress callback gets as the label while the background model trains."""


def training_records(splits: Sequence[DataSplit], trainers: Sequence[Trainer | None]) -> list[dict[str, Any]]:
    """Return an entry per language model, each followed by an entry per epoch; None: not trained."""
    records: list[dict[str, Any]] = []
    for split, trainer in zip(splits, trainers, strict=True):
        background = isinstance(split.label, str) and split.label is BACKGROUND
        which = {} if background else {"label": np.asarray(split.label).item()}
        records.append(
            {
                "kind": "background" if background else "label",
                **which,
                "training_texts": len(split.training),
                "validation_texts": len(split.validation),
                "epochs": 0 if trainer is None else len(trainer.records),
                "best_epoch": 0 if trainer is None else trainer.best_epoch,
                "validation_loss": None if trainer is None else trainer.best_validation_loss,
                "interrupted": False if trainer is None else trainer.interrupted,
            }
        )
        for epoch in [] if trainer is None else trainer.records:
            records.append({"kind": "background epoch" if background else "epoch", **which, **asdict(epoch)})
    return records


def label_record(label: Any, texts: int) -> dict[str, Any]:
    """Return the entry of a label's n-gram language model, which takes no epochs."""
    return {
        "kind": "label",
        "label": np.asarray(label).item(),
        "training_texts": texts,
        "validation_texts": 0,
        "epochs": 0,
        "best_epoch": 0,
        "validation_loss": None,
        "interrupted": False,
    }


def joint_records(
    trainer: JointTrainer | None,
    labels: Sequence[Any],
    texts: Sequence[tuple[int, int]],
    losses: Sequence[float],
) -> list[dict[str, Any]]:
    """Return an entry per label and one of the joint phase.

    Parameters
    ----------
    trainer : JointTrainer or None
        None if the labels' models were not trained.
    labels : sequence, (K,)
    texts : sequence of pairs of int, (K,)
        Numbers of each label's training and validation texts.
    losses : sequence of float, (K,)
        Nats per token of each label's validation texts; NaN without such texts.
    """
    done = [] if trainer is None else trainer.records
    epochs = {"epochs": len(done), "best_epoch": 0 if trainer is None else trainer.best_epoch}
    records = [
        {
            "kind": "label",
            "label": np.asarray(label).item(),
            "training_texts": training,
            "validation_texts": validation,
            **epochs,
            "validation_loss": loss if validation else None,
            "interrupted": False,
        }
        for label, (training, validation), loss in zip(labels, texts, losses, strict=True)
    ]
    validation_losses = [record.validation_loss for record in done]
    return [*records, {"kind": "tuning", **epochs, "validation_losses": validation_losses}]


def merge_directions(records: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the entries of all reading directions; kinds of a second direction start with ``backward``."""
    second = [{**entry, "kind": f"backward {entry['kind']}"} for entries in records[1:] for entry in entries]
    return [*records[0], *second]
