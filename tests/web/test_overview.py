import math

import pytest

from minimax_al.campaign import FORMATS, strategy_names
from minimax_al.strategies.usual import USUAL
from minimax_al.web.models import Job


def test_the_overview_describes_the_campaign(client, campaign):
    info = client.get("/api/campaign").json()
    assert len(info.pop("id")) == 16
    assert info == {
        "name": "herons",
        "task": "classification",
        "classes": ["cat", "dog"],
        "class_ids": [1, 2],
        "colours": [],
        "strategy": "badge+mal",
        "usual": USUAL["classification"],
        "strategies": sorted([*strategy_names(), "badge+mal"]),
        "lease_seconds": 600,
        "live": None,
        "role": "manager",
        "export_formats": ["csv", "parquet", "coco", "label-studio"],
    }


def test_campaigns_have_different_ids(make_campaign, make_client):
    first, second = (make_client(make_campaign()).get("/api/campaign").json()["id"] for _ in range(2))
    assert first != second


def test_masks_have_colours_and_fewer_formats(make_campaign, make_client):
    info = make_client(make_campaign(task="segmentation")).get("/api/campaign").json()
    assert len(set(info["colours"])) == 2
    assert info["export_formats"] == ["coco", "label-studio"]


def test_offered_strategies_include_the_campaigns_own(make_campaign, make_client):
    offered = make_client(make_campaign(strategy="entropy+mal")).get("/api/campaign").json()["strategies"]
    assert sorted({*strategy_names(), "entropy+mal"}) == offered


def test_the_status_equals_the_campaigns(client, campaign):
    picks = campaign.picks()
    campaign.label([pick.item for pick in picks[:3]], "cat", author="ann")
    campaign.unsure(picks[3].item, author="ann")
    told, now = client.get("/api/status").json(), campaign.status()
    for name in ("task", "items", "labelled", "held_out", "unsure", "unlabelled", "model"):
        assert told[name] == getattr(now, name), name
    assert told["classes"] == [vars(entry) for entry in now.classes]
    assert told["round"]["waiting"] == now.round.waiting == 4
    assert told["round"]["is_open"]
    assert told["advice"] == vars(now.advice)
    assert (told["curve"], told["set_aside"], told["notes"]) == ([], [], [])
    assert told["job"]["state"] == "idle"


def test_the_round_is_null_before_the_first_query(make_campaign, make_client):
    assert make_client(make_campaign()).get("/api/status").json()["round"] is None


def test_the_status_has_the_model_and_the_curve(client, campaign, clock):
    from sqlalchemy import insert

    from minimax_al.campaign.store.schema import runs

    run = {"strategy": "mal", "fingerprint": "0", "labels": 5, "held_out": 3, "state": "done"}
    with campaign.store.writing() as connection:
        metrics = {"accuracy": 2 / 3, "calibration_error": math.nan}
        connection.execute(insert(runs).values(**run, metrics=metrics, started_at=clock(), finished_at=clock()))
    told = client.get("/api/status").json()
    assert told["model"]["score"] == pytest.approx(2 / 3)
    assert told["model"]["metrics"]["calibration_error"] is None  # JSON has no NaN
    (point,) = told["curve"]
    assert point["labels"] == 5
    assert point["low"] < 2 / 3 < point["high"]
    assert [point["low"], point["high"]] == told["model"]["interval"]


def test_export_formats_are_the_single_file_formats():
    from typing import get_args

    from minimax_al.web.transfer import ExportFormat

    assert set(get_args(ExportFormat)) == {name for name, entry in FORMATS.items() if not entry.is_folder}


def test_the_description_declares_every_route_completely(client):
    description = client.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            declared = set(operation["responses"])
            assert {"401", "403", "503"} <= declared, (method, path)
            assert not declared & {"500"}
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema["required"] == ["error"], (method, path, status)


def test_an_idle_job_has_default_fields(client):
    assert client.get("/api/job").json() == Job().model_dump()
