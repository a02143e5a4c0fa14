"""The milter behind a real Postfix, and as Debian's miltertest sees it."""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import shutil
import smtplib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmclassify import load
from tests.conftest import GOLDEN, ROOT, free_port
from tests.service.conftest import DEADLINE, running, wait_until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("postfix")]

MODEL = GOLDEN / "tuned" / "model"
SUBJECT = "Your free prize"
OURS = ["X-LMClassify-Label", "X-LMClassify-Score", "X-LMClassify-Reason"]
FORGED = (
    "X-LMClassify-Label: ham\r\nx-lmclassify-label : ham\r\n more\r\nX-LMCLASSIFY-SCORE: 0\r\n"
    "X-LMClassify-Reason:\r\n\t=?utf-8?q?none?=\r\nX-LMClassify-Other: x\r\n"
)

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
alias_maps =
alias_database =
virtual_mailbox_domains = example.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:user/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
message_size_limit = 20480000
smtpd_milters = inet:127.0.0.1:{milter}
milter_default_action = accept
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix of its own: its folders and port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.milter = free_port(), free_port()

    def write(self) -> None:
        for name, owner in (("etc", "root"), ("spool", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self.folder / name).mkdir(mode=0o755)
            shutil.chown(self.folder / name, owner)
        values = {"folder": self.folder, "port": self.port, "milter": self.milter}
        (self.folder / "etc" / "main.cf").write_text(MAIN.format(**values))
        (self.folder / "etc" / "master.cf").write_text(MASTER.format(**values))

    def control(self, action: str) -> None:
        command = ["postfix", "-c", self.folder / "etc", action]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def send(self, *messages: bytes) -> None:
        """Send messages over one connection."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=DEADLINE) as client:
            for message in messages:
                client.sendmail("a@b.example", ["user@example.test"], message)

    def delivered(self, count: int) -> list[bytes]:
        """Wait until so many messages are delivered, and remove them."""
        folder = self.folder / "mail" / "user" / "new"
        wait_until(lambda: folder.is_dir() and len(list(folder.iterdir())) >= count)
        messages = []
        for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns):
            messages.append(file.read_bytes())
            file.unlink()
        return messages


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    if shutil.which("postfix") is None:
        pytest.skip("needs postfix")
    if os.geteuid() != 0:
        pytest.skip("needs root, as Postfix does")
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))  # pytest's folders are closed to Postfix's users
    folder.chmod(0o755)
    server = Postfix(folder)
    server.write()
    server.control("start")
    try:
        yield server
    finally:
        server.control("stop")
        shutil.rmtree(folder)


@contextlib.contextmanager
def milter(port: int, *options: object) -> Iterator[list[str]]:
    """Run the command until the end of the block; yield the lines that it prints."""
    options = ("--listen", f"inet:127.0.0.1:{port}", *options)
    command = ("-m", "lmclassify", "milter")
    with running(*options, cwd=ROOT, command=command, ready=False) as process:
        process.wait_for("labelling mail")
        yield process.said
    assert process.process.returncode == 0


def parsed(message: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def own_headers(message: bytes) -> list[str]:
    return [name for name in parsed(message) if name.lower().startswith("x-lmclassify-")]


def test_postfix_delivers_labelled_messages(postfix):
    body = b"hello \xff\xe9\r\nX-LMClassify-Label: in the body\r\n"
    large = b"large\r\n" + (b"x" * 76 + b"\r\n") * 30_000
    with milter(postfix.milter, "-m", MODEL, "--reason") as log:
        head = f"{FORGED}Subject: {SUBJECT}\r\n{FORGED}To: u\r\n\r\n".encode()
        postfix.send(head + body, b"Subject: Lunch on Friday?\r\n\r\n", b"Subject: large\r\n\r\n" + large)
        messages = postfix.delivered(3)
    fitted = load(MODEL)
    by_subject = {str(parsed(message)["Subject"]): message for message in messages}
    for subject, message in by_subject.items():
        probability = fitted.predict_proba([subject])[0][fitted.label_names.index("spam")]
        headers = parsed(message)
        assert own_headers(message)[:2] == OURS[:2]
        assert own_headers(message) == OURS[: len(own_headers(message))]
        assert float(headers["X-LMClassify-Score"]) == pytest.approx(probability, abs=1e-6)
        assert headers["X-LMClassify-Label"] == str(fitted.predict([subject])[0])
    assert own_headers(by_subject[SUBJECT]) == OURS
    assert set(str(parsed(by_subject[SUBJECT])["X-LMClassify-Reason"]).split()) <= set(SUBJECT.split())
    for subject, end in ((SUBJECT, body), ("large", large)):
        assert by_subject[subject].endswith(b"\n\n" + end.replace(b"\r\n", b"\n"))
    assert "".join(log).count(": accepted: ") == 3
    assert SUBJECT not in "".join(log)


def test_postfix_rejects_and_quarantines_if_asked_to(postfix):
    message = f"Subject: {SUBJECT}\r\n\r\nhello\r\n".encode()
    with milter(postfix.milter, "-m", MODEL, "--reject-above", 0):
        with pytest.raises(smtplib.SMTPDataError) as rejected:
            postfix.send(message)
        assert rejected.value.smtp_code == 550
        assert b"5.7.1 This message was classified as spam" in rejected.value.smtp_error
        with pytest.raises(smtplib.SMTPDataError) as rejected:
            postfix.send(b"X-LMClassify-Label: ham\r\n" * 5000 + message)
        assert b"5.6.0 More than 100 headers X-LMClassify-" in rejected.value.smtp_error
        postfix.send(b"Subject: Lunch on Friday?\r\n\r\n")
        assert b"Lunch" in postfix.delivered(1)[0]
    with milter(postfix.milter, "-m", MODEL, "--quarantine-above", 0):
        postfix.send(message)
    hold = postfix.folder / "spool" / "hold"
    wait_until(lambda: hold.is_dir() and list(hold.iterdir()))
    (held,) = hold.iterdir()
    postcat = ["postcat", "-c", postfix.folder / "etc", held]
    shown = subprocess.run(postcat, check=True, capture_output=True).stdout
    assert b"\nX-LMClassify-Label: spam\n" in shown
    subprocess.run(["postsuper", "-c", postfix.folder / "etc", "-d", "ALL"], check=True, capture_output=True)


def test_no_message_is_lost_without_a_service(postfix, tmp_path):
    """No service; then a service that is killed; then no milter at all."""
    path = tmp_path / "s"
    message = f"X-LMClassify-Label: ham\r\nSubject: {SUBJECT}\r\n\r\nhello\r\n".encode()
    with milter(postfix.milter, "--socket", path) as log:
        postfix.send(message)
        assert [own_headers(message) for message in postfix.delivered(1)] == [[]]
        with running("-m", MODEL, "--socket", path, cwd=ROOT) as service:
            postfix.send(message)
            assert [own_headers(message) for message in postfix.delivered(1)] == [OURS[:2]]
            service.process.kill()
            service.process.wait()
            postfix.send(message)
            assert [own_headers(message) for message in postfix.delivered(1)] == [[]]
    assert "".join(log).count(f"accepted without a label: no service on {path}") == 2
    postfix.send(message)
    assert own_headers(postfix.delivered(1)[0]) == ["X-LMClassify-Label"]


def test_no_message_is_lost_while_the_milter_ends(postfix):
    """20 connections at once; the milter ends in between, and Postfix is configured to accept then."""
    messages = [f"Subject: message {number}\r\n\r\nhello\r\n".encode() for number in range(100)]
    with ThreadPoolExecutor(20) as clients:
        with milter(postfix.milter, "-m", MODEL) as log:
            sent = [clients.submit(postfix.send, message) for message in messages]
            wait_until(lambda: "".join(log).count(": accepted: ") >= 20)
        for future in sent:
            future.result()
    delivered = Counter(str(parsed(message)["Subject"]) for message in postfix.delivered(len(messages)))
    assert delivered == Counter(f"message {number}" for number in range(100))
    assert "without a label" not in "".join(log)


SCRIPT = """
function message(forged)
  conn = mt.connect("inet:%d@127.0.0.1", 40, 0.25)
  mt.macro(conn, SMFIC_MAIL, "i", "test-id")
  if forged then mt.header(conn, "X-LMClassify-Label", "ham") end
  mt.header(conn, "Subject", "%s")
  mt.bodystring(conn, "hello\\r\\n")
  mt.eom(conn)
  print(mt.getreply(conn) == SMFIR_CONTINUE,
        mt.eom_check(conn, MT_HDRINSERT, "X-LMClassify-Label", "spam", 0),
        mt.eom_check(conn, MT_HDRINSERT, "X-LMClassify-Score"),
        mt.eom_check(conn, MT_HDRDELETE, "x-lmclassify-label"))
  mt.disconnect(conn)
end
message(true)
message(false)
"""


def test_miltertest(tmp_path):
    if shutil.which("miltertest") is None:
        pytest.skip("needs miltertest")
    port = free_port()
    (tmp_path / "script.lua").write_text(SCRIPT % (port, SUBJECT))
    with milter(port, "-m", MODEL) as log:
        command = ["miltertest", "-s", tmp_path / "script.lua"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["true", "true", "true", "true"],
        ["true", "true", "true", "false"],
    ]
    assert "".join(log).count("test-id: accepted: spam") == 2
