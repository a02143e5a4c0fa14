"""The models of a worker process: a shared one, and one for each user, loaded when they are needed."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from lmclassify.errors import ModelError, shorten
from lmclassify.mail.local_service import is_user_name
from lmclassify.persistence.layout import CONFIG
from lmclassify.service.worker import UnknownUserError, WorkerScorer


class FolderScorer(WorkerScorer, Protocol):
    """The scorer of the model in a folder."""

    notes: Sequence[str]

    def refresh(self) -> None:
        """Take over what other processes have taught the model."""

    def save(self, folder: Path, /) -> None:
        """Write the model into another folder."""


class UserModels:
    """Models, of which those of the users that sent the latest requests are in memory.

    Parameters
    ----------
    shared : FolderScorer or None
        Answers requests without a user, and those of users without a model of their own.
    folder : path or None
        Has a folder for each user, with that user's model. None: users have no models.
    load : callable
        Loads the model in a folder.
    max_models : int
        Maximum number of users' models in memory.

    Attributes
    ----------
    notes : sequence of str
        Messages about the shared model for the log of the service.
    """

    def __init__(
        self,
        shared: FolderScorer | None,
        folder: Path | None,
        load: Callable[[Path], FolderScorer],
        max_models: int,
    ) -> None:
        self.notes = shared.notes if shared is not None else ()
        self._shared = shared
        self._folder = folder
        self._load = load
        self._max_models = max_models
        self._loaded: OrderedDict[str, FolderScorer] = OrderedDict()  # the latest last

    @property
    def loaded(self) -> list[str]:
        """The users whose models are in memory, the latest last."""
        return list(self._loaded)

    def scorer(self, user: str | None, *, to_teach: bool) -> WorkerScorer:
        """Return the scorer of a user (None: of the shared model), with what other processes have taught it.

        The shared model stands in for a user without one. When that user teaches it, the user gets a copy.

        Raises
        ------
        UnknownUserError
            If there is neither a model of the user nor a shared one.
        ModelError
            If the user's model is damaged.
        OutputError
            If the copy cannot be written.
        """
        scorer = self._shared if user is None else self._user_scorer(user, to_teach)
        if scorer is None:
            whose = "There is no shared model" if user is None else f"There is no model of user {user}"
            raise UnknownUserError(f"{whose}; see lmclassify serve --models.")
        scorer.refresh()
        return scorer

    def _user_scorer(self, user: str, to_teach: bool) -> FolderScorer | None:
        folder = self._folder_of(user)
        if not os.path.lexists(folder / CONFIG):
            self._loaded.pop(user, None)
            if self._shared is None or not to_teach:
                return self._shared
            self._shared.refresh()
            self._shared.save(folder)
        if user not in self._loaded:
            while len(self._loaded) >= self._max_models:
                self._loaded.popitem(last=False)
            self._loaded[user] = self._load(folder)
        self._loaded.move_to_end(user)
        return self._loaded[user]

    def _folder_of(self, user: str) -> Path:
        """Return the folder of a user's model. Raises ModelError if it is a link: that may lead elsewhere."""
        if self._folder is None or not is_user_name(user):
            raise UnknownUserError(f"There is no user {shorten(user)}.")
        folder = self._folder / user
        if folder.is_symlink():
            raise ModelError(f"{folder} is a link; the folder of a user must be a real one")
        return folder
