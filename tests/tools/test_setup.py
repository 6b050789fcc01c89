"""What ``tools/setup.sh`` does about servers, on machines made of stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = (
    *("sh", "dirname", "mktemp", "tail", "rm", "cat", "env", "tee", "chmod", "touch", "id"),
    *("cp", "mv", "mkdir", "grep"),
)
INSTALLED = "Redis server v=7.0.15 sha=0"
DEFAULT = "#create_main_cluster = true"


class Machine:
    """A PATH of its own, with a few real programs, and with those that are put there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.policy = folder / "policy-rc.d"
        self.calls = folder / "calls"
        self.postgres = folder / "postgresql"
        self.clusters = folder / "createcluster.conf"
        self.release = folder / "os-release"
        self.bin.mkdir()
        for name in NEEDED:
            real = shutil.which(name)
            assert real is not None, f"this machine has no {name}"
            (self.bin / name).symlink_to(real)
        self.put("id", "echo 0")

    def put(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def put_postgres(self, folder: Path | None = None) -> Path:
        """Put programs of PostgreSQL where Debian does, or into `folder`."""
        folder = folder or self.postgres / "15" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("initdb", "postgres"):
            (folder / name).touch(mode=0o755)
        return folder

    def put_packages(self, *, lists: bool = True, offline: bool = False) -> None:
        """Put an apt-get there: with lists of packages or without, reaching its hosts or not."""
        known = self.bin / "lists"
        if lists:
            known.touch()
        programs = self.postgres / "15" / "bin"
        self.put(
            "apt-get",
            f"""
for package; do :; done
told=$(cat {self.clusters} 2>/dev/null)
echo "$1" "$package" "$([ -e {self.policy} ] && echo refused)" >>{self.calls}
{"echo offline; exit 100" if offline else ""}
if [ "$1" = update ]; then touch {known}; exit; fi
[ -e {known} ] || exit 100
case $package in
    redis-server)
        printf '#!/bin/sh\\necho {INSTALLED}\\n' >{self.bin}/redis-server
        chmod 755 {self.bin}/redis-server ;;
    postgresql-common) [ -e {self.clusters} ] || echo '{DEFAULT}' >{self.clusters} ;;
    postgresql)
        case $told in *'create_main_cluster = false'*) ;; *) touch {self.made_cluster} ;; esac
        mkdir -p {programs}
        touch {programs}/initdb {programs}/postgres
        chmod 755 {programs}/initdb {programs}/postgres ;;
esac""",
        )

    @property
    def made_cluster(self) -> Path:
        """A file that is there when a package has made a cluster of databases."""
        return self.postgres.with_name("cluster")

    def calls_of_packages(self) -> list[str]:
        return self.calls.read_text().split("\n")[:-1] if self.calls.exists() else []

    def set_up(self, **named: str) -> subprocess.CompletedProcess[str]:
        """Run the script, with what is `named` in its environment."""
        rest = {k: v for k, v in os.environ.items() if not k.startswith("FRESHWELL_TEST_")}
        return subprocess.run(
            [ROOT / "tools" / "setup.sh", "servers"],
            env={
                **rest,
                "PATH": str(self.bin),
                "FRESHWELL_SETUP_POLICY": str(self.policy),
                "FRESHWELL_SETUP_POSTGRES": str(self.postgres),
                "FRESHWELL_SETUP_CLUSTERS": str(self.clusters),
                "FRESHWELL_SETUP_RELEASE": str(self.release),
                **named,
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_servers_that_are_there_are_left_alone(machine: Machine) -> None:
    machine.put("valkey-server", "echo Valkey server v=9.0.1 sha=0")
    machine.put_postgres()
    machine.put_packages()
    done = machine.set_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.calls_of_packages() == []


def test_a_missing_server_is_installed_and_its_service_is_not_started(machine: Machine) -> None:
    machine.put_postgres()
    machine.put_packages()
    done = machine.set_up()
    assert (done.returncode, done.stderr) == (0, "setup: installing redis-server\n")
    assert machine.calls_of_packages() == ["install redis-server refused"]
    assert not machine.policy.exists()


def test_a_missing_postgresql_is_installed_without_service_and_cluster(machine: Machine) -> None:
    machine.put("redis-server", f"echo {INSTALLED}")
    machine.put_packages()
    done = machine.set_up()
    assert (done.returncode, done.stderr) == (0, "setup: installing postgresql\n")
    calls = machine.calls_of_packages()
    assert calls == ["install postgresql-common refused", "install postgresql refused"]
    assert not machine.policy.exists()
    assert not machine.made_cluster.exists()


@pytest.mark.parametrize(
    ("system", "installed"),
    [("ID=debian\nVERSION_ID=12\n", True), ("ID=ubuntu\nID_LIKE=debian\n", False), ("", False)],
    ids=["Debian", "Ubuntu", "another"],
)
def test_chromium_is_installed_where_it_is_a_package(
    machine: Machine, system: str, installed: bool
) -> None:
    machine.put("redis-server", f"echo {INSTALLED}")
    machine.put_postgres()
    machine.put_packages()
    machine.release.write_text(system)
    done = machine.set_up()
    assert done.returncode == 0
    assert done.stderr == ("setup: installing chromium\n" if installed else "")
    assert bool(machine.calls_of_packages()) is installed


def test_a_chromium_that_is_there_is_left_alone(machine: Machine) -> None:
    machine.put("redis-server", f"echo {INSTALLED}")
    machine.put_postgres()
    machine.put_packages()
    machine.release.write_text("ID=debian\n")
    for name in ("chromium", "chromedriver"):
        machine.put(name, "exit 0")
    assert machine.set_up().returncode == 0
    assert machine.calls_of_packages() == []


def test_a_package_that_is_told_nothing_makes_a_cluster(machine: Machine) -> None:
    """The control of the one above."""
    machine.put_packages()
    subprocess.run([machine.bin / "apt-get", "install", "postgresql"], check=True)
    assert machine.made_cluster.exists()


@pytest.mark.parametrize("before", [None, "mine"], ids=["new", "known"])
def test_clusters_are_made_afterwards_as_they_were_before(
    machine: Machine, before: str | None
) -> None:
    if before is not None:
        machine.clusters.write_text(before + "\n")
    machine.put_packages()
    assert machine.set_up().returncode == 0
    assert not machine.made_cluster.exists()
    assert machine.clusters.read_text() == f"{before or DEFAULT}\n"
    assert list(machine.clusters.parent.glob("createcluster*")) == [machine.clusters]


def test_postgresql_is_taken_from_the_folder_that_is_named(
    machine: Machine, tmp_path: Path
) -> None:
    machine.put("redis-server", f"echo {INSTALLED}")
    machine.put_packages()
    elsewhere = machine.put_postgres(tmp_path / "elsewhere")
    done = machine.set_up(FRESHWELL_TEST_POSTGRES=str(elsewhere))
    assert (done.returncode, done.stderr) == (0, "")
    done = machine.set_up(FRESHWELL_TEST_POSTGRES=str(tmp_path))
    assert (done.returncode, machine.calls_of_packages()) == (1, [])
    assert "which is no folder with initdb and postgres" in done.stderr


def test_without_a_way_to_install_postgresql_one_sentence_says_what_to_do(
    machine: Machine,
) -> None:
    machine.put("redis-server", f"echo {INSTALLED}")
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.startswith("setup: no PostgreSQL was found, and it takes apt-get with root")
    assert done.stderr.count("\n") == 1


def test_lists_of_packages_are_fetched_where_there_are_none(machine: Machine) -> None:
    machine.put_postgres()
    machine.put_packages(lists=False)
    assert machine.set_up().returncode == 0
    calls = [call.split()[0] for call in machine.calls_of_packages()]
    assert calls == ["install", "update", "install"]


def test_a_policy_that_was_there_before_is_kept(machine: Machine) -> None:
    machine.policy.write_text("mine")
    machine.put_packages()
    assert machine.set_up().returncode == 0
    assert machine.policy.read_text() == "mine"


def test_an_install_that_fails_says_so_and_cleans_up(machine: Machine) -> None:
    machine.put_packages(offline=True)
    done = machine.set_up()
    assert done.returncode == 1
    assert "offline" in done.stderr
    assert "setup: redis-server could not be installed: install it" in done.stderr
    assert not machine.policy.exists()


def test_without_a_way_to_install_one_sentence_says_what_to_do(machine: Machine) -> None:
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.startswith("setup: no redis-server or valkey-server was found, and it takes")
    assert done.stderr.count("\n") == 1


def test_who_is_not_root_and_has_no_sudo_is_told(machine: Machine) -> None:
    machine.put_packages()
    machine.put("id", "echo 1000")
    done = machine.set_up()
    assert (done.returncode, machine.calls_of_packages()) == (1, [])
    assert "root or sudo" in done.stderr


def test_a_named_server_that_is_not_there_is_an_error(machine: Machine) -> None:
    machine.put_packages()
    done = machine.set_up(FRESHWELL_TEST_SERVER="no-such-server")
    assert (done.returncode, machine.calls_of_packages()) == (1, [])
    assert "'no-such-server', which is not there" in done.stderr


def test_an_old_server_is_refused(machine: Machine) -> None:
    machine.put("redis-server", "echo Redis server v=6.0.16 sha=0")
    done = machine.set_up()
    assert done.returncode == 1
    assert "redis-server is older than 7.0" in done.stderr
