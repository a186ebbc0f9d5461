"""The dashboard in its sandbox: signing in, what a session reads, and who gets nothing."""

import gzip
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

import lab as L
from browser import Browser, code_of, needed

OWNER, OTHER = 4242, 4343
YAML = """version: 1
owner: "4242"
plugins:
  tcp-noise: {allow: [net.listen, "net.connect:lan"]}
  dashboard: {allow: [api.session]}
listen: {tcp-noise: ["0.0.0.0:7117"]}
"""


@pytest.fixture(scope="module")
def nas():
    needed()
    with L.Lab() as lab:
        m = lab.machine("nas", start=False)
        with open(f"{m.dir}/etc/machine.yaml", "w") as f:
            f.write(YAML)
        m.start()
        L.up(m)
        m.at = L.people(m)
        L.wait_for(lambda: "dashboard is up" in m.log(), what="the dashboard")
        yield m


@pytest.fixture
def owner(nas):
    b = Browser(nas, OWNER, nas.at(2))
    yield b
    b.close()


@pytest.fixture
def signed_in(nas, owner):
    assert owner.sign_in(code_of(nas, OWNER)["code"]).status == 200
    return owner


def test_a_person_signs_in_and_reads(nas, owner):
    ui = code_of(nas, OWNER)
    assert ui["origin"] == f"{nas.at(2)}:7180" and ui["valid_s"] == 30, ui
    answer = owner.sign_in(ui["code"])
    assert answer.status == 200 and answer.json["owner"] and answer.json["role"] == "member", answer.body
    assert answer.raw_cookie.endswith("; HttpOnly; SameSite=Strict; Path=/"), answer.raw_cookie
    rows = owner.ask("GET", "/v1/machines").json["machines"]
    assert rows == nas.json("machines")[-1]["machines"], "the same as the command line says"
    status = owner.ask("GET", "/v1/status").json
    assert status["clan"] == "home" and [h for h in status["health"] if h["remedy"]], status
    assert owner.ask("GET", "/v1/services").json["services"] == []
    assert owner.ask("GET", "/v1/invitations").json["invitations"] == []
    assert owner.ask("GET", "/v1/session").json["owner"] is True
    # a core that starts anew knows the session again
    os.kill(nas.pids("^clan-core home")[0], signal.SIGKILL)
    L.wait_for(lambda: owner.ask("GET", "/v1/machines").status == 200, what="the session after the core's death")
    assert owner.ask("DELETE", "/v1/session").status == 200
    assert owner.ask("GET", "/v1/machines").status == 401
    # nor does the next one let in whoever signed out
    os.kill(nas.pids("^clan-core home")[0], signal.SIGKILL)
    L.wait_for(lambda: nas.clan("status", check=False).returncode == 0, what="the next core")
    L.wait_for(lambda: owner.ask("GET", "/v1/machines").status == 401, what="the dashboard has the next core")


STREAM = r"""
import json, os, socket, sys, threading
q = json.loads(sys.stdin.readline())
threading.Thread(target=lambda: sys.stdin.read() or os._exit(0), daemon=True).start()
os.setgid(q["uid"]) or os.setuid(q["uid"])
s = socket.create_connection((q["at"], 7180), 30)
s.sendall(q["request"].encode())
kind = ""
for line in s.makefile("r"):
    if line.startswith("event: "):
        kind = line[7:].strip()
    elif line.startswith("data: "):
        print(kind, line[6:].strip(), flush=True)
"""


