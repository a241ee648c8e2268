"""``hface-trio client``: how it fails, what it says then, and with which exit code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from ..networking._names import free_port
from .conftest import Site
from .processes import CLI, SECONDS, Command, cli, running, running_cli


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
