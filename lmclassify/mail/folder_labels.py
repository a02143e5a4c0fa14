"""Which folders of a Maildir stand for which label."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lmclassify.errors import OptionError, counted, did_you_mean, listing, plural, shorten
from lmclassify.mail.maildir import INBOX, folder_name

USUAL_IGNORED = (
    "Trash", "Deleted", "Deleted Items", "Deleted Messages", "Bin", "Papierkorb",
    "Gelöschte Elemente", "Gelöschte Objekte", "Corbeille", "Éléments supprimés", "Papelera", "Cestino",
    "Prullenbak",
    "Drafts", "Draft", "Entwürfe", "Brouillons", "Borradores", "Bozze", "Concepten",
    "Sent", "Sent Items", "Sent Messages", "Sent Mail", "Gesendet", "Gesendete Elemente", "Gesendete Objekte",
    "Envoyés", "Éléments envoyés", "Enviados", "Posta inviata", "Verzonden",
    "Outbox", "Postausgang", "Templates", "Vorlagen",
)  # fmt: skip
"""Folders that say nothing about a message's label, by their usual names: a deleted message is no
correction."""
_USUAL_SPAM = ("junk", "spam", "junk e-mail", "junk mail", "bulk mail")


@dataclass(frozen=True)
class FolderRole:
    """What a folder means for the messages in it."""

    label: str | None
    """The label of its messages; None if the model has none for it."""
    is_explicit: bool = False
    """Whether mail is sorted into it because of its label: a move to it or out of it is a correction."""
    is_ignored: bool = False


class FolderLabels:
    """The label of each folder.

    Raises OptionError if the model's labels do not suit.

    Parameters
    ----------
    spam : sequence of str
        Folders of the positive label, as ``.Junk`` or ``Junk``, with the folders in them.
    every_folder : bool
        Whether every folder is a label, its name. Otherwise, folders without spam have the negative label.
    ignore : sequence of str
        Folders that do not count, besides those of `USUAL_IGNORED`; folders in them do not count either.
    labels : sequence of str, optional
        The model's labels, if known.
    positive, negative : str, optional
        The labels of spam and of other mail.
    """

    def __init__(
        self,
        spam: Sequence[str],
        *,
        every_folder: bool = False,
        ignore: Sequence[str] = (),
        labels: Sequence[str] | None = None,
        positive: str | None = None,
        negative: str | None = None,
    ) -> None:
        if not spam and not every_folder:
            raise OptionError(
                "name the folder with spam, such as --spam .Junk, or take every folder for a label with "
                "--folders"
            )
        self._spam = [folder_name(name) for name in spam]
        self._every_folder = every_folder
        self._ignored = {name.casefold() for name in map(folder_name, (*USUAL_IGNORED, *ignore))}
        self._labels = labels
        self._positive = self._negative = None
        if spam:
            self._positive = _choose("--positive", positive, "spam", labels, -1)
        if not every_folder:
            self._negative = _choose("--negative", negative, "ham", labels, 0)
            if self._positive == self._negative:
                raise OptionError(f"--positive and --negative are both {shorten(self._positive)}")

    def role(self, path: str) -> FolderRole:
        """Return what a folder means, from its path inside the Maildir."""
        name = folder_name(path)
        if name in self._spam:
            return FolderRole(self._positive, is_explicit=True)
        parts = name.casefold().split("/")
        if self._ignored & {*parts, *("/".join(parts[: end + 1]) for end in range(len(parts)))}:
            return FolderRole(None, is_ignored=True)
        if any(name.startswith(f"{spam}/") for spam in self._spam):
            return FolderRole(self._positive, is_explicit=True)
        if not self._every_folder:
            return FolderRole(self._negative)
        label = name if self._labels is None or name in self._labels else None
        return FolderRole(label, is_explicit=name != INBOX)

    def notes(self, folders: Collection[str]) -> list[str]:
        """Return what a user should know about the folders of a Maildir."""
        names = {folder_name(path) for path in folders}
        notes = []
        for name in self._spam:
            if name not in names:
                usual = next((other for other in sorted(names) if other.casefold() in _USUAL_SPAM), None)
                question = f" (did you mean {shorten(usual)}?)" if usual else did_you_mean(name, names)
                notes.append(f"there is no folder {shorten(name)} yet{question}")
        roles = {folder_name(path): self.role(path) for path in folders}
        unknown = sorted(name for name, role in roles.items() if role.is_explicit and role.label is None)
        if unknown:
            notes.append(
                f"the model has no label for {counted(len(unknown), 'folder')}, so that moves to "
                f"{plural(len(unknown), 'it', 'them')} teach nothing: {listing(unknown)}"
            )
        return notes


def _choose(option: str, wanted: str | None, usual: str, labels: Sequence[str] | None, number: int) -> str:
    """Return the label that an option names, or its usual one; with two labels the one of this number."""
    if labels is None:
        return wanted or usual
    if wanted is not None:
        if wanted not in labels:
            raise OptionError(
                f"{option}: the model has no label {shorten(wanted)}{did_you_mean(wanted, labels)}; "
                f"its labels: {listing(labels)}"
            )
        return wanted
    same = [label for label in labels if label.casefold() == usual]
    if not same and len(labels) != 2:
        raise OptionError(
            f"the model has {counted(len(labels), 'label')} and none is {usual}: name it with {option} NAME"
        )
    return same[0] if same else labels[number]
