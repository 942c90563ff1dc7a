"""The live view's server over real sockets: who may see what, and what a bad reader costs."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import math
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from edge.core.errors import HardwareError, Reason
from edge.devices import page
from edge.drivers import http as driver
from edge.drivers.admission import FREE_GUESSES
from edge.drivers.door import WAITING_MAX
from edge.drivers.fake import FakeClock
from edge.drivers.http import CONNECTIONS_MAX, FOREIGN, NO_TOKEN, VIEWERS_MAX, PageServer, is_loopback
from edge.settings import WebConfig

TOKEN = "a-token-of-the-owner"
PATIENCE_S = 30


class Feed:
    """Gives what the test puts in; ends when told to."""

    def __init__(self, filler: bytes = b"") -> None:
        self._changed = threading.Condition()
        self._messages: list[bytes] = []
        self._filler = filler  # given without end, where there is one
        self.ended = False

    def put(self, message: bytes) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify()

    def next(self, timeout_s: float) -> bytes | None:
        if self._filler:
            return self._filler
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self.ended, timeout_s)
            return self._messages.pop(0) if self._messages else None


class Site:
    """A server with feeds of its own; remembers who came and went."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.feeds: list[Feed] = []
        self.left: list[Feed] = []
        self.filler = b""
        self.clock = FakeClock()  # of the waits after wrong tokens
        self.server = PageServer(WebConfig(port=0), TOKEN, page(), self._watch, self._leave, self.clock)
        self.port = int(self.server.url.rstrip("/").rpartition(":")[2])

    def _watch(self) -> Feed:
        with self.changed:
            self.feeds.append(Feed(self.filler))
            self.changed.notify_all()
            return self.feeds[-1]

    def _leave(self, feed: Feed) -> None:
        with self.changed:
            self.left.append(feed)
            self.changed.notify_all()

    def wait_until(self, true: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, PATIENCE_S)

    def close(self) -> None:
        for feed in self.feeds:
            feed.end()
        self.server.close()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (source, 0))

    def ask(
        self, path: str = "/", method: str = "GET", source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers in lower case and body; the token is sent along unless headers say otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_S, (source, 0))
        given = {"Authorization": f"Bearer {TOKEN}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        connection.putrequest(method, path, skip_host="Host" in given)
        for name, text in given.items():
            connection.putheader(name, text)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, body

    def stream(self) -> socket.socket:
        """A connection that has asked for the events."""
        return self.send("/events", Authorization=f"Bearer {TOKEN}")

    def send(self, path: str, **headers: str) -> socket.socket:
        """A connection that has asked for `path`."""
        one = self.connect()
        lines = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        return one

    def cookie(self) -> str:
        return self.ask(f"/?token={TOKEN}", Authorization="")[1]["set-cookie"].partition(";")[0]

    def key(self) -> str:
        """What stands in the page."""
        found = re.search(r'<meta name="key" content="(\w+)">', self.ask("/")[2])
        assert found
        return found[1]


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    yield one
    one.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    """One server for all who only ask."""
    one = Site()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def forgiven(request: pytest.FixtureRequest) -> None:
    """What one test guessed is not held against the next."""
    if "served" in request.fixturenames:
        request.getfixturevalue("served").server._server.admission.guesses._guessers.clear()


def read_until(one: socket.socket, sign: bytes) -> bytes:
    read = b""
    while sign not in read:
        more = one.recv(4096)
        assert more, read
        read += more
    return read


def test_the_page_and_its_files_are_served_to_whoever_has_the_token(served: Site) -> None:
    status, headers, body = served.ask("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>saynote" in body
    for path, kind in (("/app.js", "text/javascript"), ("/style.css", "text/css"), ("/icon.svg", "image/svg+xml")):
        status, headers, body = served.ask(path)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert body


def test_the_address_with_the_token_gives_a_cookie_and_leads_to_one_without(served: Site) -> None:
    status, headers, _ = served.ask(f"/?token={TOKEN}", Authorization="")
    assert (status, headers["location"]) == (303, "/")
    assert TOKEN not in str(headers), "what lies in a browser must not be the token"
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(headers["set-cookie"].split("; "))
    cookie = headers["set-cookie"].partition(";")[0]
    assert served.ask("/", Authorization="", Cookie=f"other=1; {cookie}")[0] == 200
    assert served.ask("/events", "HEAD", Authorization="", Cookie=cookie)[0] == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/?token=", {}),
        ("/?token=a-token-of-the-owneR", {}),
        ("/?token=%00%ff", {}),
        ("/events", {}),
        ("/no/such/page", {}),
        ("/", {"Cookie": f"saynote={TOKEN}"}),
        ("/", {"Cookie": "saynote="}),
        ("/", {"Cookie": 'saynote="; =;,\x7f'}),
        ("/", {"Authorization": "Bearer wrong"}),
        ("/", {"Authorization": f"Basic {TOKEN}"}),
    ],
)
def test_whoever_has_no_token_gets_one_sentence_and_learns_nothing(
    served: Site, path: str, headers: dict[str, str]
) -> None:
    status, given, body = served.ask(path, **({"Authorization": ""} | headers))
    assert (status, body) == (401, NO_TOKEN + "\n")
    assert "set-cookie" not in given
    assert served.feeds == []


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/web/../../config.py",
        "//etc/passwd",
        "/app.js/",
        "/index.html%00",
        "/./app.js",
        "/README.md",
    ],
)
def test_no_path_leads_out_of_the_page(served: Site, path: str) -> None:
    assert served.ask(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FLY"])
def test_the_page_can_only_be_looked_at(served: Site, method: str) -> None:
    status, headers, body = served.ask("/", method)
    assert (status, headers["allow"], body) == (405, "GET, HEAD", "This page can only be looked at.\n")


def test_head_gives_the_headers_and_no_body(served: Site) -> None:
    status, headers, body = served.ask("/", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) == len(served.ask("/")[2].encode())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8737", "localhost.evil.example", "", "127.0.0.1.nip.io", "]["]
)
def test_a_foreign_name_is_refused_even_with_the_token(served: Site, host: str) -> None:
    assert served.ask("/", Host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8737", "[::1]:8737", "192.168.1.7", "LOCALHOST:1"])
def test_the_device_is_known_by_its_numbers_and_as_localhost(served: Site, host: str) -> None:
    assert served.ask("/", Host=host)[0] == 200


@pytest.mark.parametrize("path", ["/", "/events", "/nowhere", f"/?token={TOKEN}"])
def test_every_answer_closes_the_browser_to_everything_else(served: Site, path: str) -> None:
    _, headers, _ = served.ask(path, "HEAD")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["server"] == "saynote"


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\n\n",
        b"A" * 20_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
        b"GET /\r\n\r\n",
    ],
    ids=["empty", "one word", "version", "TLS", "no end", "many headers", "HTTP/0.9"],
)
def test_nonsense_is_answered_or_dropped_and_serving_goes_on(served: Site, sent: bytes) -> None:
    with served.connect() as one:
        answer = b""
        try:
            one.sendall(sent)
            one.shutdown(socket.SHUT_WR)
            while more := one.recv(4096):
                answer += more
        except OSError:
            pass  # there was more than it reads, and it has hung up already
    assert b"<h1>" not in answer
    assert b"Traceback" not in answer
    assert served.ask("/")[0] == 200


