"""The dashboard of another machine: over the overlay, where its owner allows it, for reading."""

import os
import signal

import pytest

import lab as L
from browser import Browser, code_of, needed

OWNER, OTHER = 4242, 4343
YAML = """version: 1
owner: "4242"
plugins:
  tcp-noise: {allow: [net.listen, "net.connect:lan"]}
  dashboard: {allow: [%s]}
listen: {tcp-noise: ["0.0.0.0:7117"]}
"""


def applied(m, *words):
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(YAML % ", ".join(words))


def row(m, service="nas-ui"):
    return next(s for o in m.json("services") for s in o["services"] if s["name"] == service)


def refused(m, *at):
    with pytest.raises(L.Failed) as e:
        code_of(m, OWNER, *at)
    return str(e.value)


@pytest.fixture(scope="module")
def clan():
    needed()
    with L.Lab() as lab:
        nas, laptop, desk = machines = [lab.machine(name, start=False) for name in ("nas", "laptop", "desk")]
        for m in machines:
            applied(m, "api.session")
            m.start()
        L.up(nas)
        for m in (laptop, desk):
            L.admit(nas, m)
            L.wait_for(lambda: m.standing() == "member", what=f"{m.name} is a member")
        yield nas, laptop, desk


@pytest.fixture(scope="module")
def shown(clan):
    """nas shows itself to laptop, and to nobody else."""
    nas, laptop, desk = clan
    assert "no dashboard among the services" in refused(laptop, "nas") and "net.service" in refused(laptop, "nas")
    nas.clan("enable", "dashboard", "--as", "nas-ui", "--on", "nas", "--allow", "laptop", "--yes")
    assert row(nas)["state"] == "not granted" and "allow it net.service" in row(nas)["remedy"], row(nas)
    L.wait_for(lambda: row(laptop)["state"] == "not granted", what="laptop hears why")
    assert "net.service" in refused(laptop, "nas")
    applied(nas, "api.session", "net.service")
    nas.run(f"{L.PREFIX}/bin/clan", "machine", "apply", "--yes")
    L.wait_for(lambda: row(laptop)["state"] == "up", what="the dashboard of nas, on laptop")
    return clan


@pytest.fixture
def visitor(shown):
    nas, laptop, _ = shown
    ui = code_of(laptop, OWNER, "nas")
    assert ui["origin"] == "nas-ui.home.clan" and ui["valid_s"] == 30, ui
    b = Browser(laptop, OWNER, row(laptop)["address"], "nas-ui.home.clan", 80)
    b.limit = 2  # what is closed may answer nothing
    L.wait_for(lambda: not isinstance(b.ask("GET", "/v1/mode"), str), what="the way to nas")
    answer = b.sign_in(ui["code"])
    assert answer.status == 200, answer.body
    assert answer.json["from"] == "laptop" and answer.json["owner"] is False, answer.json
    yield b
    b.close()


def test_it_shows_what_that_machine_sees(shown, visitor):
    nas, laptop, _ = shown
    assert visitor.ask("GET", "/v1/mode").json == {"v": 1, "mode": "clan", "version": visitor.ask("GET", "/v1/mode").json["version"],
                                                   "service": "nas-ui"}
    assert visitor.ask("GET", "/v1/status").json["machine"] == "nas"
    assert [m["name"] for m in visitor.ask("GET", "/v1/machines").json["machines"] if m["self"]] == ["nas"]
    assert visitor.ask("GET", "/").status == 200
    # it reads, and changes nothing
    for method, path, body in (("POST", "/v1/proposals", {"words": ["disable", "nas-ui"]}), ("POST", "/v1/alarms/dismiss", {})):
        answer = visitor.ask(method, path, body)
        assert answer.status == 403, (path, answer.status, answer.body)
    assert visitor.ask("POST", "/v1/preview", {"words": ["disable", "nas-ui"]}).status == 200, "what would change is read"
    # the people of nas have theirs as before, and it is another process
    own = Browser(nas, OWNER, L.people(nas)(2))
    assert own.sign_in(code_of(nas, OWNER)["code"]).status == 200 and own.ask("GET", "/v1/session").json["owner"] is True
    own.close()
    hosts = nas.pids("^clan-host dashboard")
    assert len(hosts) == 2 and len({os.stat(f"/proc/{pid}").st_uid for pid in hosts}) == 2, hosts
    # a core that starts anew knows the session; signing out ends it
    os.kill(nas.pids("^clan-core home")[0], signal.SIGKILL)
    L.wait_for(lambda: visitor.ask("GET", "/v1/machines").status == 200, what="the session after the core's death")
    assert visitor.ask("DELETE", "/v1/session").status == 200 and visitor.ask("GET", "/v1/machines").status == 401
    assert code_of(nas, OWNER, "nas")["origin"].startswith("127."), "its own is on loopback"


