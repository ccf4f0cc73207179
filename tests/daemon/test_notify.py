"""What systemd is told arrives, and that it does not never stops the daemon."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentmem_observe.daemon import notify
from agentmem_observe.daemon.notify import Notifier

MOST = 4096


class Said:
    """Remembers what people were told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, event: str, text: str, *, level: int = 0) -> None:
        self.texts.append(text)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Return a socket that listens, and its address as the environment has it."""
    address = str(tmp_path / "notify")
    if request.param == "abstract":
        address = f"@agentmem-observe-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0"))
        listening.settimeout(10)
        yield listening, address


def test_each_message_arrives_as_systemd_knows_it(systemd, said):
    listening, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}, said)
    arrived = []

    for send in (
        lambda: notifier.ready("2 jobs"),
        lambda: notifier.ready("2 jobs\nrun"),
        notifier.reloading,
        notifier.ready,
        notifier.watchdog,
        notifier.stopping,
        lambda: notifier.stopping(grace_seconds=20),
    ):
        send()
        arrived.append(listening.recv(MOST).decode())

    began, microseconds = arrived.pop(2).rsplit("=", 1)
    assert began == "RELOADING=1\nMONOTONIC_USEC"
    assert int(microseconds) > 0
    assert arrived == [
        "READY=1\nSTATUS=2 jobs",
        "READY=1\nSTATUS=2 jobs run",
        "READY=1",
        "WATCHDOG=1",
        "STOPPING=1",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000",
    ]
    assert said.texts == []


def test_nobody_is_told_anything_where_there_is_no_socket(said, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)  # to make one would break
    notifier = Notifier({"WATCHDOG_USEC": "30000000"}, said)

    notifier.ready("2 jobs")
    notifier.reloading()
    notifier.watchdog()
    notifier.stopping()

    assert notifier.watchdog_seconds is None
    assert said.texts == []


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_only_for_whom_it_names(environment, seconds, said, tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), **environment}, said)

    assert notifier.watchdog_seconds == seconds


def test_no_sign_of_life_is_sent_if_nobody_watches(systemd, said):
    listening, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address}, said)

    notifier.watchdog()
    notifier.stopping()

    assert listening.recv(MOST) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("{}/nobody", "No such file or directory"),
        ("{}/" + "x" * 200, "AF_UNIX path too long"),
        ("vsock:2:1234", "No such file or directory"),
    ],
)
def test_a_broken_socket_is_reported_once_and_nothing_else(address, reason, said, tmp_path):
    address = address.format(tmp_path)
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}, said)

    for _ in range(3):
        notifier.ready("2 jobs")
        notifier.watchdog()

    assert said.texts == [
        f"systemd cannot be told how the daemon is: NOTIFY_SOCKET={address!r}: {reason}; "
        "the daemon goes on, but systemd may restart it"
    ]


def test_a_socket_that_nobody_reads_any_more_is_a_broken_one(tmp_path, said):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
    notifier = Notifier({"NOTIFY_SOCKET": address}, said)

    notifier.ready()
    notifier.stopping()

    assert len(said.texts) == 1
    assert "Connection refused" in said.texts[0]


def test_text_that_is_no_unicode_does_not_stop_a_message(systemd, said):
    listening, address = systemd

    Notifier({"NOTIFY_SOCKET": address}, said).ready("job \udc80")

    assert listening.recv(MOST) == b"READY=1\nSTATUS=job ?"


def test_a_service_manager_that_does_not_read_holds_nobody_up(tmp_path, said, monkeypatch):
    monkeypatch.setattr(notify, "_PATIENCE_SECONDS", 0.0)
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address}, said)
        while not said.texts:
            notifier.ready()

    assert "Resource temporarily unavailable" in said.texts[0]