def test_events_are_streamed_as_they_come_until_the_feed_ends(site: Site) -> None:
    with site.stream() as one:
        assert b"text/event-stream" in read_until(one, b"\r\n\r\n")
        site.wait_until(lambda: len(site.feeds) == 1)
        for number in range(3):
            site.feeds[0].put(b"data: %d\n\n" % number)
            read_until(one, b"data: %d\n\n" % number)
        site.feeds[0].end()
        assert one.recv(100) in (b"", b":\n\n")
        site.wait_until(lambda: site.left == site.feeds)


def test_a_reader_who_has_gone_is_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "BEAT_S", 0.05)
    one = site.stream()
    read_until(one, b"\r\n\r\n")
    one.close()
    site.wait_until(lambda: len(site.left) == 1)
    assert site.ask("/")[0] == 200


def test_a_reader_who_does_not_read_is_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "SEND_S", 0.3)
    site.filler = b"data: " + b"x" * 100_000 + b"\n\n"
    with site.stream() as one:
        read_until(one, b"\r\n\r\n")
        site.wait_until(lambda: len(site.left) == 1)
        assert site.ask("/")[0] == 200


def test_a_request_that_drips_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "HEAD_S", 0.5)
    stop = threading.Event()
    with site.connect() as one:

        def drip() -> None:
            try:
                while not stop.wait(0.05):
                    one.sendall(b"X")
            except OSError:
                stop.set()

        dripping = threading.Thread(target=drip)
        dripping.start()
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(100) == b""
        stop.set()
        dripping.join()


