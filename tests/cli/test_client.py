"""``hface-trio client``: what it fetches, sends, writes and says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from .conftest import Site
from .processes import CLI, SECONDS, Finished, cli, running, running_cli
from .routes import ALL_OCTETS

Command: TypeAlias = Callable[..., Finished]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


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


def test_untrusted_certificate_fails_and_says_what_to_do(command: Command, site: Site) -> None:
    done = command("client", f"{site.https}/hello/you")
    assert done.code == 1
    assert done.complaint().startswith(f"{site.https}/hello/you: ")
    assert "certificate verify failed" in done.err
    assert "--cacert" in done.err


def test_fail_turns_a_status_into_an_exit_code(command: Command, site: Site) -> None:
    done = command("client", "-f", f"{site.http}/status/404")
    assert (done.code, done.out) == (1, b"")
    assert done.complaint() == f"{site.http}/status/404: 404 Not Found"


def test_status_alone_is_no_failure(command: Command, site: Site) -> None:
    done = command("client", f"{site.http}/status/404")
    assert (done.code, done.out, done.err) == (0, b"body of 404\n", "")


def test_refused_connection_fails_with_one_line() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    done = cli("client", url)
    assert done.code == 1
    assert done.complaint().startswith(f"{url}: ")
    assert "Connection refused" in done.err


def test_next_url_is_fetched_after_a_failure(command: Command, site: Site) -> None:
    done = command("client", f"http://127.0.0.1:{free_port()}", f"{site.http}/hello/you")
    assert (done.code, done.out) == (1, b"Hello you\n")
    done.complaint()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_lost_body_fails_and_keeps_what_came(
    command: Command, monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path, scheme: str
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"{site.http if scheme == 'http' else site.https}/cut"
    done = command("client", "-k", url, "-o", "fetched")
    assert done.code == 1
    assert "after 400 of 1000 octets" in done.complaint()
    assert (tmp_path / "fetched").read_bytes() == b"x" * 400


def test_peer_that_does_not_speak_http_fails_with_one_line(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\x1b[31mWho are you?\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = command("client", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(SECONDS)
    assert done.code == 1
    assert done.complaint().isprintable()


def test_shrinking_file_fails_with_one_line(site: Site, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(20_000_000))
    with running_cli("client", f"{site.http}/sip", "-d", f"@{upload}") as client:
        while not is_being_read(client.process.pid, upload):
            assert client.process.poll() is None
        os.truncate(upload, 1000)
        assert client.wait() == 1
        assert client.errors() == f"hface-trio: {str(upload)!r} became shorter while it was sent\n"


def is_being_read(pid: int, file: Path) -> bool:
    """Return whether a process has a file open, and has read of it."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if descriptor.readlink() != file:
                continue
            position = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text().split()[1]
        except FileNotFoundError:
            continue
        return int(position) > 0
    return False


def test_closed_pipe_ends_the_client_in_silence(site: Site) -> None:
    reading, writing = os.pipe()
    with running([*CLI, "client", f"{site.http}/drip/100"], own_stdout=writing) as client:
        os.close(writing)
        assert os.read(reading, 6) == b"00000\n"
        os.close(reading)
        assert client.wait() == 128 + signal.SIGPIPE
        assert client.errors() == ""


def test_full_disk_fails_with_one_line(site: Site) -> None:
    done = cli("client", f"{site.http}/octets", "-o", "/dev/full")
    assert done.code == 1
    assert done.complaint() == "cannot write '/dev/full': No space left on device"


def test_interrupt_ends_the_client_in_silence(site: Site) -> None:
    with running_cli("client", f"{site.http}/forever") as client:
        assert client.line() == "waiting"
        client.send_signal(signal.SIGINT)
        assert client.wait() == 128 + signal.SIGINT
        assert client.errors() == ""


