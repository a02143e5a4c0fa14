"""Models of users: whose answers, which are in memory, and which names are refused."""

from __future__ import annotations

import asyncio
import logging

import pytest

from lmclassify.errors import ModelError
from lmclassify.service.user_models import UserModels
from lmclassify.service.worker import UnknownUserError
from tests.service.conftest import with_service


class Scorer:
    """Stands for the model in a folder."""

    notes = ()

    def __init__(self, folder):
        self.folder = folder
        self.refreshed = 0

    def refresh(self):
        self.refreshed += 1

    def save(self, folder):
        add_model(folder.parent, folder.name)


def add_model(folder, user):
    (folder / user).mkdir()
    (folder / user / "config.json").touch()


def models_of(folder, *users, shared="shared", max_models=2):
    for user in users:
        add_model(folder, user)
    return UserModels(Scorer(shared) if shared else None, folder, Scorer, max_models)


def test_each_user_has_a_model_and_the_shared_one_stands_in(tmp_path):
    models = models_of(tmp_path, "alice", "bob")
    assert models.scorer(None, to_teach=False).folder == "shared"
    assert models.scorer("alice", to_teach=False).folder == tmp_path / "alice"
    assert models.scorer("bob", to_teach=True).folder == tmp_path / "bob"
    assert models.scorer("carol", to_teach=False).folder == "shared"
    assert models.scorer("alice", to_teach=False).refreshed == 2


def test_a_user_who_teaches_the_shared_model_gets_a_copy(tmp_path):
    models = models_of(tmp_path)
    assert models.scorer("alice", to_teach=True).folder == tmp_path / "alice"
    assert models.scorer("alice", to_teach=False).folder == tmp_path / "alice"
    assert models.scorer(None, to_teach=True).folder == "shared"
    assert [path.name for path in tmp_path.iterdir()] == ["alice"]


def test_without_a_shared_model_there_must_be_one_of_the_user(tmp_path):
    models = models_of(tmp_path, "alice", shared=None)
    for user, message in ((None, "There is no shared model"), ("carol", "There is no model of user carol")):
        for to_teach in (False, True):
            with pytest.raises(UnknownUserError, match=message):
                models.scorer(user, to_teach=to_teach)
    assert [path.name for path in tmp_path.iterdir()] == ["alice"]


def test_the_models_used_last_stay_in_memory(tmp_path):
    models = models_of(tmp_path, "alice", "bob", "carol")
    alice = models.scorer("alice", to_teach=False)
    models.scorer("bob", to_teach=False)
    assert models.scorer("alice", to_teach=False) is alice
    models.scorer("carol", to_teach=False)
    assert models.loaded == ["alice", "carol"]
    (tmp_path / "alice" / "config.json").unlink()
    assert models.scorer("alice", to_teach=False).folder == "shared"
    assert models.loaded == ["carol"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../bob", "a/b", ".alice", "-m", "a\0", "ä", "a b", "a" * 129]
)
def test_names_that_could_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(UnknownUserError, match="There is no user"):
        models_of(tmp_path, "bob").scorer(name, to_teach=True)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "users").mkdir()
    models = models_of(tmp_path / "users", "bob")
    add_model(tmp_path, "elsewhere")
    (tmp_path / "users" / "alice").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link"):
        models.scorer("alice", to_teach=True)


def test_a_service_without_user_models_has_none():
    with pytest.raises(UnknownUserError):
        UserModels(None, None, Scorer, 1).scorer("alice", to_teach=False)


def test_requests_of_users(tmp_path, caplog):
    async def use(service, client):
        def post(path, **body):
            return client.post(path, json=body)

        answers = await asyncio.gather(
            post("/v1/users/alice/predict", text="a"),
            post("/v1/users/bob@example.org/predict", texts=["b", "c"]),
            post("/v1/users/alice/predict", text="d"),
        )
        assert [item["label"] for answer in answers for item in answer.json()["predictions"]] == [
            "alice",
            "bob@example.org",
            "bob@example.org",
            "alice",
        ]
        assert answers[0].headers["LMClassify-Model"] == "checksum of alice"
        assert (await post("/v1/users/alice/learn", text="a", label="spam")).json()["changed"]
        info = (await client.get("/v1/users/alice/model")).json()
        assert (info["model"], info["lessons"]["total"], info["can_learn"]) == ("alice", 1, True)
        for user in ("carol", "..", "%2e%2e%2fbob", "-m", "%00"):
            assert (await post(f"/v1/users/{user}/predict", text="a")).status_code in (404, 405)
        for path in ("/v1/predict", "/v1/users/carol/predict"):
            answer = await post(path, text="a")
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.get("/v1/model")).status_code == 404
        metrics = (await client.get("/metrics")).text
        assert 'lmclassify_requests_total{path="/v1/users/{user}/predict",status="200"} 3.0' in metrics
        assert "users/alice" not in metrics
        assert "lmclassify_model_" not in metrics
        assert "lmclassify_seconds_since_last_lesson " in metrics
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert paths["/v1/users/{user}/learn"]["post"]["parameters"][0]["name"] == "user"

    caplog.set_level(logging.INFO, "lmclassify.service")
    options = {"users": ["alice", "bob@example.org"], "shared": False, "journal": str(tmp_path / "journal")}
    with_service(use, options, user_models=True, learn=True)
    assert "learned 1 text as spam for alice (correction)" in caplog.text


def test_a_large_request_whose_model_is_replaced_starts_again(tmp_path):
    name = tmp_path / "name"
    name.write_text("old")

    async def use(service, client):
        texts = ["a"] * 256 + ["rename new"] + ["b"] * 300
        answer = (await client.post("/v1/predict", json={"texts": texts})).json()
        assert {item["label"] for item in answer["predictions"]} == {"new"}
        assert len(answer["predictions"]) == len(texts)

    with_service(use, {"name_file": str(name)})
