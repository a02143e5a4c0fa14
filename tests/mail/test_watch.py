"""The Maildir watcher: which moves are lessons, what is none, kills at any moment, hostile files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.errors import DataError, LMClassifyError, OptionError
from lmclassify.mail.folder_labels import FolderLabels
from lmclassify.mail.maildir import folder_name, message_hash
from lmclassify.mail.watch import MaildirWatcher, noticed_changes
from lmclassify.mail.watch_state import WatchState

MESSAGE = "Received: from a by b; {0}\nSubject: message {0}\nFrom: a@example.com\n\nhello\n"


class Model:
    """A model that keeps the label of each message, counts a lesson once, and fails when it is told to."""

    def __init__(self) -> None:
        self.labels: dict[bytes, str] = {}
        self.calls: list[tuple[str, str, str | None, bool]] = []
        self.error: BaseException | None = None
        self.error_afterwards: BaseException | None = None

    def __call__(self, message: bytes, label: str, from_label: str | None, *, undo: bool) -> bool:
        if self.error:
            raise self.error
        subject = message.split(b"Subject: ")[1].split(b"\n")[0].strip()
        self.calls.append((subject.decode(), label, from_label, undo))
        changed = self.labels.get(subject) != label
        if undo:
            changed = self.labels.pop(subject, None) is not None
        else:
            self.labels[subject] = label
        if self.error_afterwards:
            raise self.error_afterwards
        return changed


class Mail:
    """A Maildir, and a watcher that can be started anew."""

    def __init__(self, root: Path, **options) -> None:
        self.root, self.options = root, options
        self.model, self.said, self.warned = Model(), [], []
        self.number = 0
        for folder in ("", ".Junk", ".Work", ".Trash"):
            self.add_folder(folder)

    def add_folder(self, folder: str) -> None:
        for inner in ("cur", "new", "tmp"):
            (self.root / folder / inner).mkdir(parents=True)

    def deliver(self, folder: str = "", *, opened: bool = False, header: str = "", content: str = "") -> str:
        """Deliver a message; return its path inside the Maildir."""
        self.number += 1
        name = f"{1700000000 + self.number}.M{self.number}.host"
        path = f"{folder}/cur/{name}:2,S" if opened else f"{folder}/new/{name}"
        text = header + (content or MESSAGE.format(self.number))
        (self.root / path.lstrip("/")).write_text(text)
        return path.lstrip("/")

    def move(self, path: str, folder: str, *, copy: bool = False, new_name: bool = False) -> str:
        self.number += 1
        name = os.path.basename(path).partition(":")[0]
        name = f"{1700000000 + self.number}.M{self.number}P.host" if new_name else name
        target = f"{folder}/cur/{name}:2,S".lstrip("/")
        (shutil.copy if copy else shutil.move)(self.root / path, self.root / target)
        return target

    def run(self, *, spam=(".Junk",), labels=None, every_folder=False, ignore=(), **options) -> bool:
        """Start the watcher, scan once, end it."""
        folders = FolderLabels(spam, labels=labels, every_folder=every_folder, ignore=ignore)
        self.said, self.warned = [], []
        state = WatchState(str(self.root / "state"))
        try:
            watcher = MaildirWatcher(
                str(self.root),
                state,
                folders,
                self.model,
                say=self.said.append,
                warn=self.warned.append,
                **options,
            )
            return watcher.scan()
        finally:
            state.close()

    def taught(self, **options) -> list[tuple[str, str, str | None, bool]]:
        """Scan; return what was taught: number of the message, label, label before, undo."""
        self.model.calls = []
        assert self.run(**options)
        return [(subject.removeprefix("message "), *rest) for subject, *rest in self.model.calls]


@pytest.fixture
def mail(tmp_path) -> Mail:
    return Mail(tmp_path / "Maildir")


def test_moves_into_and_out_of_junk(mail):
    first, second = mail.deliver(), mail.deliver()
    mail.deliver(".Junk")
    assert mail.taught() == []  # first start
    first = mail.move(first, ".Junk")
    assert mail.taught() == [("1", "spam", None, False)]
    assert mail.said == ["learned 1 message as spam (INBOX to Junk)"]
    assert mail.taught() == []
    first = mail.move(first, "", new_name=True)
    assert mail.taught() == [("1", "ham", "spam", False)]
    second = mail.move(second, ".Work")
    assert mail.taught() == []  # ham to ham
    mail.move(second, ".Junk", copy=True, new_name=True)
    assert mail.taught() == [("2", "spam", None, False)]
    (mail.root / second).unlink()  # the second half of COPY and delete
    assert mail.taught() == []
    mail.move(first, ".Junk")
    assert mail.taught() == [("1", "spam", "ham", False)]
    assert mail.warned == []


def test_flags_and_deliveries_teach_nothing(mail):
    path = mail.deliver()
    mail.taught()
    moved = mail.root / "cur" / f"{os.path.basename(path)}:2,RS"
    (mail.root / path).rename(moved)
    moved.rename(mail.root / "cur" / f"{os.path.basename(path)},U=5:2,ST")  # mbsync numbers messages
    mail.deliver()
    mail.deliver(opened=True)
    delivered = mail.deliver(".Junk")
    filtered = mail.deliver(".Junk", opened=True, header="X-LMClassify-Label: spam\nX-LMClassify-Score: 1\n")
    assert mail.taught() == []
    mail.move(filtered, "")
    mail.move(delivered, ".Work")
    assert sorted(mail.taught()) == [("4", "ham", "spam", False), ("5", "ham", "spam", False)]


def test_a_message_that_comes_from_elsewhere_into_junk(mail):
    """From another account, or delivered and moved between two scans."""
    mail.taught()
    mail.deliver(".Junk", opened=True)
    mail.deliver(".Junk", opened=True, header="X-LMClassify-Label: =?utf-8?b?aGFt?=\n")
    mail.deliver(".Work", opened=True, header="X-LMClassify-Label: spam\n")
    assert sorted(mail.taught()) == [("1", "spam", None, False), ("2", "spam", None, False)]
    assert mail.said == ["learned 1 message as spam (in Junk)"] * 2
    both = mail.deliver()
    mail.move(both, ".Junk", copy=True)
    assert mail.taught() == [("4", "spam", None, False)]


def test_deleted_messages_are_no_correction(mail):
    spam, ham, gone = mail.deliver(".Junk"), mail.deliver(), mail.deliver(".Junk")
    mail.taught()
    spam, ham = mail.move(spam, ".Trash"), mail.move(ham, ".Trash")
    (mail.root / gone).unlink()
    assert mail.taught() == []
    mail.move(spam, "")
    mail.move(ham, ".Junk")
    assert sorted(mail.taught()) == [("1", "ham", "spam", False), ("2", "spam", None, False)]
    mail.add_folder(".Trash.Junk")
    mail.add_folder(".Archive.2024")
    for number in range(2):
        moved = mail.deliver(".Junk")
        mail.taught()
        mail.move(moved, [".Trash.Junk", ".Archive.2024"][number])
    assert mail.taught(ignore=["Archive"]) == []


def test_existing_messages(mail):
    mail.deliver()
    mail.deliver(opened=True)
    mail.deliver(".Junk")
    mail.deliver(".Junk", header="X-LMClassify-Label: spam\n")
    mail.deliver(".Trash")
    both = mail.deliver(".Work", opened=True)
    mail.move(both, ".Junk", copy=True)
    taught = mail.taught(learn_existing=True)
    assert sorted(taught) == [
        ("2", "ham", None, False),
        ("3", "spam", None, False),
        ("6", "spam", None, False),
    ]
    mail.deliver(opened=True)
    assert mail.taught(learn_existing=True) == []


def test_every_folder_is_a_label(mail):
    mail.add_folder("Work/Projects")
    mail.add_folder(".Lists")
    options = {"every_folder": True, "labels": ["spam", "Work", "Work/Projects"]}
    first, second = mail.deliver(), mail.deliver(".Work")
    mail.taught(**options)
    first, second = mail.move(first, ".Work"), mail.move(second, "Work/Projects")
    assert sorted(mail.taught(**options)) == [
        ("1", "Work", None, False),
        ("2", "Work/Projects", "Work", False),
    ]
    first, second = mail.move(first, ""), mail.move(second, ".Junk")
    assert sorted(mail.taught(**options)) == [
        ("1", "Work", None, True),
        ("2", "spam", "Work/Projects", False),
    ]
    assert "1 message is not Work any more (Work to INBOX)" in mail.said
    third = mail.deliver(".Work")
    mail.taught(**options)
    mail.move(first, ".Lists")
    mail.move(third, "")
    assert mail.taught(**options) == []  # it was never taught as Work


def test_a_renamed_folder_teaches_nothing(mail):
    for _ in range(3):
        mail.deliver(".Junk")
    mail.taught()
    (mail.root / ".Junk").rename(mail.root / ".Old")
    assert mail.taught() == []
    (mail.root / ".Old").rename(mail.root / ".Junk")
    assert mail.taught() == []
    (mail.root / ".Junk").rename(mail.root / ".Older")
    mail.add_folder(".Junk")  # mail servers create it anew at once
    assert mail.taught() == []
    shutil.rmtree(mail.root / ".Older")
    assert mail.taught() == []
    assert mail.warned == []


@pytest.mark.parametrize("moment", ["error", "error_afterwards"])
def test_killed_between_the_note_and_the_lesson(mail, moment):
    path = mail.deliver()
    mail.taught()
    path = mail.move(path, ".Junk")
    setattr(mail.model, moment, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        mail.run()
    setattr(mail.model, moment, None)
    if moment == "error_afterwards":
        mail.move(path, "")  # the user has changed her mind before the watcher starts again
        assert mail.taught() == [("1", "ham", "spam", False)]
    else:
        mail.move(path, ".Trash")
        assert mail.taught() == [("1", "spam", None, False)]
    assert mail.taught() == []


MOVES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["", ".Junk", ".Work", ".Trash"]),
        st.booleans(),
        st.sampled_from(["no scan", "scan", "error", "error_afterwards"]),
    ),
    max_size=8,
)


@settings(max_examples=8, deadline=None)
@given(MOVES)
def test_no_move_is_lost_and_none_is_counted_twice(tmp_path_factory, moves):
    """Whatever is moved, and wherever the watcher is killed: in the end the model has the last label of each."""
    mail = Mail(tmp_path_factory.mktemp("moves") / "Maildir")
    folders = {number: ".Junk" if number == 3 else "" for number in range(4)}
    paths = [mail.deliver(folder) for folder in folders.values()]
    labels: dict[int, str] = {}
    changed: set[int] = set()
    mail.run()
    for number, folder, new_name, then in [*moves, (0, folders[0], False, "scan")]:
        paths[number] = mail.move(paths[number], folder, new_name=new_name)
        folders[number] = folder
        if then == "no scan":
            continue
        for each, place in folders.items():  # what the watcher sees now
            label = {".Junk": "spam", ".Trash": labels.get(each)}.get(place, "ham")
            if label != labels.get(each, "spam" if each == 3 else "ham") and label is not None:
                changed.add(each)
            labels[each] = label or ("spam" if each == 3 else "ham")
        if then != "scan":
            setattr(mail.model, then, KeyboardInterrupt())
        with contextlib.suppress(KeyboardInterrupt):
            assert mail.run()
        mail.model.error = mail.model.error_afterwards = None
    assert mail.run()
    for number in range(4):
        taught = mail.model.labels.get(b"message %d" % (number + 1))
        assert taught == (labels[number] if number in changed else None)
    assert mail.taught() == []


def test_lessons_wait_for_the_service(mail):
    path = mail.deliver()
    mail.taught()
    mail.move(path, ".Junk")
    mail.model.error = LMClassifyError("no service on ./spam.sock")
    assert not mail.run()
    assert mail.warned == ["no service on ./spam.sock; what was moved is learned later"]
    assert not mail.run()
    mail.model.error = None
    assert mail.taught() == [("1", "spam", None, False)]
    assert mail.taught() == []


def test_a_pending_message_that_is_deleted(mail):
    path = mail.deliver()
    mail.taught()
    path = mail.move(path, ".Junk")
    mail.model.error = LMClassifyError("no service")
    mail.run()
    (mail.root / path).unlink()
    mail.model.error = None
    assert mail.taught() == []
    assert mail.warned == ["a message was deleted before it could be learned"]
    assert mail.taught() == []
    assert mail.warned == []


def test_refused_messages_are_skipped_once(mail):
    path = mail.deliver()
    mail.taught()
    mail.move(path, ".Junk")
    mail.model.error = DataError("the message has no text")
    assert mail.run()
    assert mail.warned == ["a message in Junk is not learned: the message has no text"]
    mail.model.error = None
    assert mail.taught() == []


def test_hostile_files(mail, tmp_path):
    mail.taught()
    secret = tmp_path / "secret"
    secret.write_text(MESSAGE.format("secret"))
    (mail.root / ".Junk/cur/1.link:2,").symlink_to(secret)
    os.mkfifo(mail.root / ".Junk/cur/2.pipe:2,")
    (mail.root / ".Junk/cur/3.empty:2,").touch()
    (mail.root / ".Junk/cur/4.binary:2,").write_bytes(b"\0\xff" * 300)
    (mail.root / ".Junk/cur/5.gzip:2,").write_bytes(b"\x1f\x8b" + bytes(100))
    with open(mail.root / ".Junk/cur/6.big:2,", "w") as file:
        file.write(MESSAGE.format(6))
        file.truncate(1 << 20)
    (mail.root / ".Junk/cur/7.hidden:2,").mkdir()
    (mail.root / ".Elsewhere").symlink_to(tmp_path)
    (mail.root / os.fsdecode(b".\xff")).mkdir()
    before = sorted((path.name, path.lstat().st_size) for path in (mail.root / ".Junk/cur").iterdir())
    assert mail.taught(max_file_bytes=1000) == []
    said = "\n".join(mail.warned).replace(f"{mail.root}/.Junk/cur/", "")
    for line in (
        "folder Elsewhere is not read: it is a symbolic link",
        r"folder \udcff is not read: its name is not UTF-8",
        "skipped: 1.link:2, is a symbolic link",
        "skipped: 2.pipe:2, is not a file",
        "skipped: 3.empty:2, does not begin with the header of a message",
        "skipped: 4.binary:2, does not begin with the header of a message",
        "skipped: 6.big:2, has 1,048,576 bytes, more than 1,000",
    ):
        assert line in said.splitlines()
    assert "skipped: 5.gzip:2," in said
    assert len(mail.warned) == 8
    assert before == sorted((path.name, path.lstat().st_size) for path in (mail.root / ".Junk/cur").iterdir())
    mail.taught(max_file_bytes=1000)
    assert mail.warned == ["folder Elsewhere is not read: it is a symbolic link", "folder \\udcff is not read: its name is not UTF-8"]  # fmt: skip


def test_a_sender_cannot_teach(mail):
    """Not with headers of ours, nor with an equal message in another folder, nor with a known Message-ID."""
    mail.taught()
    forged = "X-LMClassify-Label: {}\nMessage-ID: <1@example.com>\n"
    for folder, label in (("", "spam"), ("", "ham"), (".Junk", "ham"), (".Work", "spam"), (".Junk", "spam")):
        mail.deliver(folder, header=forged.format(label))
    same = MESSAGE.format("sent twice")
    mail.deliver("", content=same)
    mail.deliver(".Junk", content=same)  # delivered both at once
    assert mail.taught() == []
    mail.deliver("", content="Received: by b; 10:00\n" + same)
    mail.taught()
    mail.deliver(".Junk", content="Received: by b; 10:01\n" + same)
    assert mail.taught() == []


def test_unreadable_folders(mail, monkeypatch):
    """They are reported once, and what they hold is not taken for deleted."""
    path = mail.deliver(".Junk")
    mail.taught()
    scandir = os.scandir

    def fails(folder):
        if str(folder).endswith(".Junk/cur"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", fails)
        assert mail.taught() == []
        assert mail.warned == ["folder Junk is not read: Permission denied"]
    mail.move(path, "")
    assert mail.taught() == [("1", "ham", "spam", False)]
    shutil.rmtree(mail.root / ".Junk")
    assert mail.taught() == []
    mail.root.rename(mail.root.with_name("other"))
    mail.root.mkdir()
    (mail.root / "state").write_bytes((mail.root.with_name("other") / "state").read_bytes())
    assert mail.taught() == []  # nothing is there: another disk was mounted


def test_state_file(mail, tmp_path):
    path = str(tmp_path / "file")
    state = WatchState(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    with pytest.raises(LMClassifyError, match="file is in use: another watcher runs"):
        WatchState(path)
    with pytest.raises(ZeroDivisionError), state.transaction():
        state.put_folder(".Junk", 1)
        1 / 0  # noqa: B018
    assert state.is_first
    state.close()
    (tmp_path / "other").write_text("text of another program" * 100)
    with pytest.raises(LMClassifyError, match=r"other is damaged \(file is not a database\): delete it"):
        WatchState(str(tmp_path / "other"))
    database = sqlite3.connect(tmp_path / "foreign")
    database.execute("CREATE TABLE x (y)")
    database.close()
    with pytest.raises(LMClassifyError, match="foreign is no state file of lmclassify watch"):
        WatchState(str(tmp_path / "foreign"))
    with pytest.raises(LMClassifyError, match="cannot write .*: No such file or directory"):
        WatchState(str(tmp_path / "missing" / "file"))


def test_the_state_holds_no_text_and_forgets(mail):
    path = mail.deliver(content="Subject: secret words\nFrom: me@example.com\n\nbody\n")
    mail.run(clock=lambda: 1000)
    (mail.root / path).unlink()
    mail.run(clock=lambda: 2000)
    content = (mail.root / "state").read_bytes()
    assert b"secret" not in content
    assert b"example" not in content
    assert b".M1.host" not in content
    for now, kept in ((1e6, 1), (1e8, 0)):
        mail.run(clock=lambda now=now: now)
        with contextlib.closing(sqlite3.connect(mail.root / "state")) as database:
            assert database.execute("SELECT count(*) FROM messages").fetchone() == (kept,)


def test_message_hash():
    message = b"Received: x\nSubject: a\n\nbody X-TUID: 1\n"
    same = [
        message.replace(b"\n", b"\r\n"),
        b"X-TUID: abc\n" + message,
        message.replace(b"Subject", b"x-lmclassify-label: spam\n ham\nStatus: RO\nSubject"),
    ]
    assert {message_hash(other) for other in same} == {message_hash(message)}
    other = [
        message.replace(b"x", b"y", 1),
        message + b"\n",
        b"",
        message.replace(b"X-TUID: 1", b"X-TUID: 2"),
    ]
    assert len({message_hash(each) for each in [message, *other]}) == 5
    large = message + b"line\n" * 100_000
    assert message_hash(large[: 1 << 18]) == message_hash(large.replace(b"\n", b"\r\n")[: 1 << 18])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", "INBOX"), ("Inbox", "INBOX"), (".Junk", "Junk"), ("Junk/", "Junk"), (".A.B", "A/B"), ("A/B.C", "A/B.C"),
        (".Gel&APY-scht", "Gelöscht"), (".R&-D", "R&D"), (".x&AA-", "x&AA-"), (".&2D3eAA-", "😀"), (".&bad", "&bad"),
    ],
)  # fmt: skip
def test_folder_names(path, name):
    assert folder_name(path) == name


def test_labels_of_folders():
    folders = FolderLabels([".Junk"], labels=["Good", "SPAM"])
    assert folders.role("Junk").label == folders.role(".Junk.2024").label == "SPAM"
    assert folders.role("").label == folders.role(".Archive").label == "Good"
    for name in (
        ".Trash",
        "[Gmail]/Trash",
        ".INBOX.Drafts",
        ".Sent.2024",
        ".Junk.Trash",
        ".gel&APY-schte objekte",
    ):
        assert folders.role(name).is_ignored, name
    assert not FolderLabels(["Trash"], ignore=["x/y"]).role("Trash").is_ignored
    assert FolderLabels(["Junk"], ignore=["x/y"]).role(".X.Y.Z").is_ignored
    assert folders.notes(["", ".Spam"]) == ["there is no folder 'Junk' yet (did you mean 'Spam'?)"]
    every = FolderLabels([], every_folder=True, labels=["Work"])
    assert every.notes(["", ".Work", ".Lists", ".Sent"]) == [
        "the model has no label for 1 folder, so that moves to it teach nothing: Lists"
    ]
    for arguments, said in (
        ({"spam": []}, "name the folder with spam, such as --spam .Junk"),
        ({"spam": ["J"], "labels": ["a", "b", "c"]}, "has 3 labels and none is spam: name it with --positive NAME"),
        ({"spam": ["J"], "labels": ["ham", "spam"], "positive": "spma"}, r"no label 'spma' \(did you mean 'spam'\?\)"),
        ({"spam": ["J"], "labels": ["a", "b"], "positive": "a"}, "--positive and --negative are both 'a'"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=said):
            FolderLabels(**arguments)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_watching(mail):
    """Moves are learned while it runs, and a folder that is renamed or deleted does not end it."""
    path, other = mail.deliver(), mail.deliver()
    said, warned, end = [], [], threading.Event()
    state = WatchState(str(mail.root / "state"))
    watcher = MaildirWatcher(
        str(mail.root), state, FolderLabels(["Junk"]), mail.model, say=said.append, warn=warned.append
    )
    watcher.scan()
    state.close()

    def run() -> None:
        state = WatchState(str(mail.root / "state"))
        watcher = MaildirWatcher(
            str(mail.root), state, FolderLabels(["Junk"]), mail.model, say=said.append, warn=warned.append
        )
        watcher.watch(600, changed, end.is_set)
        state.close()

    with noticed_changes(str(mail.root), warned.append) as changed:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            path = mail.move(path, ".Junk", new_name=True)
            wait_for(lambda: mail.model.labels.get(b"message 1") == "spam")
            shutil.rmtree(mail.root / ".Work")
            mail.add_folder(".New")
            mail.move(path, ".New")
            wait_for(lambda: mail.model.labels.get(b"message 1") == "ham")
            (mail.root / ".Junk").rename(mail.root / ".Old")
            mail.add_folder(".Junk")
            mail.move(other, ".Junk")
            wait_for(lambda: mail.model.labels.get(b"message 2") == "spam")
        finally:
            end.set()
            changed.set()
            thread.join()
    assert warned == []


def test_changes_cannot_be_noticed(mail, monkeypatch):
    from watchdog.observers import Observer

    def fails(self):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "start", fails)
    warned = []
    with noticed_changes(str(mail.root), warned.append) as changed:
        assert not changed.is_set()
    assert warned == [f"changes of {mail.root} are not noticed at once: inotify watch limit reached"]