class Stream:
    """The events of a session, as they come."""

    def __init__(self, m, b):
        head = {"Host": f"{b.at}:7180", "Connection": "close", **b.session}
        request = "GET /v1/stream HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n"
        self.process = m.popen("/usr/bin/python3", "-c", STREAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""
        self.process.stdin.write(json.dumps({"uid": OWNER, "at": b.at, "request": request}) + "\n")
        self.process.stdin.flush()

    def line(self):
        """"" when the stream is over, or when nothing came for 40 s."""
        fd = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            some = os.read(fd, 65536) if select.select([fd], [], [], 40)[0] else b""
            if not some:
                return ""
            self.rest += some
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def next(self, kind, topic=None, never=None):
        """The next event of that kind, about that topic."""
        while line := self.line():
            got, _, text = line.partition(" ")
            assert got != never, line
            data = json.loads(text)
            if got == kind and data.get("topic") == topic:
                return data
        raise AssertionError(f"the stream ended before {kind} {topic}")

    def close(self):
        self.process.stdin.close()  # a kill would end what entered the namespace, not the client
        self.process.wait()


def test_what_changes_comes_by_itself(nas, signed_in):
    events = Stream(nas, signed_in)
    for topic in ("status", "machines", "services", "invitations"):
        rows = events.next("snapshot", topic)["rows"]
        assert len(rows) == (1 if topic in ("status", "machines") else 0), (topic, rows)
    nas.clan("invite", "--for", "laptop")
    first = events.next("delta", "invitations")
    assert [r["for"] for r in first["set"]] == ["laptop"] and first["del"] == []
    os.kill(nas.pids("^clan-core home")[0], signal.SIGKILL)  # the stream lives on with the next core
    L.wait_for(lambda: nas.clan("invite", "--for", "desk", check=False).returncode == 0, what="the next core")
    events.next("away")
    events.next("back")
    while not any(r["for"] == "desk" for r in events.next("delta", "invitations")["set"]):
        pass
    # one that hangs says nothing either: a moment is no news, a few seconds are
    core = nas.pids("^clan-core home")[0]
    os.kill(core, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(core, signal.SIGCONT)
    nas.clan("invite", "--for", "shelf")
    while not any(r["for"] == "shelf" for r in events.next("delta", "invitations", never="away")["set"]):
        pass
    os.kill(core, signal.SIGSTOP)
    began = time.monotonic()
    events.next("away")
    took = time.monotonic() - began
    assert took < 8, took
    os.kill(core, signal.SIGCONT)
    events.next("back")
    # the session ends, and so does what it reads
    assert signed_in.ask("DELETE", "/v1/session").status == 200
    events.next("ended")
    with pytest.raises(AssertionError):
        events.next("snapshot", "nothing")
    events.close()
    # pages that went away without a word leave their place
    signed_in.session = {}
    assert signed_in.sign_in(code_of(nas, OWNER)["code"]).status == 200
    many = [Stream(nas, signed_in) for _ in range(16)]
    for s in many:
        s.next("snapshot", "status")
    assert signed_in.ask("GET", "/v1/stream").status == 429
    for s in many:
        s.close()
    L.wait_for(lambda: again(nas, signed_in), limit=10, what="a place for another page")


def again(nas, b):
    s = Stream(nas, b)
    try:
        return s.next("snapshot", "status")
    except AssertionError:
        return False
    finally:
        s.close()


def test_the_configuration_and_what_would_change_it(nas, signed_in):
    head = signed_in.ask("GET", "/v1/config").json
    assert head["text"] == nas.clan("config", "show").stdout and head["signers"]
    log = signed_in.ask("GET", "/v1/config/log").json["versions"]
    assert [v["version"] for v in log][-1] == head["version"]
    assert signed_in.ask("GET", f"/v1/config/{head['version']}").json["text"] == head["text"]
    assert signed_in.ask("GET", "/v1/config/9999").status == 404 and signed_in.ask("GET", "/v1/config/x").status == 404
    found = signed_in.ask("POST", "/v1/config/check", {"text": head["text"]}).json
    changed = [line for line in found["diff"] if line["op"] in "+-"]  # the number that it would get
    assert found["ok"] and [line["text"].split(":")[0] for line in changed] == ["version", "version"]
    bad = signed_in.ask("POST", "/v1/config/check", {"text": head["text"] + "services: {files: 7}\nwhat: [\n"}).json
    assert not bad["ok"] and bad["problems"][0]["line"] > 1 and "^" in bad["problems"][0]["near"], bad
    old = head["text"].replace(f"version: {head['version']}", "version: 1")
    assert "changed since" in signed_in.ask("POST", "/v1/config/check", {"text": old}).json["problems"][0]["text"]
    diff = signed_in.ask("POST", "/v1/preview", {"words": ["enable", "files", "--on", "nas"]}).json["diff"]
    assert any("files" in line["text"] for line in diff if line["op"] == "+"), diff
    # as the command line would do it, and nothing happened
    dry = nas.json("enable", "files", "--on", "nas", "--dry-run")[-1]["config"].splitlines()
    assert all(line["text"] in dry for line in diff if line["op"] == "+")
    assert nas.clan("config", "show").stdout == head["text"]
    refused = signed_in.ask("POST", "/v1/preview", {"words": ["enable", "files", "--on", "nobody"]})
    assert refused.status == 404 and "nobody" in refused.json["error"]["what"]
    for body in ({}, {"words": []}, {"words": [1]}, {"words": ["x"] * 25}):
        assert signed_in.ask("POST", "/v1/preview", body).status == 400, body


def test_plugins_activity_network_and_codes(nas, signed_in):
    plugins = {p["plugin"]: p for p in signed_in.ask("GET", "/v1/plugins").json["plugins"]}
    assert plugins["dashboard"]["kind"] == "service" and plugins["tcp-noise"]["kind"] == "transport"
    # what is installed and not granted stands there too, as the owner's last `clan machine apply` found it
    files = plugins["files"]
    assert files["state"] == "not granted" and "grant files" in files["remedy"] and files["title"] and files["description"], files
    assert files["asks"] == {p["plugin"]: p for p in nas.json("plugin", "list")[-1]["plugins"]}["files"]["asks"]
    assert "sign" in plugins["dashboard"]["means"]["api.session"], plugins
    nas.clan("invite", "--for", "tablet")
    what = L.wait_for(lambda: [e for e in signed_in.ask("GET", "/v1/activity").json["activity"] if "tablet" in e["what"]],
                      what="the event")
    assert what[0]["kind"] == "invited" and what[0]["id"] > 0
    checks = {c["check"]: c for c in signed_in.ask("GET", "/v1/netcheck").json["checks"]}
    assert checks["daemon"]["state"] == "ok" and "addresses" not in checks, "a plugin sees no interfaces"
    qr = signed_in.ask("POST", "/v1/qr", {"text": "clan://join/x"}).json
    assert qr["size"] % 4 == 1 and qr["path"].startswith("M0 0h7v1h-7z"), qr  # the corner's square
    assert signed_in.ask("POST", "/v1/qr", {"text": "x" * 3000}).status == 400
    assert signed_in.ask("POST", "/v1/machines/nobody/ping").status == 404
    assert signed_in.ask("GET", "/v1/machines/nobody/paths").status == 404
    for token in ("0" * 64, ""):  # what asks the core for nothing asks it for the session
        stranger = dict(signed_in.session, **{"Clan-Token": token})
        for method, path, body in (("POST", "/v1/qr", {"text": "x"}), ("GET", "/v1/config", None), ("GET", "/v1/netcheck", None)):
            kept, signed_in.session = signed_in.session, stranger
            assert signed_in.ask(method, path, body).status == 401, (path, token)
            signed_in.session = kept


def test_the_pages_are_there(nas, owner):
    page = owner.ask("GET", "/")
    assert page.status == 200 and page.headers["content-encoding"] == "gzip"
    text = gzip.decompress(page.body).decode()
    assert "<script" in text and "default-src 'none'" in page.headers["content-security-policy"]
    assert "trusted-types 'none'" in page.headers["content-security-policy"] and page.headers["x-frame-options"] == "deny"
    assert owner.ask("GET", "/", If_None_Match=page.headers["etag"]).status == 304
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        assert owner.ask("GET", path).status == 200, path
    assert owner.ask("GET", "/../etc/passwd").status == 404
    spec = owner.ask("GET", "/v1/openapi.json").json
    assert spec["openapi"] == "3.1.0" and "/machines" in spec["paths"]


def test_a_code_is_one_users_and_good_once(nas, owner):
    ui = code_of(nas, OWNER)
    root = Browser(nas, 0, nas.at(1))
    assert root.sign_in(ui["code"]).status == 401, "it came to another user's address"
    assert owner.sign_in(ui["code"]).status == 401, "and that spent it"
    ui = code_of(nas, OWNER)
    assert owner.sign_in(ui["code"]).status == 200 and owner.sign_in(ui["code"]).status == 401
    assert owner.sign_in("0" * 32).status == 401 and owner.sign_in("x").status == 400
    root.close()


def test_half_a_session_is_none(nas, signed_in):
    whole = dict(signed_in.session)
    for missing in ("Cookie", "Clan-Token"):
        signed_in.session = {k: v for k, v in whole.items() if k != missing}
        assert signed_in.ask("GET", "/v1/machines").status == 401, missing
    signed_in.session = {**whole, "Clan-Token": whole["Clan-Token"][:-1] + ("0" if whole["Clan-Token"][-1] != "0" else "1")}
    assert signed_in.ask("GET", "/v1/machines").status == 401
    signed_in.session = whole
    assert signed_in.ask("GET", "/v1/machines").status == 200


def test_other_pages_and_names_get_nothing(nas, signed_in):
    get = signed_in.ask
    assert get("GET", "/v1/machines", Host="evil.example:7180").status == 421, "a name that was bent to this address"
    assert get("GET", "/", Host="localhost:7180").status == 421
    assert get("GET", "/v1/machines", Sec_Fetch_Site="cross-site").status == 403
    for origin in ("http://evil.example", f"http://{nas.at(1)}:7180", f"http://{nas.at(2)}:8000", "null", None):
        assert get("POST", "/v1/alarms/dismiss", Origin=origin).status == 403, origin
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        assert get("POST", "/v1/alarms/dismiss", Content_Type=kind).status == 415, kind
    assert get("POST", "/v1/alarms/dismiss").status == 200
    assert get("POST", "/v1/machines").status == 405 and get("GET", "/v1/leave").status == 404
    assert get("POST", "/v1/session", {"code": "0" * 70000}).status in (400, 413)


@pytest.mark.parametrize("lines", [
    ["Host: {h}", "Host: evil.example"], [], ["Host: {h}", "Content-Length: 0", "Content-Length: 5"],
    ["Host: {h}", "Content-Length: 5", "Transfer-Encoding: chunked"]])
def test_two_meanings_are_none(nas, signed_in, lines):
    head = "".join(line.format(h=f"{signed_in.at}:7180") + "\r\n" for line in lines)
    answer = signed_in.raw(("GET /v1/mode HTTP/1.1\r\nConnection: close\r\n" + head + "\r\n").encode() + b"0\r\n\r\n")
    assert isinstance(answer, str) or answer.status in (0, 400), (lines, answer.status, answer.body)


def test_other_users_reach_nothing(nas):
    other = Browser(nas, OTHER, nas.at(2))
    assert other.ask("GET", "/v1/mode") == "error ConnectionRefusedError"
    other.close()
    assert "7180" not in nas.sh("ss -Hltn '( src 0.0.0.0 or src [::] )'").stdout


# Asks for one thing on the socket of the command line; prints each answer in hex.
API = r"""
import os, socket, sys, threading
threading.Thread(target=lambda: sys.stdin.read() or os._exit(0), daemon=True).start()
s = socket.socket(socket.AF_UNIX)
s.connect("/run/clan/home.sock")
q = bytes.fromhex(sys.argv[1])
s.sendall(len(q).to_bytes(2, "big") + q)
f = s.makefile("rb")
while (head := f.read(2)):
    print(f.read(int.from_bytes(head, "big")).hex(), flush=True)
"""
WATCH, ACTIVITY = "f20100", "9a0200"  # Request.watch, Request.activity: fields 30 and 35
INVITATIONS, TOLD = 8, 128  # Topic


def topics(line):
    """Of an Answer that holds Changed (field 25), which holds topics (field 1)."""
    text = bytes.fromhex(line.strip())
    assert text[:2] == b"\xca\x01" and text[3] == 8, text.hex()
    value = shift = 0
    for byte in text[4:]:
        value |= (byte & 127) << shift
        shift += 7
    return value


def asks(m, request):
    return m.popen("/usr/bin/python3", "-c", API, request, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ends(p):
    p.stdin.close()
    p.wait()


def test_who_watches_is_told_at_once(nas):
    p = asks(nas, WATCH)
    assert topics(p.stdout.readline()) == 0x1FF, "all, at first"
    nas.clan("invite", "--for", "tv")
    got = 0
    while got & (INVITATIONS | TOLD) != INVITATIONS | TOLD:
        line = p.stdout.readline()
        assert line, "it ended"
        got |= topics(line)
    ends(p)
    p = asks(nas, ACTIVITY)
    assert b"invited tv" in bytes.fromhex(p.stdout.readline().strip())
    ends(p)