def test_a_flood_of_connections_costs_a_bounded_number_of_threads_and_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    flood = [site.connect() for _ in range(10 * CONNECTIONS_MAX)]
    try:
        waiting = set(flood)
        while len(waiting) > CONNECTIONS_MAX:  # those beyond the limit are closed, the others wait for a request
            closed, _, _ = select.select(waiting, [], [], PATIENCE_S)
            assert closed
            waiting -= set(closed)
        assert threading.active_count() - before <= CONNECTIONS_MAX
    finally:
        for one in flood:
            one.close()
    wait_for_room(site)


def wait_for_room(site: Site) -> None:
    """The threads of closed connections end as soon as they notice."""
    held = [site.server._server.connections.acquire(timeout=PATIENCE_S) for _ in range(CONNECTIONS_MAX)]
    for _ in held:
        site.server._server.connections.release()
    assert all(held)
    assert site.ask("/")[0] == 200


def test_only_so_many_may_watch_at_once_and_the_next_is_told_so(site: Site) -> None:
    watching = [site.stream() for _ in range(VIEWERS_MAX)]
    for one in watching:
        read_until(one, b"\r\n\r\n")
    status, _, body = site.ask("/events")
    assert (status, body) == (503, f"{VIEWERS_MAX} are watching already; one of them must go first.\n")
    assert site.ask("/")[0] == 200
    site.feeds[0].end()
    site.wait_until(lambda: len(site.left) == 1)
    wait_for_viewer = site.server._server.viewers.acquire(timeout=PATIENCE_S)
    assert wait_for_viewer
    site.server._server.viewers.release()
    for one in watching:
        one.close()


def test_a_port_that_is_taken_is_named(site: Site) -> None:
    with pytest.raises(HardwareError, match=f"port {site.port}: another program has that port") as caught:
        PageServer(WebConfig(port=site.port), TOKEN, {}, Feed, lambda feed: None)
    assert (caught.value.device, caught.value.reason) == ("web", Reason.BUSY)


@pytest.mark.parametrize("address", ["no.such.host.invalid", "203.0.113.7", "not an address"])
def test_an_address_that_is_not_ours_is_named(address: str) -> None:
    with pytest.raises(HardwareError, match=f"cannot listen at {address}"):
        PageServer(WebConfig(address=address, port=0), TOKEN, {}, Feed, lambda feed: None)


@pytest.mark.parametrize("token", ["", "short", "x" * 15])
def test_a_token_that_could_be_guessed_is_refused(token: str) -> None:
    with pytest.raises(HardwareError, match="16 characters or more"):
        PageServer(WebConfig(port=0), token, {}, Feed, lambda feed: None)


def test_it_listens_on_ipv6_too() -> None:
    try:
        server = PageServer(WebConfig(address="::1", port=0), TOKEN, page(), Feed, lambda feed: None)
    except HardwareError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    assert server.url.startswith("http://[::1]:")
    server.close()


@pytest.mark.parametrize(
    ("address", "closed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.7", False),
        ("pi", False),
    ],
)
def test_what_others_can_reach_is_known(address: str, closed: bool) -> None:
    assert is_loopback(address) is closed


