"""``textnn serve`` as a process: load, signals, slow and lying clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.serving.__main__ import end_under_load
from bench.serving.client import Request, load, make_requests
from bench.serving.process import ServerProcess
from textnn import SentimentClassifier
from textnn.serving import Settings, server
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


@asynccontextmanager
async def listening(app: Any, **settings: Any) -> AsyncIterator[tuple[int, set[Any]]]:
    """An application behind :class:`PromptProtocol`; yields its port, and the connections that it holds."""
    import uvicorn

    protocol: Any = partial(server.PromptProtocol, settings=Settings(**settings))
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None)
    config.load()
    make: Any = config.http_protocol_class
    state = uvicorn.server.ServerState()
    made = await asyncio.get_running_loop().create_server(
        lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    yield made.sockets[0].getsockname()[1], state.connections
    made.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came to that")


def test_a_client_that_says_nothing_or_too_little_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request was ever complete")

    async def test() -> None:
        async with listening(app) as (port, _):
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

    asyncio.run(test())


@pytest.mark.parametrize(
    ("size", "close"),
    [(8 << 20, False), (8 << 20, True), (None, True)],
    ids=["more than the buffers hold", "and the end of the connection", "a little more, and the end of the connection"],
)
def test_a_client_that_does_not_take_its_answer_is_cut_off(size: int | None, close: bool) -> None:
    """Without a size, the answer is made such that a part of it stays in the server, too little to hold up the rest."""
    done = []
    connections: set[Any] = set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"connection", b"close")] if close else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        transport = next(iter(connections)).transport
        sent = 0
        while sent < size if size else not transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": b"x" * 32768, "more_body": True})
            sent += 32768
        await send({"type": "http.response.body"})
        done.append(sent)

    async def test() -> None:
        nonlocal connections
        async with listening(app, timeout=0.4) as (port, connections):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: bool(connections))
            await until(lambda: not connections)
            await until(lambda: bool(done))
            client.close()

    asyncio.run(test())


def test_a_client_that_is_slow_gets_all_of_its_answer() -> None:
    size = 4 << 20

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"x" * size})

    async def test() -> None:
        async with listening(app, timeout=1.0) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            got = 0
            while part := await reader.read(1 << 16):
                got += part.count(b"x")
                await asyncio.sleep(0.03)  # about 2 seconds in all
            assert got == size
            writer.close()

    asyncio.run(test())


def test_clients_that_take_nothing_do_not_hold_up_the_end(model: Path) -> None:
    with ServerProcess(model, "--timeout", "60") as process:
        stuck = []
        for _ in range(5):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", process.port))
            client.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                while True:
                    client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            stuck.append(client)
        process.signal()
        started = time.monotonic()
        assert process.wait(40) == 0
        assert time.monotonic() - started < 20
        assert "Traceback" not in process.log()
        for client in stuck:
            client.close()


def test_connections_beyond_the_limit_are_told_so_and_the_next_are_closed(model: Path) -> None:
    with ServerProcess(model, "--max-connections", "2") as process:
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(connect(process)) for _ in range(2)]
            time.sleep(0.2)
            answer = send(process, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'{"error":{"code":"overloaded"' in answer
            assert b"connection: close" in answer.lower()
            for _ in range(server.SPARE):
                stack.enter_context(connect(process))
            time.sleep(0.2)
            with contextlib.suppress(ConnectionError):
                assert send(process, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
            held[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert held[0].recv(1 << 16).startswith(b"HTTP/1.1 200"), "those that were there first are served"
        time.sleep(0.2)
        assert httpx2.get(f"{process.url}/healthz").status_code == 200
