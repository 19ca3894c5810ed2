"""``textnn serve`` as a process: load, signals, slow and lying clients."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from bench.serving.__main__ import end_under_load
from bench.serving.client import Request, load, make_requests
from bench.serving.process import ServerProcess
from textnn import SentimentClassifier
from textnn.serving import server
from textnn_cli.serve import serve

TEXTS = [f"书{number % 7}房间{'很' * (number % 5)}{end}" for number in range(200) for end in "好差"]


@pytest.fixture(scope="module")
def requests(classifier: SentimentClassifier) -> list[Request]:
    return make_requests(TEXTS, classifier.predict(TEXTS).tolist())


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[ServerProcess]:
    """A server without a rate limit and with a short timeout."""
    with ServerProcess(model, "--rate-limit", "0", "--timeout", "1.5", "--max-body", "100000") as process:
        yield process


def connect(process: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", process.port), timeout=30)


def send(process: ServerProcess, data: bytes) -> bytes:
    """Send bytes; return what comes until the server closes the connection."""
    with connect(process) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
        return answer


def post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "Host: x", "Content-Type: application/json", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body


def test_thousands_of_requests_all_get_their_own_answers(running: ServerProcess, requests: list[Request]) -> None:
    outcome = asyncio.run(load(running.port, requests, connections=64, count=3000))
    assert dict(outcome.statuses) == {200: 3000}
    assert (outcome.lost, outcome.wrong, outcome.refused) == (0, 0, 0)
    figures = httpx2.get(f"{running.url}/metrics").text
    batches = float(re.findall(r"textnn_batch_texts_count (\S+)", figures)[0])
    assert batches < 1500, "requests of the same moment were not classified together"


def test_sigterm_in_the_middle_of_load_loses_no_request(model: Path, requests: list[Request]) -> None:
    found = end_under_load(model, requests, connections=32, after=1.0)
    assert found["exit code"] == 0
    assert found["lost"] == found["errors"] == 0
    assert found["answered"] == found["counted by the server"] > 50


def test_what_is_under_way_at_sigterm_is_finished_and_a_second_signal_ends_at_once(model: Path) -> None:
    body = json.dumps({"text": "很好"}).encode()
    with ServerProcess(model) as process:
        with connect(process) as connection:
            connection.sendall(post(b"", f"Content-Length: {len(body)}"))
            time.sleep(0.3)
            process.signal()
            time.sleep(0.3)
            connection.sendall(body)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert process.wait() == 0
        with pytest.raises(ConnectionRefusedError):
            connect(process)
    with ServerProcess(model) as process, connect(process) as connection:
        connection.sendall(post(b"", f"Content-Length: {len(body)}"))  # the rest of it never comes
        time.sleep(0.3)
        process.signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.process.poll() is None
        process.signal(signal.SIGINT)
        assert process.wait(5) == 130


def test_a_body_is_refused_before_it_is_read(running: ServerProcess) -> None:
    for headers, body in {
        ("Content-Length: 999999999999",): b"",  # as it says it will be
        ("Transfer-Encoding: chunked",): b"10000\r\n" + b"a" * 0x10000 + b"\r\n10000\r\n" + b"a" * 0x10000,
    }.items():
        with connect(running) as connection:
            connection.sendall(post(body, *headers))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413"), headers


def test_a_body_longer_than_it_says_is_no_part_of_the_request(running: ServerProcess) -> None:
    body = json.dumps({"text": "很好"}).encode()
    answer = send(running, post(body + b"x" * 1000, f"Content-Length: {len(body)}"))
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come_is_given_up(running: ServerProcess) -> None:
    started = time.monotonic()
    answer = send(running, post(b'{"te', "Content-Length: 20"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 10


def test_a_client_that_goes_away_harms_nobody(running: ServerProcess) -> None:
    for _ in range(20):
        with connect(running) as connection:
            connection.sendall(post(b'{"te', "Content-Length: 20"))
    assert httpx2.post(f"{running.url}/predict", json={"text": "很好"}).json()["label"] == "good"
    for _ in range(100):
        figures = httpx2.get(f"{running.url}/metrics").text
        if 'status="499"} 20.0' in figures:
            break
        time.sleep(0.05)
    else:
        raise AssertionError(figures)
    assert "Traceback" not in running.log()


def test_no_text_is_in_the_log(model: Path) -> None:
    with ServerProcess(model, "--log-level", "debug", "--access-log") as process:
        httpx2.post(f"{process.url}/predict", json={"text": "confidential"})
        httpx2.post(f"{process.url}/explain", json={"text": "confidential", "label": "confidential"})
        process.signal()
        process.wait()
        assert '"POST /predict HTTP/1.1" 200' in process.log()
        assert "confidential" not in process.log()


def test_the_client_behind_a_proxy_is_believed_only_if_the_proxy_is_trusted(model: Path) -> None:
    for options, expected in (((), 429), (("--forwarded-allow-ips", "127.0.0.1"), 200)):
        with ServerProcess(model, "--rate-limit", "1/minute", *options) as process:
            for number in (1, 2):
                headers = {"X-Forwarded-For": f"10.0.0.{number}"}
                answer = httpx2.post(f"{process.url}/predict", json={"text": "好"}, headers=headers)
            assert answer.status_code == expected, options


def test_a_port_that_is_taken_is_an_error_of_one_sentence(model: Path) -> None:
    from typer import Typer
    from typer.testing import CliRunner

    app = Typer()
    app.command()(serve)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, [str(model), "--port", port])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in result.output


def test_sockets_say_that_they_are_tcp_and_share_a_port() -> None:
    sockets = server.open_sockets("localhost", 0)
    try:
        assert all(one.proto == socket.IPPROTO_TCP for one in sockets)  # or answers wait for 40 ms
        assert len({one.getsockname()[1] for one in sockets}) == 1
    finally:
        for one in sockets:
            one.close()


def test_a_client_that_says_nothing_or_too_little_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request was ever complete")

    async def test() -> None:
        config = uvicorn.Config(app, http=server.PromptProtocol, lifespan="off", log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        state = uvicorn.server.ServerState()
        listening = await loop.create_server(
            lambda: config.http_protocol_class(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        port = listening.sockets[0].getsockname()[1]
        for drip in (b"", b"G"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            ended = asyncio.ensure_future(reader.read())
            for _ in range(100):
                if ended.done():
                    break
                writer.write(drip)
                await asyncio.sleep(0.05)
            assert ended.done(), drip
            writer.close()
        listening.close()

    asyncio.run(test())