def test_closing_lets_the_port_go_and_may_be_done_twice(site: Site) -> None:
    site.close()
    site.server.close()
    with pytest.raises(ConnectionRefusedError):
        site.connect()


def test_no_log_line_holds_the_token(served: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    served.ask(f"/?token={TOKEN}", Authorization="")
    served.ask("/nowhere")
    served.ask("/", "POST")
    assert TOKEN not in caplog.text


def test_the_page_asks_nothing_of_other_machines() -> None:
    for path, (_, content) in page().items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""https?:|["'(]//|@import""", text), path


def test_events_survive_json_with_every_sign(site: Site) -> None:
    with site.stream() as one:
        read_until(one, b"\r\n\r\n")
        site.wait_until(lambda: len(site.feeds) == 1)
        text = json.dumps({"text": '५०० रुपये\n"</script>'})
        site.feeds[0].put(f"data: {text}\n\n".encode())
        assert json.loads(read_until(one, b"\n\n").decode().partition("data: ")[2]) == json.loads(text)


# Those who hold others up


def half_open(site: Site, count: int, source: str = "127.0.0.1") -> contextlib.ExitStack:
    """So many connections, each with the beginning of a request."""
    held = contextlib.ExitStack()
    for _ in range(count):
        held.enter_context(site.connect(source)).sendall(b"GET / HT")
    return held


@pytest.mark.parametrize("count", [CONNECTIONS_MAX, WAITING_MAX + 1, 300])
def test_connections_that_send_no_request_keep_nobody_out(site: Site, count: int) -> None:
    with half_open(site, count):
        for _ in range(3):
            assert site.ask("/")[0] == 200


def test_a_thousand_half_open_connections_one_after_the_other_keep_nobody_out(site: Site) -> None:
    for _ in range(4):
        with half_open(site, 250):
            assert site.ask("/")[0] == 200
    assert len(site.server._door._waiting) <= WAITING_MAX


def test_a_slow_request_is_not_pushed_out_by_a_flood_from_elsewhere(site: Site) -> None:
    with site.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with half_open(site, 200, source="127.0.0.2"):
            slow.sendall(f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            assert b"200 OK" in read_until(slow, b"</html>")


def test_requests_that_nobody_reads_the_answers_of_keep_nobody_out(site: Site) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(100):
            held.enter_context(site.send("/"))
        assert site.ask("/")[0] == 200


def test_more_whole_requests_than_can_be_answered_at_once_wait_their_turn(site: Site) -> None:
    for _ in range(CONNECTIONS_MAX):
        assert site.server._server.connections.acquire(blocking=False)
    with site.send("/", Authorization=f"Bearer {TOKEN}") as waiting, site.connect() as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        readable, _, _ = select.select([waiting], [], [], 0.2)
        assert not readable
        site.server._server.connections.release()
        assert site.ask("/")[0] == 200, "its thread takes those before it too"
        assert b"200 OK" in read_until(waiting, b"</html>")
    for _ in range(CONNECTIONS_MAX - 1):
        site.server._server.connections.release()


def test_what_follows_the_head_is_never_waited_for(site: Site) -> None:
    with site.connect() as one:
        head = f"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100000\r\n\r\n"
        one.sendall(head.encode())
        assert b"200 OK" in read_until(one, b"</html>")


def test_a_page_that_fails_costs_its_reader_and_not_the_next(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    watch, site.server._server.watch = site.server._server.watch, lambda: 1 / 0
    with site.stream() as one:
        assert one.recv(100) == b""
    site.server._server.watch = watch
    with site.stream() as one:
        assert b"200 OK" in read_until(one, b"\r\n\r\n")
    assert "a page was not served" in caplog.text


# Those who guess


def test_wrong_tokens_are_told_in_the_log_once_a_minute_and_are_never_in_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(4):
        site.ask("/?token=a-guess-at-the-token", Authorization="")
    site.ask("/", Authorization="Bearer another-guess")
    site.clock.advance(61)
    site.ask("/?token=a-guess-at-the-token", Authorization="")
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        "live view: a wrong token from 127.0.0.1 (1 since this was last said)",
        "live view: a wrong token from 127.0.0.1 (5 since this was last said)",
    ]
    assert "guess" not in caplog.text


def test_whoever_guesses_waits_longer_and_longer_and_nobody_else_does(site: Site) -> None:
    cookie = site.cookie()
    statuses, waited_s = [], 0.0
    for number in range(FREE_GUESSES + 30):
        status, headers, body = site.ask(f"/?token=guess-{number:020}", Authorization="")
        statuses.append(status)
        if status == 429:
            assert body.startswith("Too many wrong tokens came from your address; try again in ")
            seconds = math.ceil(float(headers["retry-after"]))
            site.clock.advance(seconds)
            waited_s += seconds
    assert statuses[:FREE_GUESSES] == [401] * FREE_GUESSES
    assert statuses[FREE_GUESSES:] == [429, 401] * 15
    assert waited_s > 500
    assert site.ask("/")[0] == 429, "the right one is not looked at either: it would be told from the others"
    assert site.ask("/", Authorization="", Cookie=cookie)[0] == 200
    assert site.ask("/", source="127.0.0.2")[0] == 200
    site.clock.advance(60)
    assert site.ask("/")[0] == 200
    assert site.ask("/?token=wrong-once-more", Authorization="")[0] == 401
    assert site.ask("/")[0] == 200, "one slip is free again"


# Other pages


FETCHED = {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}
FRAMED = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}


@pytest.mark.parametrize("site_of_asker", ["same-site", "cross-site"])
@pytest.mark.parametrize("how", [FETCHED, FRAMED], ids=["within a page", "in a frame"])
def test_another_page_takes_no_viewers_place_though_the_browser_sends_the_cookie(
    site: Site, site_of_asker: str, how: dict[str, str]
) -> None:
    headers = {"Authorization": "", "Cookie": site.cookie(), "Sec_Fetch_Site": site_of_asker, **how}
    status, _, body = site.ask("/events", **headers)
    assert (status, body) == (403, FOREIGN + "\n")
    assert site.feeds == []


@pytest.mark.parametrize("path", ["/", "/app.js", f"/?token={TOKEN}", "/?token=a-guess-at-it-all"])
def test_another_page_fetches_nothing_and_gets_no_try_at_the_token(site: Site, path: str) -> None:
    for site_of_asker in ("same-site", "cross-site"):
        status, headers, body = site.ask(path, Authorization="", Sec_Fetch_Site=site_of_asker, **FETCHED)
        assert (status, body) == (403, FOREIGN + "\n")
        assert "set-cookie" not in headers
    assert site.server._server.admission.guesses._guessers == {}


def test_a_link_in_a_mail_opens_the_page(served: Site) -> None:
    headers = {"Authorization": "", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert served.ask(f"/?token={TOKEN}", **headers)[0] == 303
    assert served.ask("/", Cookie=served.cookie(), **headers)[0] == 200


@pytest.mark.parametrize("site_of_asker", ["same-origin", "none"])
def test_our_own_page_watches(site: Site, site_of_asker: str) -> None:
    with site.send("/events", Cookie=site.cookie(), Sec_Fetch_Site=site_of_asker) as one:
        assert b"200 OK" in read_until(one, b"\r\n\r\n")


def test_where_the_browser_does_not_say_who_asks_the_key_in_our_page_does(site: Site) -> None:
    cookie, key = site.cookie(), site.key()
    assert key not in cookie
    for path in ("/events", "/events?key=", f"/events?key={cookie.partition('=')[2]}"):
        assert site.ask(path, Authorization="", Cookie=cookie)[0] == 403
    assert site.ask(f"/events?key={key}", Authorization="")[0] == 401, "the key alone opens nothing"
    with site.send(f"/events?key={key}", Cookie=cookie) as one:
        assert b"200 OK" in read_until(one, b"\r\n\r\n")
