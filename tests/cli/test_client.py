"""``hface-trio client``: what it fetches, sends, writes and says."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from ..networking._names import free_port
from .conftest import Site
from .processes import CLI, SECONDS, Command, cli, running, running_cli
from .routes import ALL_OCTETS


def test_body_goes_to_standard_output(site: Site) -> None:
    done = cli("client", f"{site.http}/hello/you")
    assert (done.code, done.out, done.err) == (0, b"Hello you\n", "")


def test_every_octet_comes_through_standard_output(site: Site) -> None:
    assert cli("client", f"{site.http}/octets").out == ALL_OCTETS


def test_every_octet_comes_through_a_file(
    command: Command, monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("client", f"{site.http}/octets", "-o", "fetched")
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert (tmp_path / "fetched").read_bytes() == ALL_OCTETS


def test_file_is_replaced(command: Command, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "fetched"
    file.write_text("something longer than the answer")
    command("client", f"{site.http}/hello/you", "-o", str(file))
    assert file.read_bytes() == b"Hello you\n"


def test_file_is_kept_when_there_is_no_answer(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "fetched"
    file.write_text("before")
    assert command("client", f"http://127.0.0.1:{free_port()}", "-o", str(file)).code == 1
    assert file.read_text() == "before"


def test_output_to_a_dash_is_standard_output(command: Command, site: Site) -> None:
    assert command("client", f"{site.http}/hello/you", "-o", "-").out == b"Hello you\n"


def test_bodies_of_several_urls_follow_each_other(site: Site, tmp_path: Path) -> None:
    urls = [f"{site.http}/hello/{name}" for name in ("a", "b", "c")]
    assert cli("client", *urls, "-o", "fetched", cwd=tmp_path).code == 0
    assert (tmp_path / "fetched").read_bytes() == b"Hello a\nHello b\nHello c\n"


def test_several_urls_share_a_connection(command: Command, site: Site) -> None:
    done = command("client", "-v", f"{site.http}/hello/a", f"{site.http}/hello/b")
    assert done.err.count("* connected to ") == 1


def test_include_puts_the_head_in_front(command: Command, site: Site) -> None:
    head, _, body = command("client", "-i", f"{site.http}/hello/you").out.partition(b"\r\n\r\n")
    status_line, *fields = head.splitlines()
    assert status_line == b"HTTP/1.1 200 OK"
    assert {b"content-type: text/plain", b"content-length: 10"} <= set(fields)
    assert body == b"Hello you\n"


def test_verbose_prints_both_heads_on_standard_error(command: Command, site: Site) -> None:
    done = command("client", "-v", "-H", "X-Test: 1", f"{site.http}/hello/you")
    lines = done.err.splitlines()
    assert done.out == b"Hello you\n"
    assert lines[0] == f"* connected to {site.http.removeprefix('http://')}, HTTP/1.1"
    assert lines[1:4] == ["> GET /hello/you HTTP/1.1", f"> host: {site.http.removeprefix('http://')}", "> x-test: 1"]
    status_line, *fields = lines[lines.index(">") + 1 :]
    assert status_line == "< HTTP/1.1 200 OK"
    assert {"< content-type: text/plain", "< content-length: 10"} <= set(fields)


def test_verbose_prints_interim_heads_and_trailers(command: Command, site: Site) -> None:
    lines = command("client", "-v", f"{site.http}/hints").err.splitlines()
    assert lines.index("< HTTP/1.1 103 Early Hints") < lines.index("< link: </style.css>")
    assert lines.index("< link: </style.css>") < lines.index("< HTTP/1.1 200 OK") < lines.index("< checksum: 0")


def test_verbose_names_the_tls_version(command: Command, site: Site) -> None:
    assert "* TLSv1.3, " in command("client", "-vk", f"{site.https}/hello/you").err


def test_method_is_get_without_data(command: Command, site: Site) -> None:
    assert b":method: GET\n" in command("client", f"{site.http}/request").out


def test_method_is_post_with_data(command: Command, site: Site) -> None:
    assert b":method: POST\n" in command("client", f"{site.http}/request", "-d", "x").out


def test_method_can_be_chosen(command: Command, site: Site) -> None:
    assert b":method: DELETE\n" in command("client", f"{site.http}/request", "-X", "DELETE").out


def test_head_has_no_body(command: Command, site: Site) -> None:
    done = command("client", "-i", "-X", "HEAD", f"{site.http}/hello/you")
    assert done.code == 0
    assert done.out.endswith(b"\r\n\r\n")
    assert b"\r\ncontent-length: 10\r\n" in done.out


def test_fields_are_sent_as_given(command: Command, site: Site) -> None:
    shown = command("client", f"{site.http}/request", "-H", "X-One:  1 ", "-H", "x-two: ä", "-H", "User-Agent: me").out
    assert b"\nx-one: 1\n" in shown
    assert b"\nx-two: \xc3\xa4\n" in shown
    assert shown.count(b"user-agent:") == 1
    assert b"user-agent: me\n" in shown


def test_data_are_sent_as_given(command: Command, site: Site) -> None:
    shown = command("client", f"{site.http}/request", "-d", "a=ä&b").out
    assert b"content-length: 6\n" in shown
    assert shown.endswith(b"body: a=\xc3\xa4&b\n")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_file_is_sent_while_the_answer_comes(
    command: Command, monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path, scheme: str
) -> None:
    monkeypatch.chdir(tmp_path)
    octets = os.urandom(3_000_000)
    (tmp_path / "upload").write_bytes(octets)
    url = f"{site.http if scheme == 'http' else site.https}/echo"
    done = command("client", "-k", url, "-d", "@upload", "-o", "fetched")
    assert done.code == 0, done
    assert (tmp_path / "fetched").read_bytes() == octets


def test_file_is_sent_with_its_length(
    command: Command, monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "upload").write_bytes(b"abc")
    shown = command("client", f"{site.http}/request", "-d", "@upload").out
    assert b"content-length: 3\n" in shown
    assert shown.endswith(b"body: abc\n")


def test_empty_file_is_sent(command: Command, monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "upload").touch()
    assert command("client", f"{site.http}/request", "-d", "@upload").out.endswith(b"body: \n")


def test_file_is_sent_to_every_url(
    command: Command, monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "upload").write_bytes(b"abc")
    assert command("client", *[f"{site.http}/echo"] * 2, "-d", "@upload").out == b"abcabc"


def test_standard_input_is_sent(site: Site) -> None:
    assert cli("client", f"{site.http}/echo", "-d", "@-", stdin=ALL_OCTETS).out == ALL_OCTETS


def test_standard_input_is_sent_as_it_comes(site: Site) -> None:
    with running_cli("client", f"{site.http}/echo", "-d", "@-", stdin=subprocess.PIPE) as client:
        assert client.process.stdin is not None
        for line in (b"one\n", b"two\n"):
            client.process.stdin.write(line)
            client.process.stdin.flush()
            assert client.line() == line.decode().rstrip()
        client.process.stdin.close()
        assert client.wait() == 0


def test_body_is_written_as_it_comes(site: Site) -> None:
    with running_cli("client", f"{site.http}/forever") as client:
        assert client.line() == "waiting"
        assert client.process.poll() is None


def test_authority_can_be_named(command: Command, site: Site) -> None:
    done = command("client", f"{site.https}/hello/you", "--cacert", site.cafile)
    assert (done.code, done.out, done.err) == (0, b"Hello you\n", "")


def test_certificate_check_can_be_turned_off(command: Command, site: Site) -> None:
    assert command("client", f"{site.https}/hello/you", "--insecure").out == b"Hello you\n"


def test_non_blocking_output_is_waited_for(site: Site) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    received = bytearray()

    def drain() -> None:
        while octets := os.read(reading, 1000):
            received.extend(octets)

    with running([*CLI, "client", f"{site.http}/octets"], own_stdout=writing) as client:
        os.close(writing)
        thread = threading.Thread(target=drain)
        thread.start()
        assert client.wait() == 0, client.errors()
        thread.join(SECONDS)
    os.close(reading)
    assert bytes(received) == ALL_OCTETS


def test_environment_without_unicode_is_served(site: Site) -> None:
    done = cli("client", "-v", f"{site.http}/hello/you", "-H", "x: ä", environment={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "> x: \\xe4" in done.err


@pytest.mark.parametrize(("option", "version"), [("--http1.1", b"HTTP/1.1 200"), ("--http2", b"HTTP/2 200")])
@pytest.mark.parametrize("secure", [False, True])
def test_the_version_can_be_chosen(command: Command, site: Site, option: str, version: bytes, secure: bool) -> None:
    trust, origin = (["--cacert", site.cafile], site.https) if secure else ([], site.http)
    done = command("client", option, "-i", *trust, f"{origin}/hello/you")
    assert done.code == 0
    assert done.out.startswith(version)


def test_http3_is_spoken_where_it_is_asked_for(command: Command, site: Site) -> None:
    done = command("client", "--http3", "-i", "--cacert", site.cafile, f"{site.https}/hello/you")
    assert done.code == 0, done
    assert done.out.startswith(b"HTTP/3 200")
    assert done.err == ""
