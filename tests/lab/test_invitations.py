"""Invitations that must not let anybody in: each says why, or stays silent, as SECURITY A asks."""

import os
import signal

import pytest

import lab as L
import links


@pytest.fixture
def nas_and_guest(lab):
    nas, guest = lab.machine("nas"), lab.machine("guest")
    L.up(nas)
    return nas, guest, L.words(nas)


def refused(machine, link, words, *texts):
    result = L.join(machine, link, words, check=False)
    assert result.returncode != 0, result.stdout
    said = " ".join(result.stderr.lower().split())
    for text in texts:
        assert text in said, result.stderr
    assert machine.clan("status", check=False).returncode != 0  # no clan came of it
    return result


def state(machine, invitation):
    """Of one invitation, as a machine sees it."""
    rows = machine.json("invite", "list")[-1]["invitations"]
    return next((i["state"] for i in rows if i["id"] == invitation["id"]), None)


def test_expired(nas_and_guest):
    nas, guest, words = nas_and_guest
    invitation = nas.json("invite", "--expires", "1s")[-1]
    assert state(nas, invitation) == "open"
    L.wait_for(lambda: state(nas, invitation) == "expired", what="the end of the invitation")
    assert refused(guest, invitation["link"], words, "expired").returncode == 5


def test_used_up_and_alarm(lab, nas_and_guest):
    nas, guest, words = nas_and_guest
    invitation = nas.json("invite", "--for", "guest")[-1]
    L.join(guest, invitation["link"], words)
    assert not [h for h in nas.health() if h["code"] == "used-again"]
    guest_words = next(m["words"] for m in guest.json("status")[-1]["machines"] if m["self"])
    result = refused(lab.machine("other"), invitation["link"], words, "already used", "by guest", "utc")
    assert result.returncode == 5
    assert guest_words in result.stderr
    assert state(nas, invitation) == "used up"

    def alarm():
        return [h for h in nas.health() if h["code"] == "used-again"]

    for _ in range(2):
        assert len(alarm()) == 1 and alarm()[0]["severity"] == "alarm"
        assert "guest" in alarm()[0]["what"] and guest_words in alarm()[0]["what"] and "10.77.0.3" in alarm()[0]["what"]
        os.kill(nas.pids("^clan-core ")[0], signal.SIGKILL)  # it outlives its process
        L.wait_for(lambda: nas.clan("status", check=False).returncode == 0, what="core")
    nas.clan("status", "--dismiss")
    assert not alarm()


def test_withdrawn(nas_and_guest):
    nas, guest, words = nas_and_guest
    invitation = nas.json("invite")[-1]
    nas.clan("invite", "withdraw", invitation["id"])
    assert state(nas, invitation) == "withdrawn"
    assert refused(guest, invitation["link"], words, "withdrawn").returncode == 5


def test_mistyped(nas_and_guest):
    nas, guest, words = nas_and_guest
    link = L.invite(nas)
    broken = link[:40] + ("A" if link[40] != "A" else "B") + link[41:]
    assert refused(guest, broken, words, "damaged").returncode == 2


def test_tampered_stays_silent(nas_and_guest):
    nas, guest, words = nas_and_guest
    refused(guest, links.with_seed(L.invite(nas), bytes(16)), words, "silent", "changed on its way")


def test_another_clans_stays_silent(lab, nas_and_guest):
    nas, guest, words = nas_and_guest
    other = L.up(lab.machine("other"), name="other")
    link = links.with_endpoint(L.invite(other), nas.address)
    refused(guest, link, L.words(other), "silent", "another clan")


def test_wrong_fingerprint(nas_and_guest):
    nas, guest, words = nas_and_guest
    wrong = "-".join(reversed(words.replace("-", " ").split()))
    refused(guest, L.invite(nas), wrong, "fingerprint")
    assert "a caller" not in nas.log()  # refused before anything was contacted


def test_yes_needs_the_fingerprint(nas_and_guest):
    nas, guest, _ = nas_and_guest
    result = guest.clan("join", "-", "--yes", input=L.invite(nas) + "\n", check=False)
    assert result.returncode == 2 and "fingerprint" in result.stderr


def test_the_link_is_in_no_argv_and_no_log(nas_and_guest):
    nas, guest, words = nas_and_guest
    link = L.invite(nas)
    L.join(guest, link, words)
    secret = link[len(links.PREFIX) + 52:len(links.PREFIX) + 78]
    for m in (nas, guest):
        assert secret not in m.log() and secret.lower() not in m.log()


def test_link_to_itself_and_to_loopback(nas_and_guest):
    nas, guest, words = nas_and_guest
    link = L.invite(nas)
    refused(guest, links.with_endpoint(link, "127.0.0.1"), words, "127.0.0.1")
    refused(guest, links.with_endpoint(link, guest.address), words, "itself")
    refused(guest, links.with_endpoint(link, "192.168.99.1"), words, "private network")
