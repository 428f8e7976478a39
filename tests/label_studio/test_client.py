"""The REST client: both kinds of keys, and a sentence for whatever goes wrong."""

import httpx
import pytest

from minimax_al.errors import CampaignError, ConfigurationError, UnknownNameError
from minimax_al.label_studio import LabelStudio
from minimax_al.label_studio.messages import Project
from minimax_al.label_studio.projects import find_project, list_projects, list_users

from .fake import LEGACY_KEY, PERSONAL_KEY, URL, payload


def test_a_personal_access_token_gets_a_new_key_when_its_key_has_run_out(studio):
    with LabelStudio(URL, PERSONAL_KEY, transport=studio.transport) as client:
        list_users(client)
        list_users(client)
        assert studio.refreshed == 1
        studio.access = "access-2"  # five minutes later
        assert [user.author for user in list_users(client).values()] == ["ann@example.org"]
    assert studio.refreshed == 2


@pytest.mark.parametrize("key", ["nonsense", "a.personal.one"])
def test_a_wrong_key_is_reported(studio, key):
    client = LabelStudio(URL, key, transport=studio.transport)
    with client, pytest.raises(CampaignError, match=r"refuses the key \((Invalid|Token is inv).*account page"):
        list_users(client)


def test_a_disabled_key_is_reported_with_label_studios_reason(studio, client):
    body = {**payload("wrong_key"), "detail": "legacy token authentication has been disabled for this organization"}
    studio.fail_at = (0, httpx.Response(401, json=body))
    with pytest.raises(CampaignError, match="legacy token authentication has been disabled"):
        list_users(client)


@pytest.mark.parametrize("key", ["", "  ", "schlüssel"])
def test_a_malformed_key_is_refused(key):
    with pytest.raises(ConfigurationError, match="LABEL_STUDIO_API_KEY"):
        LabelStudio(URL, key)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "", "http://", "file:///etc"])
def test_an_invalid_address_is_shown_in_the_error(url):
    with pytest.raises(ConfigurationError, match=r"is not an address.*http://localhost:8080"):
        LabelStudio(url, LEGACY_KEY)


@pytest.mark.parametrize("url", ["http://ann:s3cret@studio.test", "ftp://ann:s3cret@x", "http://ann:s3/cret@x:y/"])
def test_a_password_in_an_address_is_refused_and_not_shown(url):
    with pytest.raises(ConfigurationError, match="leave them out, the key is enough") as refused:
        LabelStudio(url, LEGACY_KEY)
    assert "cret" not in str(refused.value)


def test_the_path_of_the_servers_address_is_kept(studio):
    client = LabelStudio(f"{URL}/studio/", LEGACY_KEY, transport=studio.transport)
    with client, pytest.raises(CampaignError, match="has no /api/users/"):
        list_users(client)
    assert studio.requests[0] == ("GET", "/studio/api/users/")


@pytest.mark.parametrize(
    ("failure", "match"),
    [
        (httpx.ConnectError("Connection refused"), r"cannot be reached \(Connection refused\): start it"),
        (httpx.DecodingError("incorrect header check"), r"cannot be reached \(incorrect header check\): start it"),
        (httpx.ReadTimeout("slow"), r"did not answer GET /api/users/ in time \(ReadTimeout\)"),
        (httpx.Response(200, text="<html>router</html>"), "answers GET /api/users/ in another form than Label Studio"),
        (httpx.Response(200, json={"users": []}), "the whole answer: Input should be a valid array"),
        (httpx.Response(302, headers={"location": "https://studio.test/"}), "redirects to 'https://studio.test/'"),
        (httpx.Response(403, json={"detail": "No."}), r"does not allow GET /api/users/ with this key \(No\.\)"),
        (httpx.Response(502, text="bad gateway"), "with status 502"),
        (httpx.Response(500, json=["odd"]), r"with status 500 \(\['odd'\]\)"),
    ],
)
def test_every_failure_is_one_sentence(studio, client, failure, match):
    studio.fail_at = (0, failure)
    with pytest.raises(CampaignError if "redirects" not in match else ConfigurationError, match=match):
        list_users(client)


def test_another_version_is_named_where_something_is_missing(studio, client):
    studio.release = "2.0.1"
    with pytest.raises(CampaignError, match=r"has no /api/x.* it is version 2\.0\.1, and .* written for 1\.23"):
        client.get("/api/x", Project)


def test_projects_are_found_by_number_and_by_title(studio, client):
    made = [client.post("/api/projects/", Project, json=project(f"herons {number}")) for number in range(103)]
    assert [one.id for one in list_projects(client)] == [one.id for one in made]
    assert find_project(client, 103).title == find_project(client, "103").title == "herons 102"
    assert find_project(client, "herons 101").id == 102


def test_missing_and_ambiguous_projects_are_refused(studio, client):
    for title in ("herons", "egrets", "egrets"):
        client.post("/api/projects/", Project, json=project(title))
    with pytest.raises(UnknownNameError, match=r"unknown project .* '7'\. Known: 1 \(herons\), 2 \(egrets\)"):
        find_project(client, 7)
    with pytest.raises(UnknownNameError, match="did you mean 'herons'"):
        find_project(client, "heron")
    with pytest.raises(ConfigurationError, match="2 projects have the title 'egrets': give the number, one of 2, 3"):
        find_project(client, "egrets")


def project(title):
    return {"title": title, "label_config": payload("project")["label_config"]}


def test_session_cookies_are_not_stored(studio, client):
    studio.fail_at = (0, httpx.Response(200, json=payload("users"), headers={"set-cookie": "sessionid=x; Path=/"}))
    seen = []
    client._client.event_hooks["request"].append(lambda request: seen.append(request.headers.get("cookie")))
    list_users(client)
    list_users(client)
    assert seen == [None, None]
