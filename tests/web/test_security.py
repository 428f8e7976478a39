import pytest

TOKEN = "a-token-that-nobody-guesses"
FOREIGN = "http://evil.example"


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765", "LOCALHOST"])
def test_loopback_names_are_allowed_hosts(onlooker, host):
    assert onlooker.get("/api/job", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "127.0.0.1.evil.example:8765"])
@pytest.mark.parametrize("path", ["/", "/api/job", "/static/main.js", "/images/1", "/openapi.json"])
def test_another_host_is_refused_everywhere(onlooker, host, path):
    answer = onlooker.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "host" in answer.json()["error"]


def test_hosts_can_be_given(campaign, make_client):
    client = make_client(campaign, hosts=("labels.example",))
    assert client.get("/api/job", headers={"Host": "labels.example"}).status_code == 200
    assert client.get("/api/job").status_code == 403
    assert make_client(campaign, hosts=("*",)).get("/api/job", headers={"Host": "whatever"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:8765"}, 200),
        ({"Origin": "http://localhost:8765", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": FOREIGN}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_only_our_own_pages_change_anything(onlooker, headers, status):
    answer = onlooker.post("/api/release", json={"author": "ann"}, headers=headers)
    assert answer.status_code == status
    assert onlooker.get("/api/job", headers=headers).status_code == 200  # to look is safe: no other page can read it


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/status"),
        ("GET", "/static/main.js"),
        ("GET", "/openapi.json"),
        ("POST", "/api/lease"),
    ],
)
def test_every_route_needs_the_token(campaign, make_client, method, path):
    client = make_client(campaign, token=TOKEN)
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer é"}):
        answer = client.request(method, path, headers=[(k, v.encode()) for k, v in headers.items()])
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "token" in answer.json()["error"]


def test_the_token_opens_as_bearer(campaign, make_client):
    client = make_client(campaign, token=TOKEN)
    assert client.get("/api/job", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_address_with_the_token_leads_to_the_page_by_a_cookie(campaign, make_client):
    client = make_client(campaign, token=TOKEN)
    assert client.get("/", params={"token": "wrong"}).status_code == 401
    assert client.get("/api/job", params={"token": TOKEN}).status_code == 401  # nowhere else
    welcome = client.get("/", params={"token": TOKEN})
    assert welcome.status_code == 200
    assert welcome.headers["Refresh"] == "0; url=./"
    assert welcome.headers["Cache-Control"] == "no-store"
    cookie = welcome.headers["Set-Cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
    assert client.get("/api/job").status_code == 200


def test_cookies_of_two_ports_have_different_names(campaign, make_client):
    one, two = make_client(campaign, token=TOKEN), make_client(campaign, token=TOKEN[::-1])
    names = [client.get("/", params={"token": token}).headers["Set-Cookie"].split("=")[0]
             for client, token in ((one, TOKEN), (two, TOKEN[::-1]))]  # fmt: skip
    assert names[0] != names[1]


@pytest.mark.parametrize("path", ["/", "/api/status", "/api/nothing", "/static/main.js", "/thumbnails/1"])
def test_content_security_policy_allows_own_origin_only(onlooker, path):
    headers = onlooker.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "private" in headers["Cache-Control"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": FOREIGN}])
def test_refusals_have_the_same_headers(onlooker, headers):
    assert "Content-Security-Policy" in onlooker.post("/api/release", json={}, headers=headers).headers


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/images/..%2f1",
     "/thumbnails/../../etc/passwd", "/views/1/..%2f..%2fsecret.png"],
)  # fmt: skip
def test_path_traversal_is_refused(onlooker, path):
    answer = onlooker.get(onlooker.base_url.copy_with(raw_path=path.encode()))
    assert answer.status_code in (404, 422)
    assert "import" not in answer.text


def test_unknown_paths_and_methods_are_one_sentence(onlooker):
    missing, wrong = onlooker.get("/api/nothing"), onlooker.put("/api/status")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert "/api/nothing" in missing.json()["error"]
    assert "PUT" in wrong.json()["error"]
    assert wrong.headers["Allow"] == "GET"


def test_no_page_of_documentation_loads_scripts_from_elsewhere(onlooker):
    assert onlooker.get("/docs").status_code == onlooker.get("/redoc").status_code == 404
