"""The paths of the service: answers equal those of the Python interface, errors are problem details."""

from __future__ import annotations

import itertools
import json

import httpx2
import jsonschema
import pytest

import lmclassify
from lmclassify.classify.explain import deciding_words
from lmclassify.service import schemas
from tests.conftest import bundled

TEXTS = ["Your free prize is waiting", "Lunch on Friday?", "", "Ωμέγα 🎁 مرحبا", "free " * 300]


@pytest.fixture(scope="module")
def client(served):
    with httpx2.Client(base_url=served, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def fitted(tuned_folder):
    return lmclassify.load(tuned_folder)


def validated(model, answer):
    """Return an answer that its schema describes whole."""
    strict = type("Strict", (model,), {"model_config": {"extra": "forbid"}})
    strict.model_validate(answer)
    return answer


def test_predict_answers_like_python(client, fitted):
    answer = client.post("/v1/predict", json={"texts": TEXTS}).json()
    predictions = validated(schemas.PredictResponse, answer)["predictions"]
    assert [item["label"] for item in predictions] == fitted.predict(TEXTS).tolist()
    joint = fitted.predict_joint_log_proba(TEXTS)
    novelty = fitted.novelty(TEXTS)
    for row, item in enumerate(predictions):
        validated(schemas.PredictedText, item)
        assert list(item["joint_log_probabilities"].values()) == pytest.approx(joint[row].tolist(), abs=1e-5)
        assert sum(item["probabilities"].values()) == pytest.approx(1)
        assert item["novelty"] == pytest.approx(novelty[row], abs=1e-5)
        assert item["unknown"] == (novelty[row] > fitted.unknown_threshold())


def test_predict_takes_one_text_or_several(client):
    one = client.post("/v1/predict", json={"text": TEXTS[0]}).json()
    assert one == client.post("/v1/predict", json={"texts": TEXTS[:1]}).json()
    assert client.post("/v1/predict", json={"texts": []}).json() == {"predictions": []}
    for body in ({}, {"text": "a", "texts": ["b"]}):
        assert client.post("/v1/predict", json=body).status_code == 422


def test_the_document_allows_the_bodies_that_predict_takes(client):
    document = client.get("/openapi.json").json()
    bodies = jsonschema.Draft202012Validator(document["components"]["schemas"]["PredictRequest"])
    members = [{"text": "a"}, {"texts": ["a"]}, {"reason": True}, {"reason": False}]
    for chosen in itertools.product((False, True), repeat=len(members)):
        body = {
            name: value for member in itertools.compress(members, chosen) for name, value in member.items()
        }
        accepted = client.post("/v1/predict", json=body).status_code == 200
        assert accepted == bodies.is_valid(body), body


def test_predict_gives_the_reason_of_one_text(client, fitted):
    for text in TEXTS:
        answer = client.post("/v1/predict", json={"text": text, "reason": True}).json()
        (prediction,) = validated(schemas.PredictResponse, answer)["predictions"]
        reason = prediction.pop("reason")
        assert reason == deciding_words(fitted, text)
        assert answer == client.post("/v1/predict", json={"text": text, "reason": False}).json()
    assert client.post("/v1/predict", json={"texts": ["a"], "reason": False}).status_code == 200
    refused = client.post("/v1/predict", json={"texts": ["a"], "reason": True})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "A reason is given for one text: send text, not texts."


def test_predictions_do_not_depend_on_the_other_texts(client):
    texts, _ = bundled("emails.csv", limit=20)
    together = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
    for text, expected in zip(texts[:5], together, strict=False):
        (alone,) = client.post("/v1/predict", json={"text": text}).json()["predictions"]
        assert alone["label"] == expected["label"]
        assert alone["joint_log_probabilities"] == pytest.approx(
            expected["joint_log_probabilities"], abs=1e-5
        )


def test_explain_answers_like_python(client, fitted):
    for text in TEXTS:
        answer = validated(schemas.ExplainResponse, client.post("/v1/explain", json={"text": text}).json())
        expected = fitted.explain(text)
        assert answer["label"] == expected["label"]
        assert [item["word"] for item in answer["words"]] == text.split()
        assert answer["decision"] == pytest.approx(expected["decision"], abs=1e-5)
        for got, word in zip(answer["words"], expected["words"], strict=True):
            validated(schemas.WordContribution, got)
            assert (got["start"], got["end"]) == (word["start"], word["end"])
            assert got["contribution"] == pytest.approx(word["contribution"], abs=1e-5)
    brief = client.post("/v1/explain", json={"text": TEXTS[0], "brief": True}).json()
    assert brief == json.loads(json.dumps(fitted.explain(TEXTS[0], brief=True)))
    turned = client.post("/v1/explain", json={"text": TEXTS[0], "label": "ham", "against": "spam"}).json()
    assert (turned["label"], turned["against"]) == ("ham", "spam")


def test_suggest_answers_like_python(client, fitted):
    body = {"prefix": "Your account", "label": "spam", "n": 3}
    answer = validated(schemas.SuggestResponse, client.post("/v1/suggest", json=body).json())
    expected = fitted.suggest("Your account", "spam", 3)
    assert [item["word"] for item in answer["suggestions"]] == [item["word"] for item in expected]
    assert len(client.post("/v1/suggest", json={"prefix": ""}).json()["suggestions"]) == 5


def test_model_describes_the_model(client, fitted):
    answer = client.get("/v1/model").json()
    schemas.ModelResponse.model_validate(answer)
    assert [label["label"] for label in answer["labels"]] == ["ham", "spam"]
    assert answer["parameters"] == fitted.num_parameters
    assert answer["model"] == "model"
    assert answer["limits"]["max_texts"] == 1000


def test_health_and_metrics(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.post("/v1/predict", json={"text": "spam"})
    client.get("/no/such/path")
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'lmclassify_requests_total{path="/v1/predict",status="200"}' in metrics.text
    assert 'lmclassify_requests_total{path="other",status="404"}' in metrics.text
    assert 'lmclassify_predictions_total{label="' in metrics.text
    assert "lmclassify_waiting_requests 0.0" in metrics.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("GET", "/nothing", None, 404, "Not Found"),
        ("GET", "/v1/predict", None, 405, "Method Not Allowed"),
        ("POST", "/v1/predict", b"{", 400, "not valid JSON"),
        ("POST", "/v1/predict", b'{"text": "\xff"}', 400, "not valid JSON"),
        ("POST", "/v1/predict", b"[" * 100_000, 400, "not valid JSON"),
        ("POST", "/v1/predict", b'{"texts": "one"}', 422, "see errors"),
        ("POST", "/v1/predict", b'{"texts": [1]}', 422, "see errors"),
        ("POST", "/v1/predict", b'{"texts": null}', 422, "see errors"),
        ("POST", "/v1/predict", b'{"text": "\\ud800"}', 422, "not valid Unicode"),
        ("POST", "/v1/predict", b'{"text": "a", "more": 1}', 422, "see errors"),
        ("POST", "/v1/explain", b'{"text": "a", "label": "eggs"}', 422, "no label 'eggs' in this model"),
        (
            "POST",
            "/v1/explain",
            b'{"text": "a", "label": "ham", "against": "ham"}',
            422,
            "compared with itself",
        ),
        ("POST", "/v1/suggest", b'{"prefix": "a", "n": 0}', 422, "see errors"),
        ("POST", "/v1/suggest", b'{"prefix": "a", "n": 1e999}', 422, "see errors"),
        ("POST", "/v1/suggest", b'{"prefix": "a", "n": ' + b"9" * 5000 + b"}", 400, "not valid JSON"),
    ],
)
def test_wrong_requests_are_problems(client, method, path, body, status, detail):
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    problem = schemas.ProblemDetails.model_validate(answer.json())
    assert (answer.status_code, problem.status) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in problem.detail
    if "see errors" in detail:
        assert problem.errors
        assert problem.errors[0].pointer.startswith("/")
    if body and b"more" in body:
        assert problem.errors[0].model_dump() == {
            "pointer": "/more",
            "detail": "unknown member; /docs lists those of this path",
        }


def test_only_json_is_accepted(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("/v1/predict", content=b'{"text": "a"}', headers={"Content-Type": kind})
        assert answer.status_code == 415
    fine = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post("/v1/predict", content=b'{"text": "a"}', headers=fine).status_code == 200


def test_security_headers(client):
    for path in ("/", "/v1/model", "/nothing", "/static/style.css", "/healthz"):
        answer = client.get(path, headers={"Origin": "http://elsewhere.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    preflight = client.options(
        "/v1/predict",
        headers={"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 405


def test_the_openapi_document_describes_the_paths(client):
    document = client.get("/openapi.json").json()
    assert {
        "/v1/predict",
        "/v1/explain",
        "/v1/suggest",
        "/v1/learn",
        "/v1/model",
        "/healthz",
        "/readyz",
        "/metrics",
    } == set(document["paths"])
    schemas_named = set(document["components"]["schemas"])
    used = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert used == schemas_named
