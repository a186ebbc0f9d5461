"""Every process killed, the disk full, YAML with ten errors: clear words, and nothing lost."""

import os
import signal

import pytest

import lab as L

URL = "http://files.home.clan/"


@pytest.fixture
def sharing(lab):
    nas, laptop = lab.machine("nas"), lab.machine("laptop")
    L.up(nas)
    L.admit(nas, laptop)
    nas.clan("enable", "files", "--on", "nas", "--yes")
    L.wait_for(lambda: laptop.curl(URL, check=False).returncode == 0, what="files")
    laptop.sh(f"head -c 300000000 /dev/urandom > {laptop.dir}/home/big && curl -gsS --fail -T {laptop.dir}/home/big {URL}big")
    return nas, laptop


def download(laptop):
    """A download slow enough to be met in the middle."""
    return laptop.popen("curl", "-gsS", "--limit-rate", "60M", "--speed-time", "20", "-C", "-", "-o", f"{laptop.dir}/home/copy", URL + "big",
                        stderr=-1)


def same(laptop):
    return laptop.sh(f"cmp {laptop.dir}/home/big {laptop.dir}/home/copy", check=False).returncode == 0


def kill(machine, pattern):
    pids = machine.pids(pattern)
    assert pids, pattern
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def back(machine, pattern, old):
    L.wait_for(lambda: any(p not in old for p in machine.pids(pattern)), limit=15, what=f"{pattern} is back")


@pytest.mark.parametrize("pattern", ["^clan-core", "^clan-link", "^clan-resolver", "^clan-keeper", "^clan-host tcp-noise"])
def test_killed_in_a_transfer_that_goes_on(sharing, pattern):
    nas, laptop = sharing
    transfer = download(laptop)
    L.wait_for(lambda: os.path.exists(f"{laptop.dir}/home/copy") and os.path.getsize(f"{laptop.dir}/home/copy") > 1e7,
               what="the transfer")
    victims = kill(nas, pattern)
    back(nas, pattern, victims)
    assert transfer.wait(60) == 0, transfer.stderr.read()
    assert same(laptop)
    L.wait_for(lambda: laptop.ping("nas", check=False).returncode == 0, what="all works again")


@pytest.mark.parametrize("pattern", ["^clan-host files", "lighttpd", "^cland: warden"])
def test_killed_and_the_transfer_resumes(sharing, pattern):
    nas, laptop = sharing
    transfer = download(laptop)
    L.wait_for(lambda: os.path.exists(f"{laptop.dir}/home/copy") and os.path.getsize(f"{laptop.dir}/home/copy") > 1e7,
               what="the transfer")
    others = nas.pids("^clan-link")
    victims = kill(nas, pattern)
    back(nas, pattern, victims)
    transfer.wait(60)
    if "warden" not in pattern:
        assert nas.pids("^clan-link") == others  # a plugin's death touches nothing else

    def resumed():
        transfer = download(laptop)
        return transfer.wait(60) == 0 or same(laptop)

    L.wait_for(resumed, limit=60, what="the resumed transfer")
    assert same(laptop)
    assert laptop.ping("nas").returncode == 0


def test_death_is_told_with_its_cause(sharing):
    nas, _ = sharing
    victims = kill(nas, "^clan-resolver")
    back(nas, "^clan-resolver", victims)
    L.wait_for(lambda: "resolver" in nas.log() and "signal 9" in nas.log(), what="the log line")


def test_full_disk(lab):
    nas = lab.machine("nas", start=False)
    nas.sh("mount -t tmpfs -o size=4m tmpfs /var/lib/clan")
    nas.start()
    L.up(nas)
    nas.sh("dd if=/dev/zero of=/var/lib/clan/filler bs=4k 2>/dev/null", check=False)
    result = nas.clan("invite", check=False)
    assert result.returncode == 1 and "space" in result.stderr.lower(), result.stderr
    assert nas.standing() == "member"
    nas.sh("rm /var/lib/clan/filler")
    assert L.invite(nas).startswith("clan://join/")
    nas.stop()
    nas.start(apply=False)
    L.wait_for(lambda: nas.clan("status", check=False).returncode == 0, what="the clan after a restart")
    assert nas.standing() == "member"


TEN = """version: 0
clan: Home_Sweet
admins:
  threshold: 9
  keys: {anna: rsa:abc}
keper: [nas]
transports: {order: [tcp-noise, tcp-noise]}
machines:
  nonsense: {name: nas}
services:
  files: {plugin: 7up!, place: {on: nowhere}, allow: [everybody], port: 99999}
  Files: {plugn: files}
"""


def test_yaml_with_ten_errors(lab):
    nas = lab.machine("nas", start=False)
    with open(f"{nas.dir}/home/clan.yaml", "w") as f:
        f.write(TEN)
    result = nas.clan("config", "check", f"{nas.dir}/home/clan.yaml", check=False)
    assert result.returncode == 2
    said = result.stdout + result.stderr
    places = [line for line in said.splitlines() if "clan.yaml:" in line and "error:" in line]
    assert len(places) >= 10, said
    assert 'did you mean "keeper"' in said and "^" in said
