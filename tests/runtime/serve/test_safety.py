"""Who is answered, what a browser may do with the answers, and what is said of them."""

from __future__ import annotations

import json
import socket

import httpx
import pytest
from tests.runtime.serve.servers import serving, wait_until


@pytest.mark.parametrize("path", ["/sample.jpg", "/v1/styles", "/docs", "/metrics", "/v2", "/nothing", "/v1/nothing"])
def test_every_answer_keeps_a_browser_to_the_servers_own_files(path, client):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_the_page_needs_no_other_server_and_no_script_of_a_strangers(client):
    page = client.get("/docs").text
    assert "POST /v1/stylize" in page
    assert "<script" not in page
    assert "http" not in page


def test_only_the_packages_files_are_served(server):
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "//etc/passwd", "/page/../../app.py"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.split()[1] in {b"400", b"404"}, path


def test_another_web_site_is_refused(client):
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/v1/styles", headers=headers).status_code == 403
    assert client.get("/v1/styles", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get("/docs", headers=headers).status_code == 200  # a link from elsewhere may lead here


@pytest.mark.parametrize(("host", "status"), [("evil.example", 403), ("localhost:80", 200), ("[::1]:80", 200)])
def test_a_server_on_loopback_answers_to_its_own_names_alone(host, status, client):
    assert client.get("/v1/styles", headers={"Host": host}).status_code == status


def test_the_description_is_of_the_addresses_that_there_are(client, photo):
    facts = client.get("/openapi.json").json()
    assert facts["openapi"] == "3.1.0"
    for path, methods in facts["paths"].items():
        for method in methods:
            answer = client.request(method.upper(), path.replace("{id}", "udnie"))
            assert answer.status_code in {200, 415}, path  # a body is missing, no address
    fields = facts["paths"]["/v1/stylize"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    asked = {name: str(field["default"]) for name, field in fields["properties"].items() if "default" in field}
    answer = client.post("/v1/stylize", files={"content": ("a.png", photo)}, data={"style": "udnie", **asked})
    assert answer.content == client.post("/v1/stylize", files={"content": photo}, data={"style": "udnie"}).content


def test_requests_are_counted_by_their_route(client):
    client.get("/v1/styles/udnie")
    client.request("INVENTED", "/v1/styles")
    wait_until(lambda: 'method="other"' in client.get("/metrics").text)
    figures = client.get("/metrics").text
    assert 'adain_rt_requests_total{method="GET",route="/v1/styles/{id}",status="200"}' in figures
    assert 'adain_rt_request_seconds_bucket{le="0.1",method="GET",route="/v1/styles/{id}"}' in figures
    assert 'adain_rt_info{backend="onnxruntime",model="lite",precision="int8"' in figures
    assert "INVENTED" not in figures
    assert "process_resident_memory_bytes" in figures


def test_the_log_has_a_line_of_json_for_a_request_and_no_name_of_a_file(client, server, photo):
    answer = client.post(
        "/v1/stylize",
        files={"content": ("secret-name.png", photo[:100])},
        data={"style": "udnie"},
        headers={"X-Request-ID": "request-7"},
    )
    assert answer.headers["x-request-id"] == "request-7"
    wait_until(lambda: '"request-7"' in server.log.read_text())
    log = server.log.read_text()
    assert "secret-name" not in log
    line = next(each for each in map(json.loads, log.splitlines()) if each.get("id") == "request-7")
    assert line["event"] == "request"
    assert (line["route"], line["status"], line["client"]) == ("/v1/stylize", 422, "127.0.0.1")


def test_an_id_that_is_no_id_is_replaced(client):
    assert client.get("/docs", headers={"X-Request-ID": "two words"}).headers["x-request-id"].isalnum()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with a token, which a proxy reaches by another name."""
    with serving(
        tmp_path_factory.mktemp("guarded") / "log", "--token", "naïve", "--allow-host", "paint.example"
    ) as one:
        yield one


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic naïve", "Bearer"])
def test_without_the_token_the_api_is_closed(given, guarded):
    headers = {} if given is None else {"Authorization": given.encode()}
    for path in ("/v1/styles", "/v1/models", "/v2", "/v2/models/encode", "/metrics"):
        answer = httpx.get(f"{guarded.url}{path}", headers=headers, trust_env=False)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["hint"] == "send the header Authorization: Bearer TOKEN"


def test_with_the_token_it_is_open_and_the_page_and_health_always_are(guarded):
    with guarded.client() as client:
        assert client.get("/v1/styles", headers={"Authorization": "Bearer naïve".encode()}).status_code == 200
        for path in ("/v2/health/live", "/v2/health/ready", "/docs", "/sample.jpg"):
            assert client.get(path, headers={"Host": "paint.example"}).status_code == 200
