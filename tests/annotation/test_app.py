"""The paths of the page: token, origin, conflicts, and errors that the page can show."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from lmclassify.annotation.app import labelling_app
from lmclassify.annotation.labelled_file import LabelledFile
from lmclassify.annotation.session import Session

TOKEN = "right"
ADDRESS = "http://127.0.0.1"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\n<b>win</b>\nlunch\nnews\n")
    return path


@pytest.fixture
def client(path):
    with Session([LabelledFile(str(path))], labels=["spam"]) as session:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Client": "a"}
        with TestClient(labelling_app(session, TOKEN), base_url=ADDRESS, headers=headers) as client:
            yield client


def test_label_skip_and_undo(client, path):
    state = client.get("/v1/state").json()
    assert state["labels"] == [{"name": "spam", "count": 0}]
    first, *_ = client.get("/v1/next", params={"count": 3}).json()["texts"]
    body = {"id": first["id"], "action": "label", "label": "spam", "note": None, "seen": None}
    answer = client.post("/v1/answer", json=body).json()
    assert answer["state"]["num_labelled"] == 1
    assert len(answer["next"]) == 2
    assert f"{first['text']},spam," in path.read_text()
    undone = client.post("/v1/undo", json={}).json()
    assert undone["text"] == first
    assert undone["state"]["num_labelled"] == 0
    refused = client.post("/v1/undo", json={})
    assert refused.status_code == 409
    assert refused.json()["detail"] == "There is no answer to take back."


def test_conflicts(client, path):
    (item,) = client.get("/v1/next").json()["texts"]
    body = {"id": item["id"], "action": "label", "label": "spam"}
    assert client.post("/v1/answer", json=body).status_code == 200
    again = client.post("/v1/answer", json=body, headers={"X-Client": "b"})
    assert again.status_code == 409
    assert "has label 'spam' now" in again.json()["detail"]
    path.write_text("text\nanother\n")
    changed = client.post("/v1/answer", json=body | {"seen": "spam", "label": "ham"})
    assert changed.status_code == 409
    assert changed.json()["file_changed"] is True
    assert path.read_text() == "text\nanother\n"
    reloaded = client.post("/v1/reload", json={}).json()
    assert (reloaded["lost"], reloaded["state"]["num_texts"]) == (1, 1)
    path.unlink()
    assert client.post("/v1/reload", json={}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "label", "label": "x"}, 422),
        ({"id": 0, "action": "label"}, 422),
        ({"id": 0, "action": "drop"}, 422),
        ({"id": "0", "action": "skip"}, 422),
        ({"id": 0, "action": "skip", "more": 1}, 422),
        ({"id": 0, "action": "label", "label": "SPAM"}, 422),
        ({"id": 0, "action": "skip", "note": "x" * 3000}, 422),
        ({"id": 99, "action": "skip"}, 409),
        ({"id": -1, "action": "skip"}, 409),
    ],
)
def test_requests_that_are_refused(client, path, body, status):
    before = path.read_text()
    response = client.post("/v1/answer", json=body)
    assert response.status_code == status
    assert response.json()["detail"]
    assert path.read_text() == before


def test_only_the_page_with_the_token_is_answered(client, path):
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": ""}):
        assert client.get("/v1/state", headers=headers).status_code == 401
    assert client.get("/v1/state", headers={"Host": "evil.example"}).status_code == 421
    body = {"id": 0, "action": "label", "label": "spam"}
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        assert client.post("/v1/answer", json=body, headers=headers).status_code == 403
    assert client.post("/v1/answer", content=b"id=0").status_code == 415
    assert client.get("/v1/next", headers={"X-Client": "x" * 101}).status_code == 422
    assert client.get("/v1/next", params={"count": 21}).status_code == 422
    assert path.read_text().startswith("text\n")


def test_the_files_of_the_page(client):
    page = client.get("/", headers={"Authorization": ""})
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/static/page.js").status_code == 200
    assert client.get("/shared/style.css").status_code == 200
    assert client.get("/docs").status_code == 404
