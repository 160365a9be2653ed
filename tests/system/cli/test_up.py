"""`podium up`: ready soon, alone on its data, alive while it should be, and gone without a trace."""

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.system.cli.platforms import Up, alive, command, descendants, environment, eventually, reap, running


def test_it_is_ready_with_addresses_and_a_key_that_works(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        addresses = up.ready()
        assert addresses["gateway"].startswith("http://127.0.0.1:")
        assert (up.data / "address").read_text().strip() == addresses["gateway"]
        for name in ("dev-key", "admin-key", "cluster-key", "secrets-key"):
            assert stat.S_IMODE((up.data / name).stat().st_mode) == 0o600
        assert up.json("ps") == []
        assert [host["state"] for host in up.json("coordinators", "list")] == ["active"]
        assert [key["tenant_id"] for key in up.json("keys", "list")] == ["dev"]


@pytest.mark.proves("CLI-SECRETS-UNSEEN")
def test_no_secret_is_seen_in_a_list_of_processes(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        secrets = [
            (up.data / name).read_text().strip() for name in ("admin-key", "cluster-key", "secrets-key", "dev-key")
        ]
        for pid in (up.process.pid, *descendants(up.process.pid)):
            line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
            assert not any(secret in line for secret in secrets)
        for log in (up.data / "log").iterdir():
            assert not any(secret in log.read_text(errors="replace") for secret in secrets)


def test_a_second_start_keeps_the_key_and_everything_else(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        key = (up.data / "dev-key").read_text()
        up.run("config", "set", "greeting=hi")
    with running(tmp_path) as up:
        assert (up.data / "dev-key").read_text() == key
        assert up.json("config", "show")["config"] == {"greeting": "hi"}


def test_two_on_one_directory_are_refused(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        answer = up.try_run("up")
        assert answer.returncode == 78
        assert f"runs already on .podium (pid {up.process.pid})" in answer.stderr
        assert up.json("ps") == []


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = Up(tmp_path, GATEWAY_PORT=port)
        assert up.process.wait(20) == 78
        assert f"port {port} is in use; set GATEWAY_PORT" in up.err()


@pytest.mark.proves("CLI-UP-NOTHING-LEFT")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_stops_in_order_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    up = Up(tmp_path)
    up.ready()
    family = descendants(up.process.pid)
    assert len(family) >= 2
    assert up.stop(number) == 0
    assert not any(alive(pid) for pid in family)
    assert not (up.data / "address").exists()


def test_it_stops_also_before_it_is_ready(tmp_path: Path) -> None:
    up = Up(tmp_path)
    eventually(lambda: len(descendants(up.process.pid)) >= 2)
    family = descendants(up.process.pid)
    assert up.stop() == 0
    assert not any(alive(pid) for pid in family)


@pytest.mark.proves("CLI-UP-NOTHING-LEFT")
def test_killed_it_takes_everything_with_it(tmp_path: Path) -> None:
    up = Up(tmp_path)
    up.ready()
    family = descendants(up.process.pid)
    up.stop(signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in family))
    reap(family)
    with running(tmp_path) as again:
        assert again.json("ps") == []


@pytest.mark.proves("CLI-UP-RESTARTS")
@pytest.mark.parametrize("daemon", ["gateway", "coordinator"])
def test_a_daemon_that_dies_is_started_again(tmp_path: Path, daemon: str) -> None:
    with running(tmp_path) as up:
        before = up.daemons()
        os.kill(before[daemon], signal.SIGKILL)
        eventually(lambda: up.daemons().get(daemon, before[daemon]) != before[daemon])
        eventually(lambda: up.try_run("coordinators", "list").returncode == 0)
        assert f"{daemon} ended with SIGKILL; starting it again" in up.err()


@pytest.mark.proves("CLI-UP-NOTHING-LEFT")
def test_stopped_right_after_a_coordinator_was_killed_it_leaves_no_mounts(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        before = up.daemons()
        os.kill(before["coordinator"], signal.SIGKILL)
        eventually(lambda: up.daemons().get("coordinator", before["coordinator"]) != before["coordinator"])
        up.stop()  # its successor has not cleaned up yet
        assert str(up.data) not in Path("/proc/self/mountinfo").read_text()


def test_a_daemon_that_refuses_its_configuration_ends_it_with_the_reason(tmp_path: Path) -> None:
    up = Up(tmp_path, PODIUM_ISOLATION="imaginary")
    assert up.process.wait(30) == 78
    assert "PODIUM_ISOLATION" in up.err()


def test_without_a_platform_commands_say_what_to_do(tmp_path: Path) -> None:
    answer = subprocess.run(
        command("ps"), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert answer.returncode == 78
    assert "podium up" in answer.stderr
