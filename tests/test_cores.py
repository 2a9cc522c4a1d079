"""How many threads a network gets: affinity, quota, $DSLC_THREADS, what was asked for, and what pays off."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import dslc
from dslc import cores
from dslc.compiler import check_file, plan_network
from dslc.cores import available_cores as really_available
from dslc.cores import threads_to_use
from dslc.language.diagnostics import UsageError
from helpers import REPO

LENET = REPO / "specs" / "lenet5.net"
SMALL = "net Small {\n  input x: 8\n  dense(4) -> softmax\n}\n"


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cores.VARIABLE)


def quota(tmp_path: Path, membership: str, files: dict[str, str]) -> float:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "membership").write_text(membership)
    return cores._quota(tmp_path, tmp_path / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "wanted"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/the/hosts/path\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, float("inf")),
        (
            "4:memory:/m\n3:cpu,cpuacct:/x\n0::/\n",
            {"cpu/x/cpu.cfs_quota_us": "300000\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ("3:memory:/x\n", {"x/cpu.max": "100000 100000\n"}, float("inf")),
        ("", {}, float("inf")),
    ],
)
def test_quota_of_cgroups(tmp_path: Path, membership: str, files: dict[str, str], wanted: float) -> None:
    """Both versions, limits of groups above, and groups that a container cannot see."""
    assert quota(tmp_path, membership, files) == wanted


def test_affinity_and_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller of the two; a quota of a core and a half is worth two threads, one of half a core one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    for limit, wanted in ((float("inf"), 6), (8.0, 6), (1.5, 2), (0.5, 1)):
        monkeypatch.setattr(cores, "_quota", lambda *_, limit=limit: limit)
        assert really_available() == wanted


@pytest.mark.usefixtures("nothing_set")
def test_who_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller says, else $DSLC_THREADS, else auto; never more than there are cores, and then with a note."""
    assert threads_to_use() == threads_to_use("auto") == "auto"
    monkeypatch.setenv(cores.VARIABLE, "3")
    assert (threads_to_use(), threads_to_use(2)) == (3, 2)
    monkeypatch.setenv(cores.VARIABLE, "auto")
    assert threads_to_use() == "auto"
    with pytest.warns(UserWarning, match=r"^--threads is 9, but this process may run on 8 cores only: 8 it is$"):
        assert threads_to_use(9, "--threads") == 8
    monkeypatch.setenv(cores.VARIABLE, "99")
    with pytest.warns(UserWarning, match=r"^DSLC_THREADS is 99, but .* 8 it is$"):
        assert threads_to_use() == 8


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_wrong_values_of_the_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.VARIABLE, value)
    with pytest.raises(
        UsageError, match=f"DSLC_THREADS must be a number of threads, at least 1, or auto, not '{value}'"
    ):
        dslc.load(LENET)


@pytest.mark.parametrize("threads", [0, -3])
def test_no_threads(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads must be at least 1, not {threads}"):
        dslc.load(LENET, threads=threads)


@pytest.mark.parametrize("threads", ["many", 1.5, True, None])
def test_no_numbers(threads: object) -> None:
    with pytest.raises(ValueError, match="threads must be a number or 'auto', not"):
        dslc.load(LENET, threads=threads)  # type: ignore[arg-type]


@pytest.mark.usefixtures("nothing_set")
def test_as_many_as_pay_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """All cores where there is much to do, one where nothing is worth sharing."""
    network = check_file(LENET)
    monkeypatch.setattr(cores, "available_cores", lambda: 2)
    assert plan_network(network, threads="auto").threads == 2
    monkeypatch.setattr(cores, "available_cores", lambda: 500)
    few = plan_network(network, threads="auto").threads
    assert 2 < few < 100
    vgg = plan_network(check_file(REPO / "specs" / "vgg16.net"), threads="auto").threads
    assert few < vgg <= 500
    model = dslc.loads(SMALL)
    assert model.threads == 1 and model.compiled.net.threads == 1
    assert plan_network(network, threads="auto", batch=1).threads <= few


def dslc_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != cores.VARIABLE} | variables
    command = [sys.executable, "-m", "dslc", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True, env=environment, timeout=120)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity cannot be set here")
def test_commands_take_the_cores_that_the_process_may_run_on() -> None:
    """On one core one thread, however many were asked for, with a note; on all of them what pays off."""
    one = min(os.sched_getaffinity(0))
    code = (
        "import os, sys\n"
        f"os.sched_setaffinity(0, {{{one}}})\n"
        "from dslc.cli.main import main\n"
        f"sys.argv = ['dslc', 'emit', {str(LENET)!r}, '--stage', 'plan', *sys.argv[1:]]\n"
        "main()\n"
    )
    for arguments in ((), ("--threads", "2")):
        environment = {k: v for k, v in os.environ.items() if k != cores.VARIABLE}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            check=False,
            text=True,
            env=environment,
            timeout=120,
        )
        assert done.returncode == 0 and "1 thread," in done.stdout
        note = "note: --threads is 2, but this process may run on 1 core only: 1 it is\n"
        assert done.stderr.startswith(note) if arguments else "note" not in done.stderr


def test_wrong_options_of_commands() -> None:
    done = dslc_command("check", str(LENET), "--threads", "many")
    assert done.returncode == 2 and "many" in done.stderr + done.stdout and "Traceback" not in done.stderr
    done = dslc_command("check", str(LENET), DSLC_THREADS="0")
    assert done.returncode == 1 and done.stderr == (
        "error: DSLC_THREADS must be a number of threads, at least 1, or auto, not '0'\n"
    )


def test_a_note_comes_once() -> None:
    """The command line resolves what was asked for; the model does not complain again."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dslc.loads(SMALL, threads=threads_to_use(9))
    assert len(caught) == 1