def test_who_gets_nothing(shown, visitor):
    nas, laptop, desk = shown
    assert "open to this one" in refused(desk, "nas") and "open to this one" in refused(desk, "nas-ui")
    assert "no machine and no service" in refused(laptop, "nobody")
    # the network lets desk in at no port of it
    stranger = Browser(desk, OWNER, row(nas)["address"], "nas-ui.home.clan", 80)
    stranger.limit = 2
    assert str(stranger.ask("GET", "/v1/mode")).startswith("error"), "desk reaches the page"
    stranger.close()
    # a session is one machine's: nas itself reaches the address, and has laptop's cookie and token
    thief = Browser(nas, 0, visitor.at, "nas-ui.home.clan", 80)
    thief.session = dict(visitor.session)
    assert thief.ask("GET", "/v1/status").status in (401, 403), "another address uses the session"
    # neither does a code of laptop work from there, nor one of the people of nas
    assert thief.sign_in(code_of(laptop, OWNER, "nas")["code"]).status in (401, 403)
    assert thief.sign_in(code_of(nas, 0)["code"]).status in (401, 403)
    assert visitor.sign_in(code_of(nas, OWNER)["code"]).status == 401, "a code of the people of nas came over the network"
    thief.close()
    # laptop's code is nothing on laptop's own page
    own = Browser(laptop, OWNER, L.people(laptop)(2))
    assert own.sign_in(code_of(laptop, OWNER, "nas")["code"]).status == 401
    own.session = dict(visitor.session)
    assert own.ask("GET", "/v1/status").status == 401
    own.close()
    # who does not use the clan on laptop gets no code
    with pytest.raises(L.Failed):
        code_of(laptop, OTHER, "nas")


def test_a_name_that_was_bent(visitor):
    for host in ("evil.example", "nas-ui.home.clan:81", "nas-ui.clan", "nas-ui..clan", "x.nas-ui.home.clan", "nas-ui.home.clan.evil.example",
                 "nas-ui.a.b.clan", f"[{visitor.at}]", "nas-uix.home.clan", "NAS-UI.home.clan"):
        answer = visitor.ask("GET", "/v1/status", Host=host)
        assert answer.status == 421, (host, answer.status)
    assert visitor.ask("GET", "/v1/mode", Host="nas-ui.family.clan").status == 200, "laptop may call the clan by another word"
    assert visitor.ask("POST", "/v1/preview", {"words": ["disable", "nas-ui"]}, Origin="http://evil.example").status == 403
    assert visitor.ask("GET", "/v1/status", Clan_Token="0" * 64).status == 401


def test_the_owner_takes_it_back(shown, visitor):
    nas, laptop, _ = shown
    applied(nas, "api.session")
    nas.run(f"{L.PREFIX}/bin/clan", "machine", "apply", "--yes")
    L.wait_for(lambda: str(visitor.ask("GET", "/v1/status")).startswith("error"), what="the end of the visit")
    assert "net.service" in refused(laptop, "nas")
    applied(nas, "api.session", "net.service")
    nas.run(f"{L.PREFIX}/bin/clan", "machine", "apply", "--yes")
    L.wait_for(lambda: row(laptop)["state"] == "up", what="the dashboard of nas, again")
    assert visitor.ask("GET", "/v1/status").status == 200, "the session is as good as before"
    # and so do the admins: the session ends with the service
    nas.clan("disable", "nas-ui", "--yes")
    L.wait_for(lambda: str(visitor.ask("GET", "/v1/status")).startswith("error"), what="the end of the service")


def test_the_people_of_that_machine_keep_theirs(shown):
    """The dashboard for others starts after theirs here: the firewall of theirs goes on to let that one answer."""
    nas = shown[0]
    nas.clan("disable", "nas-ui", "--yes", check=False)  # the test before may have done that
    nas.clan("enable", "dashboard", "--as", "nas-ui", "--on", "nas", "--allow", "laptop", "--yes")
    L.wait_for(lambda: row(nas)["state"] == "up", what="the dashboard for others")
    own = Browser(nas, OWNER, L.people(nas)(2))
    own.limit = 3
    assert own.sign_in(code_of(nas, OWNER)["code"]).status == 200
    own.close()