def test_interrupt_ends_a_client_that_waits_for_standard_input(site: Site) -> None:
    with running_cli("client", f"{site.http}/echo", "-d", "@-", stdin=subprocess.PIPE) as client:
        assert client.process.stdin is not None
        client.process.stdin.write(b"one\n")
        client.process.stdin.flush()
        assert client.line() == "one"
        client.send_signal(signal.SIGINT)
        assert client.wait() == 128 + signal.SIGINT
        assert client.errors() == ""


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


MISTAKES = {
    "no URL": ([], "missing argument 'URL...'"),
    "no scheme": (["localhost:8080"], "must begin with http:// or https://"),
    "other scheme": (["ftp://localhost"], "must begin with http:// or https://"),
    "no host": (["http://"], "names no host"),
    "port": (["http://localhost:99999"], "Port out of range"),
    "space in URL": (["http://localhost/a b"], "white space"),
    "credentials": (["http://me:secret@localhost/"], "holds credentials"),
    "second URL": (["http://127.0.0.1:1/", "nonsense"], "'nonsense'"),
    "text that is not UTF-8": (["http://127.0.0.1:1/\udcff"], "is not UTF-8"),
    "empty method": (["http://127.0.0.1:1/", "-X", ""], "method '' is not a token"),
    "method": (["http://127.0.0.1:1/", "-X", "A B"], "method 'A B' is not a token"),
    "field without colon": (["http://127.0.0.1:1/", "-H", "X-Test"], "'X-Test' must have the form"),
    "field without name": (["http://127.0.0.1:1/", "-H", ": 1"], "a name that is not a token"),
    "field with line break": (["http://127.0.0.1:1/", "-H", "a: b\r\nc: d"], "control characters"),
    "host field": (["http://127.0.0.1:1/", "-H", "Host: other"], "follows from the URL"),
    "upload missing": (["http://127.0.0.1:1/", "-d", "@missing"], "cannot read 'missing': No such file or directory"),
    "upload of directory": (["http://127.0.0.1:1/", "-d", "@/"], "cannot read '/': it is a directory"),
    "input for two": (["http://127.0.0.1:1/", "http://127.0.0.1:1/", "-d", "@-"], "to one URL only"),
    "upload with NUL": (["http://127.0.0.1:1/", "-d", "@a\0b"], "cannot read 'a\\x00b': embedded null byte"),
    "output with NUL": (["http://127.0.0.1:1/", "-o", "a\0b"], "cannot write 'a\\x00b': embedded null byte"),
    "output missing": (["http://127.0.0.1:1/", "-o", "missing/file"], "cannot write 'missing/file': No such file"),
    "output directory": (["http://127.0.0.1:1/", "-o", "/"], "cannot write '/': Is a directory"),
    "authority missing": (["https://127.0.0.1:1/", "--cacert", "missing"], "'missing' does not exist"),
    "authority malformed": (["https://127.0.0.1:1/", "--cacert", __file__], "cafile"),
    "option": (["http://127.0.0.1:1/", "--frobnicate"], "--frobnicate"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_costs_one_line_and_exit_code_2(command: Command, mistake: str) -> None:
    arguments, reason = MISTAKES[mistake]
    done = command("client", *arguments)
    assert done.code == 2, done
    assert reason in done.complaint(), done


def test_field_that_belongs_to_the_connection_is_a_mistake(command: Command, site: Site) -> None:
    done = command("client", f"{site.http}/hello/you", "-H", "Connection: close")
    assert done.code == 2
    assert "connection" in done.complaint()


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


def test_http3_without_tls_is_a_mistake(command: Command, site: Site) -> None:
    done = command("client", "--http3", f"{site.http}/hello/you")
    assert done.code == 2
    assert "https" in done.complaint()


def test_http3_with_an_untrusted_server_fails_in_one_line(command: Command, site: Site) -> None:
    done = command("client", "--http3", f"{site.https}/hello/you")
    assert done.code == 1
    assert "TLS" in done.complaint()


def test_a_url_that_is_not_text_is_refused(command: Command) -> None:
    done = command("client", "http://localhost/\udcff")
    assert done.code == 2
    assert done.err.count("\n") == 1
