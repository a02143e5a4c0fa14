"""docs/dovecot with Debian's Dovecot: lessons from COPY and MOVE over IMAP, and delivery into folders."""

from __future__ import annotations

import imaplib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from lmclassify.mail.folder_labels import FolderLabels
from lmclassify.mail.watch import MaildirWatcher
from lmclassify.mail.watch_state import WatchState
from tests.conftest import GOLDEN, ROOT, free_port, run_cli

FILES = ROOT / "docs" / "dovecot"
LDA = "/usr/lib/dovecot/dovecot-lda"

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("dovecot")]

CONFIGURATION = """
base_dir = {folder}/run
instance_name = lmclassify-test
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_login_user = {login}
default_internal_user = {internal}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
!include {folder}/90-lmclassify.conf
"""


class Dovecot:
    """A Dovecot of its own, in a temporary folder and on a free port, with the files of docs/dovecot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        (folder / "home").mkdir()
        for path in FILES.iterdir():
            text = path.read_text()
            for old in ("/etc/dovecot/sieve", "/usr/lib/dovecot/lmclassify", "/opt/lmclassify/bin"):
                text = text.replace(old, str(folder))
            (folder / path.name).write_text(text)
            shutil.copymode(path, folder / path.name)
        # What the scripts run: a program that notes its arguments and the message, and one that adds a label.
        self.program(
            "lmclassify",
            f'n=$(mktemp -u {folder}/home/XXXXXX)\ncat > "$n"\necho "$@" >> "$n"\nmv "$n" "$n.lesson"',
        )
        self.program("lmclassify-filter", f'printf "X-LMClassify-Label: %s\\n" "$(cat {folder}/label)"\ncat')
        for path in (folder, folder / "home"):
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        self.port = free_port()
        is_root = os.getuid() == 0
        me = pwd.getpwuid(os.getuid()).pw_name
        self.configuration = folder / "dovecot.conf"
        self.configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                port=self.port,
                uid=self.owner.pw_uid,
                gid=self.owner.pw_gid,
                login="dovenull" if is_root else me,
                internal="dovecot" if is_root else me,
                group="dovecot" if is_root else me,
            )
        )
        with (folder / "stderr").open("wb") as errors:
            self.process = subprocess.Popen(["dovecot", "-F", "-c", self.configuration], stderr=errors)

    def program(self, name: str, lines: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self) -> str:
        """Return what the server has said so far, before and after it opened its log."""
        paths = [self.folder / "stderr", self.folder / "log"]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def connect(self) -> imaplib.IMAP4:
        """Log in, when the server is ready."""
        found: list[imaplib.IMAP4] = []

        def log_in() -> bool:
            try:
                found.append(imaplib.IMAP4("127.0.0.1", self.port))
            except OSError:
                return False
            return True

        self.wait_for(log_in)
        found[0].login("user", "secret")
        return found[0]

    def deliver(self, subject: str) -> None:
        """Deliver a message as a mail server does."""
        lda = [LDA, "-c", self.configuration, *(["-d", "user"] if os.getuid() == 0 else [])]
        environment = {**os.environ, "HOME": str(self.folder / "home"), "USER": "user"}
        done = subprocess.run(lda, input=message(subject), env=environment, capture_output=True)
        assert done.returncode == 0, (done.stderr, self.log())

    def lessons(self) -> list[tuple[str, str]]:
        """Return subject and arguments of each lesson so far."""
        found = []
        for path in (self.folder / "home").glob("*.lesson"):
            lines = path.read_text().splitlines()
            (subject,) = (line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: "))
            found.append((subject, lines[-1].replace(str(self.folder), "")))
        return sorted(found)


def message(subject: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.com", subject
    mail.set_content("hello\n")
    return mail.as_bytes()


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    if (
        shutil.which("dovecot") is None
        or not Path("/usr/lib/dovecot/modules/lib95_imap_sieve_plugin.so").exists()
    ):
        pytest.skip("needs dovecot (Debian: dovecot-imapd, dovecot-sieve)")
    with tempfile.TemporaryDirectory(prefix="dovecot", dir="/tmp") as folder:  # paths of sockets are short
        server = Dovecot(Path(folder))
        try:
            yield server
        finally:
            server.process.terminate()
            server.process.communicate(timeout=120)


def test_copy_and_move_teach(dovecot, tmp_path):
    imap = dovecot.connect()
    for folder in ("Junk", "Trash", "Archive", "Junk/2024"):
        imap.create(folder)
    for folder, subjects in (("INBOX", ["copied in", "moved in"]), ("Junk", ["copied out", "moved out", "deleted", "old"])):  # fmt: skip
        for subject in subjects:
            status, _ = imap.append(folder, None, None, message(subject))
            assert status == "OK"
    imap.select("INBOX")
    assert imap.copy("1", "Junk")[0] == "OK"
    assert imap._simple_command("MOVE", "2", "Junk")[0] == "OK"
    imap.select("Junk")
    assert imap.copy("1", "Archive")[0] == "OK"
    for number, folder in (("4", "Junk/2024"), ("3", "Trash"), ("2", "INBOX")):
        assert imap._simple_command("MOVE", number, folder)[0] == "OK"
    imap.logout()
    learn = "learn --socket /run/lmclassify/socket"
    expected = [
        ("copied in", f"{learn} spam"),
        ("copied out", f"{learn} ham --from spam"),
        ("moved in", f"{learn} spam"),
        ("moved out", f"{learn} ham --from spam"),
    ]
    dovecot.wait_for(lambda: len(dovecot.lessons()) >= 4)
    assert dovecot.lessons() == expected
    assert "Error" not in dovecot.log()
    shutil.copytree(GOLDEN / "tuned" / "model", tmp_path / "model")
    for path in (dovecot.folder / "home").glob("*.lesson"):
        content, _, arguments = path.read_bytes().rstrip(b"\n").rpartition(b"\n")
        command = arguments.decode().replace("--socket /run/lmclassify/socket", "-m model").split()
        done = run_cli(*command, cwd=tmp_path, stdin=content)
        assert (done.returncode, done.stdout[:14]) == (0, b"learned 1 text"), done.stderr


def test_a_move_succeeds_if_teaching_fails(dovecot):
    dovecot.program("lmclassify", "exit 1")
    imap = dovecot.connect()
    imap.create("Junk")
    imap.append("INBOX", None, None, message("spam"))
    imap.select("INBOX")
    assert imap._simple_command("MOVE", "1", "Junk")[0] == "OK"
    assert imap.select("Junk")[1] == [b"1"]
    imap.logout()
    dovecot.wait_for(lambda: "lmclassify-learn" in dovecot.log())  # another process writes it


@pytest.mark.parametrize("script", ["filter-spam", "sort-into-folders"])
def test_delivery(dovecot, script):
    path = dovecot.folder / "90-lmclassify.conf"
    path.write_text(path.read_text().replace("filter-spam.sieve", f"{script}.sieve"))
    imap = dovecot.connect()
    for folder in ("Work/Projects", "Café".encode("utf-7").decode().replace("+", "&")):
        assert imap.create(folder)[0] == "OK"
    sorts = script == "sort-into-folders"
    for label, folder in (
        ("spam", "Junk"),
        ("ham", "INBOX"),
        ("unsure", "INBOX"),
        ("Work/Projects", "Work/Projects" if sorts else "INBOX"),
        ("=?utf-8?b?Q2Fmw6k=?=", "Caf&AOk-" if sorts else "INBOX"),
        ("No/Such", "INBOX"),
        ("../../etc", "INBOX"),
    ):
        (dovecot.folder / "label").write_text(label)
        dovecot.deliver(f"message {label}")
        status, (count,) = imap.select(folder)
        assert (status, count) == ("OK", b"%d" % (1 if folder != "INBOX" else int(count))), dovecot.log()
        subject = imap.fetch(count, "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1]
        assert b"message" in subject
        assert label.encode() in subject or label.startswith("=?")
    dovecot.program("lmclassify-filter", "echo 'X-LMClassify-Label: spam'\ncat\nexit 75")
    dovecot.deliver("the filter fails")
    imap.select("INBOX")
    assert imap.search(None, "SUBJECT", "fails")[1] != [b""]
    imap.logout()


def test_the_watcher_learns_from_moves_over_imap(dovecot):
    """The same moves as above, seen in the Maildir of the server."""
    learned: list[tuple[bytes, str, str | None]] = []

    def teach(message: bytes, label: str, from_label: str | None, *, undo: bool) -> bool:
        (subject,) = (line for line in message.splitlines() if line.startswith(b"Subject: "))
        learned.append((subject.removeprefix(b"Subject: "), label, from_label))
        return True

    def scan() -> list[tuple[bytes, str, str | None]]:
        learned.clear()
        assert watcher.scan()
        return sorted(learned)

    imap = dovecot.connect()
    for folder in ("Junk", "Trash", "Archive"):
        imap.create(folder)
    for subject in ("one", "two", "three"):
        imap.append("INBOX", None, None, message(subject))
    warned: list[str] = []
    state = WatchState(str(dovecot.folder / "state"))
    root = str(dovecot.folder / "home" / "Maildir")
    watcher = MaildirWatcher(root, state, FolderLabels([".Junk"]), teach, say=print, warn=warned.append)
    assert scan() == []
    imap.select("INBOX")
    assert imap.copy("1", "Junk")[0] == "OK"
    assert scan() == [(b"one", "spam", None)]
    assert imap._simple_command("MOVE", "2:3", "Junk")[0] == "OK"
    assert imap.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"
    assert scan() == [(b"three", "spam", None), (b"two", "spam", None)]
    assert imap.rename("Junk", "Old")[0] == "OK"
    assert imap.create("Junk")[0] == "OK"
    assert scan() == []
    assert imap.rename("Archive", "Kept")[0] == "OK"
    imap.select("Old")
    assert imap._simple_command("MOVE", "1:3", "Junk")[0] == "OK"
    scan()
    imap.select("Junk")
    assert imap._simple_command("MOVE", "1", "Trash")[0] == "OK"
    assert imap._simple_command("MOVE", "1", "Kept")[0] == "OK"
    ((_, label, from_label),) = scan()
    assert (label, from_label) == ("ham", "spam")
    assert imap.delete("Kept")[0] == "OK"
    assert scan() == []
    imap.logout()
    state.close()
    assert warned == []
