"""``textnn serve`` as a process: load, signals, slow and lying clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from small_taggers import TEXT, find_names
from waiting import HANG, forward, until, wait_until

from _textnn_cli.serve import serve
from bench.serving.__main__ import end_under_load
from bench.serving.client import Request, load, make_requests
from bench.serving.process import ServerProcess
from textnn import SentimentClassifier
from textnn.serving import Settings, create_app, server

pytestmark = pytest.mark.slow

PATIENT = ("--timeout", str(HANG))
TEXTS = [f"书{number % 7}房间{'很' * (number % 5)}{end}" for number in range(200) for end in "好差"]


@pytest.fixture(scope="module")
def requests(classifier: SentimentClassifier) -> list[Request]:
    return make_requests(TEXTS, classifier.predict(TEXTS).tolist())


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[ServerProcess]:
    """A server without a rate limit."""
    with ServerProcess(model, "--rate-limit", "0", "--max-body", "100000", *PATIENT) as process:
        yield process


def connect(process: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", process.port), timeout=HANG)


def get(process: ServerProcess, path: str) -> httpx2.Response:
    return httpx2.get(f"{process.url}{path}", timeout=HANG)


def ask(process: ServerProcess, path: str, headers: dict[str, str] | None = None, **asked: str) -> httpx2.Response:
    return httpx2.post(f"{process.url}{path}", json=asked, headers=headers, timeout=HANG)


def refuses(process: ServerProcess) -> bool:
    """Whether the server takes no more connections."""
    try:
        connect(process).close()
    except ConnectionRefusedError:
        return True
    return False


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
    batches = float(re.findall(r"textnn_batch_texts_count (\S+)", get(running, "/metrics").text)[0])
    assert batches < 3000, "no two requests were classified together"


def test_sigterm_in_the_middle_of_load_loses_no_request(model: Path, requests: list[Request]) -> None:
    # On a busy machine the client may be late to send its next request on a connection that is about to be closed.
    code = f"from textnn.serving import server; server.GRACE = {HANG}; from _textnn_cli import main; main()"
    found = end_under_load(model, requests, connections=32, after=0.0, least=200, command=("-c", code, "serve"))
    assert found["exit code"] == 0
    assert found["lost"] == found["errors"] == 0
    assert found["answered"] == found["counted by the server"] > 200


def begin(connection: socket.socket, length: int) -> None:
    """Send the head of a request; return when the server waits for its body."""
    connection.sendall(post(b"", f"Content-Length: {length}", "Expect: 100-continue"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert answer.startswith(b"HTTP/1.1 100"), answer


def test_what_is_under_way_at_sigterm_is_finished(model: Path) -> None:
    body = json.dumps({"text": "很好"}).encode()
    with ServerProcess(model, *PATIENT) as process:
        with connect(process) as connection:
            begin(connection, len(body))
            process.signal()
            wait_until(lambda: refuses(process))
            connection.sendall(body)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert process.wait() == 0


def test_a_second_signal_ends_at_once(model: Path) -> None:
    with ServerProcess(model, *PATIENT) as process, connect(process) as connection:
        begin(connection, 20)  # its body never comes
        process.signal(signal.SIGINT)
        wait_until(lambda: refuses(process))
        assert process.process.poll() is None
        process.signal(signal.SIGINT)
        assert process.wait() == 130


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


def test_a_client_that_goes_away_harms_nobody(running: ServerProcess) -> None:
    for _ in range(20):
        with connect(running) as connection:
            connection.sendall(post(b'{"te', "Content-Length: 20"))
    assert ask(running, "/predict", text="很好").json()["label"] == "good"
    wait_until(lambda: 'status="499"} 20.0' in get(running, "/metrics").text)
    assert "Traceback" not in running.log()


def test_no_text_is_in_the_log(model: Path) -> None:
    with ServerProcess(model, "--log-level", "debug", "--access-log") as process:
        ask(process, "/predict", text="confidential")
        ask(process, "/explain", text="confidential", label="confidential")
        process.signal()
        process.wait()
        assert '"POST /predict HTTP/1.1" 200' in process.log()
        assert "confidential" not in process.log()


def test_a_tagger_is_known_by_its_format_and_loses_no_request(tmp_path: Path) -> None:
    tagger = find_names()
    tagger.save(tmp_path / "model")
    asked = [f"{TEXT}{'杜甫在长安。' * (number % 7)}" for number in range(100)]
    expected = {text: [entity[:4] for entity in tagger.entities(text)] for text in asked}
    with ServerProcess(tmp_path / "model", "--rate-limit", "0", *PATIENT) as process:
        with ThreadPoolExecutor(16) as pool:
            answers = [(text, pool.submit(ask, process, "/entities", text=text)) for text in asked]
            for text, answer in answers:
                found = answer.result().json()["entities"]
                assert [(one["start"], one["end"], one["type"], one["text"]) for one in found] == expected[text]
        assert get(process, "/model").json()["task"] == "entities"
        refused = ask(process, "/predict", text=TEXT)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_for_this_model")
        process.signal()
        assert process.wait() == 0
        assert "Traceback" not in process.log()


def test_a_tagger_has_no_other_tokenizer(tmp_path: Path) -> None:
    from typer import Typer
    from typer.testing import CliRunner

    find_names(epochs=1).save(tmp_path / "model")
    app = Typer()
    app.command()(serve)
    result = CliRunner().invoke(app, [str(tmp_path / "model"), "--port", "0", "--tokenizer", "jieba"])
    assert result.exit_code == 1
    assert "--tokenizer: expected a classifier" in result.output


def test_the_client_behind_a_proxy_is_believed_only_if_the_proxy_is_trusted(model: Path) -> None:
    for options, expected in (((), 429), (("--forwarded-allow-ips", "127.0.0.1"), 200)):
        with ServerProcess(model, "--rate-limit", "1/year", *options) as process:
            for number in (1, 2):
                answer = ask(process, "/predict", {"X-Forwarded-For": f"10.0.0.{number}"}, text="好")
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


def test_a_body_that_does_not_come_is_given_up(classifier: SentimentClassifier) -> None:
    settings = Settings(timeout=0.3, rate_limit="0")

    async def test() -> None:
        async with listening(create_app(classifier, settings), timeout=HANG) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(b'{"te', "Content-Length: 20"))
            assert (await reader.read()).startswith(b"HTTP/1.1 408")
            writer.close()

    asyncio.run(test())


def test_a_client_that_says_nothing_or_too_little_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request was ever complete")

    async def test() -> None:
        async with listening(app) as (port, _):
            for drip in (b"", b"G"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                ended = asyncio.ensure_future(reader.read())
                while not ended.done():
                    writer.write(drip)
                    await asyncio.sleep(0.05)
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
    """It takes something within each timeout, and all of it in many of them."""
    parts, sent = 192, 0  # more than the system's buffers hold

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        for _ in range(parts):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async def test() -> None:
        async with listening(app, timeout=HANG) as (port, _):
            loop, client, got, seen, moved = asyncio.get_running_loop(), socket.socket(), 0, 0, 0
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", port))
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while part := await loop.sock_recv(client, 1 << 16):
                got += part.count(b"x")
                if sent > seen:
                    seen, moved = sent, moved + 1
                    forward(0.6 * HANG)
            assert got == parts * 65536
            assert moved > 3
            client.close()

    asyncio.run(test())


def test_clients_that_take_nothing_do_not_hold_up_the_end(model: Path) -> None:
    with ServerProcess(model, *PATIENT) as process:
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
        assert process.wait(HANG / 2) == 0, "it waits for them as long as for any request"
        assert "Traceback" not in process.log()
        for client in stuck:
            client.close()


def test_connections_beyond_the_limit_are_told_so_and_the_next_are_closed(model: Path) -> None:
    with ServerProcess(model, "--max-connections", "2", *PATIENT) as process:
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(connect(process)) for _ in range(2)]
            answer = send(process, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'{"error":{"code":"overloaded"' in answer
            assert b"connection: close" in answer.lower()
            for _ in range(server.SPARE):
                stack.enter_context(connect(process))
            with contextlib.suppress(ConnectionError):
                assert send(process, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
            held[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert held[0].recv(1 << 16).startswith(b"HTTP/1.1 200"), "those that were there first are served"
        wait_until(lambda: get(process, "/healthz").status_code == 200)
