"""Pages where there is no clan yet: `clan ui` makes one, `clan open` asks about a link; nothing acts by itself."""

import base64
import hashlib
import ipaddress
import json
import os
import re
import signal
import subprocess

import pytest

import lab as L
from browser import needed
from terminal import Terminal

YAML = """version: 1
owner: root
plugins:
  tcp-noise: {allow: [net.listen, "net.connect:lan"]}
  dashboard: {allow: [api.session]}
listen: {tcp-noise: ["0.0.0.0:7117"]}
"""
OTHER = 4343
# Lines {"url", "method", "headers", "body"}, asked as a user with urllib; a line comes back for each.
CLIENT = r"""
import json, os, sys, urllib.error, urllib.request
uid = int(sys.argv[1])
os.setgid(uid) or os.setuid(uid)
for line in sys.stdin:
    q = json.loads(line)
    body = None if q["body"] is None else json.dumps(q["body"]).encode()
    r = urllib.request.Request(q["url"], body, q["headers"], method=q["method"])
    try:
        with urllib.request.urlopen(r, timeout=70) as a:
            out = [a.status, a.headers.get("Set-Cookie", ""), a.read().decode()]
    except urllib.error.HTTPError as e:
        out = [e.code, "", e.read().decode()]
    except OSError as e:
        out = [0, "", type(getattr(e, "reason", e)).__name__]
    print(json.dumps(out), flush=True)
"""


class Page:
    """A browser of one user, as far as the API goes."""

    def __init__(self, m, url, uid=0):
        self.m, self.headers = m, {}
        self.process = m.popen("/usr/bin/python3", "-c", CLIENT, str(uid), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.go(url)

    def go(self, url):
        found = re.fullmatch(r"(http://127\.\d+\.117\.\d+:\d+)/#code=([0-9a-f]{32})", url)
        assert found, url
        self.origin, self.code = found.groups()
        self.headers = {}

    def ask(self, method, path, body=None):
        headers = dict(self.headers)
        if method != "GET":
            headers.update({"Origin": self.origin, "Content-Type": "application/json"})
            body = body or {}
        line = {"url": f"{self.origin}/v1{path}", "method": method, "headers": headers, "body": body}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        status, cookie, text = json.loads(self.process.stdout.readline())
        if status == 0:
            return 0, text
        answer = json.loads(text)
        if "token" in answer:
            self.headers = {"Cookie": cookie.split(";")[0], "Clan-Token": answer["token"]}
        return status, answer

    def sign_in(self, code=None):
        return self.ask("POST", "/session", {"code": code or self.code})

    def good(self, *args):
        status, answer = self.ask(*args)
        assert status == 200, (args, status, answer)
        return answer

    def questions(self):
        return self.good("GET", "/join")["questions"]

    def until(self, step, number=0):
        """The question's row, once it is at that step."""
        def look():
            rows = self.questions()
            if step != "failed":
                assert rows[number]["step"] != "failed", rows
            return rows[number] if rows[number]["step"] == step else None
        return L.wait_for(look, what=f"the step {step}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Shown:
    """A command that shows pages until it is ended."""

    def __init__(self, m, *args, input=""):
        self.process = m.popen(f"{L.PREFIX}/bin/clan", *args, "--print", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        self.process.stdin.write(input)
        self.process.stdin.close()
        self.m, self.url = m, self.process.stdout.readline().strip()
        self.page = Page(m, self.url) if self.url else None

    def next_url(self):
        return self.process.stdout.readline().strip()

    def end(self):
        if self.page:
            self.page.close()
        for pid in self.m.pids(rf"^{L.PREFIX}/bin/clan .*--print"):
            os.kill(pid, signal.SIGTERM)
        err = self.process.stderr.read()
        code = self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()
        return code, err


@pytest.fixture
def shows():
    needed()
    running = []

    def start(*args, **kw):
        running.append(Shown(*args, **kw))
        return running[-1]

    yield start
    for s in running:
        if s.process.poll() is None:
            s.end()


def granted(lab, name):
    m = lab.machine(name, start=False)
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(YAML)
    m.start()
    return m


def test_the_first_run(lab, shows):
    m = granted(lab, "nas")
    ui = shows(m, "ui")
    page = ui.page
    assert page.good("GET", "/mode")["mode"] == "first-run"
    assert page.ask("GET", "/join")[0] == 401 and page.ask("POST", "/first/create", {"name": "home"})[0] == 401
    # the code is this user's: another one does not even reach the page, and the code stays good
    other = Page(m, ui.url, OTHER)
    assert other.sign_in()[0] == 0, "another user is not let in"
    other.close()
    assert page.sign_in()[0] == 200
    again = Page(m, ui.url)
    assert again.sign_in()[0] == 401, "a code is good once"
    again.close()
    assert page.good("GET", "/session")["owner"] is True and page.questions() == []
    assert page.ask("GET", "/machines")[0] == 409, "there is no clan that could be asked"
    for name in ("", "no/name", "x" * 40):
        assert page.ask("POST", "/first/create", {"name": name})[0] == 400, name
    # a second one hands over to the first: another code for the same page
    twice = m.clan("ui", "--print").stdout.strip()
    assert twice.startswith(page.origin) and twice != ui.url
    made = page.good("POST", "/first/create", {"name": "garden", "machine": "nas"})
    assert made["petname"] == "garden" and len(re.split(r"[ -]", made["words"])) == 12, made
    key = open(f"{m.dir}/home/.config/clan/garden-admin.key").read()
    assert "entropy" in key and m.standing() == "member"
    # the words are shown once; the address of the clan's own dashboard comes again, with a new code
    more = page.good("POST", "/first/create", {"name": "garden", "machine": "nas"})
    assert more["words"] == "" and more["petname"] == "garden" and more["url"] != made["url"]
    own = Page(m, more["url"])
    assert own.sign_in()[0] == 200 and [r["name"] for r in own.good("GET", "/machines")["machines"]] == ["nas"]
    assert own.good("GET", "/mode")["mode"] == "clan" and own.ask("GET", "/join")[0] == 404
    own.close()
    assert page.ask("DELETE", "/session")[0] == 200 and page.ask("GET", "/join")[0] == 401
    code, err = ui.end()
    assert code == 0, err
    left = os.listdir(f"{m.dir}/home/.config/clan/run")
    assert "open.sock" not in left and not [n for n in left if n.endswith(".html")], left
    # from now on it is the clan's dashboard
    own = Page(m, m.clan("ui", "--print").stdout.strip())
    assert own.origin.endswith(":7180") and own.sign_in()[0] == 200
    own.close()


def test_a_link_is_answered_in_the_browser(lab, shows):
    nas, laptop = L.up(granted(lab, "nas")), granted(lab, "laptop")
    link, second = L.invite(nas, "--for", "laptop"), L.invite(nas, "--for", "other")
    asks = shows(laptop, "open", "-", input=link + "\n")
    page = asks.page
    assert page.good("GET", "/mode")["mode"] == "join" and page.sign_in()[0] == 200
    q = page.until("ask")
    assert q["endpoints"] == [f"{nas.address}:7117"] and q["facts"] is None, q
    # more links wait, each once, eight at most
    assert "asks about it" in laptop.clan("open", "-", input=second + "\n").stderr
    laptop.clan("open", "-", input=second + "\n")
    assert [r["step"] for r in page.questions()] == ["ask", "waits"]
    waiting = page.questions()[1]["id"]
    assert page.ask("POST", f"/join/{waiting}", {"act": "ask"})[0] == 409, "one after the other"
    for port in range(6):
        laptop.clan("open", "-", input=changed(link, "10.77.0.9", 8000 + port) + "\n")
    full = laptop.clan("open", "-", input=changed(link, "10.77.0.9", 9000) + "\n", check=False)
    assert full.returncode != 0 and "8 invitations wait" in full.stderr, full.stderr
    # no yes to facts that nobody saw, no answer to what is not asked
    assert page.ask("POST", f"/join/{q['id']}", {"act": "yes", "as": "home"})[0] == 409
    assert page.ask("POST", "/join/999", {"act": "ask"})[0] == 404
    assert page.ask("POST", f"/join/{q['id']}", {"act": "perhaps"})[0] == 400
    page.good("POST", f"/join/{q['id']}", {"act": "ask"})
    facts = page.until("facts")["facts"]
    assert facts["clan"] == "home" and facts["words"] == L.words(nas) and facts["for_name"] == "laptop", facts
    assert page.ask("POST", f"/join/{q['id']}", {"act": "yes", "as": "No Name"})[0] == 400
    page.good("POST", f"/join/{q['id']}", {"act": "yes", "as": "anna"})
    page.until("joined")
    url = L.wait_for(lambda: page.questions()[0]["url"], what="the address of the clan's dashboard")
    own = Page(laptop, url)
    assert own.sign_in()[0] == 200 and {r["name"] for r in own.good("GET", "/machines")["machines"]} == {"nas", "laptop"}
    own.close()
    assert laptop.json("status")[-1]["petname"] == "anna"
    # no to all that waits, and there is nothing left to show pages for
    for row in page.questions():
        page.good("POST", f"/join/{row['id']}", {"act": "no"})
    assert page.questions() == []
    page.close()
    asks.page = None
    assert asks.process.wait(20) == 0


def changed(link, address, port, *more):
    """The link with endpoints of another's choice, which its author could have made just so."""
    raw = bytearray(base64.b32decode(link.split("/")[-1] + "=" * (-len(link.split("/")[-1]) % 8)))
    at = 1 + 32 + 16 + 4 + 16  # behind it: how many endpoints, and each
    both = [(address, port), *more]
    ips = [(ipaddress.ip_address(a), p) for a, p in both]
    raw[at:-4] = bytes([len(both)]) + b"".join(bytes([0, ip.version]) + ip.packed + p.to_bytes(2, "big") for ip, p in ips) + b"\0"
    raw[-4:] = hashlib.blake2b(bytes(raw[:-4]), digest_size=32).digest()[:4]
    return "clan://join/" + base64.b32encode(bytes(raw)).decode().rstrip("=")


def packets(m):
    found = re.findall(r"counter packets (\d+)", m.sh("nft list table inet probe").stdout)
    return sum(map(int, found))


def test_nothing_is_dialled_but_what_may_be(lab, shows):
    nas, laptop = L.up(lab.machine("nas")), granted(lab, "laptop")
    link = L.invite(nas)
    laptop.sh(f"ip route add default via {nas.address}; nft add table inet probe; "
              "nft add chain inet probe out '{ type filter hook output priority -300; }'; "
              "nft add rule inet probe out ip daddr 10.99.0.0/16 counter; nft add rule inet probe out tcp dport 6379 counter; "
              f"nft add rule inet probe out ip daddr {nas.address} counter")
    for address in ("127.0.0.1", "169.254.7.7", "224.0.0.1", "0.0.0.0"):
        bad = laptop.clan("open", "--print", "-", input=changed(link, address, 6379) + "\n", check=False)
        assert bad.returncode == 2 and "is refused" in bad.stderr and bad.stdout == "", (address, bad)
    assert laptop.clan("open", "--print", "-", input="clan://join/AAAA\n", check=False).returncode == 2
    # a private address of another network: asked about, and refused after the yes, still without a packet
    asks = shows(laptop, "open", "-", input=changed(link, "10.99.0.5", 6379) + "\n")
    page = asks.page
    assert page.sign_in()[0] == 200
    q = page.until("ask")
    assert q["endpoints"] == ["10.99.0.5:6379"]
    page.good("POST", f"/join/{q['id']}", {"act": "ask"})
    error = page.until("failed")["error"]
    assert "10.99.0.5" in error["what"] + error["why"], error
    assert packets(laptop) == 0
    # a good one, before its yes
    laptop.clan("open", "-", input=link + "\n")
    page.good("POST", f"/join/{q['id']}", {"act": "no"})
    q = page.until("ask")
    assert packets(laptop) == 0
    page.good("POST", f"/join/{q['id']}", {"act": "ask"})
    page.until("facts")
    assert packets(laptop) > 0, "what counts packets counts"


# Whoever connects to one of these ports, at any address of the machine, is a line.
LISTENS = r"""
import selectors, socket, sys
asked = selectors.DefaultSelector()
for port in sys.argv[1:]:
    s = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
    asked.register(s, selectors.EVENT_READ)
print("listens", flush=True)
while True:
    for key, _ in asked.select():
        c, who = key.fileobj.accept()
        print(who[0], c.getsockname()[:2], flush=True)
        c.close()
"""


class Listens:
    def __init__(self, m, *ports):
        self.path = f"{m.dir}/heard"
        with open(self.path, "w") as out:
            self.process = m.popen("/usr/bin/python3", "-c", LISTENS, *ports, stdout=out)
        L.wait_for(lambda: "listens" in open(self.path).read(), what="the listener")

    def heard(self):
        return open(self.path).read().splitlines()[1:]

    def close(self):
        self.process.kill()
        self.process.wait()


def test_nobody_hears_of_a_link_before_the_first_yes(lab, shows):
    nas, desk, laptop = L.up(lab.machine("nas")), lab.machine("desk", start=False), granted(lab, "laptop")
    link, six = L.invite(nas), L.words(nas)
    laptop.sh("ip addr add fd77::7/64 dev eth0 nodad")
    here, there = Listens(laptop, "22", "7180"), Listens(desk, "22")
    laptop.sh("echo | timeout 2 bash -c 'cat >/dev/tcp/127.0.0.1/22'", check=False)
    L.wait_for(here.heard, what="that a listener hears")
    count = len(here.heard())

    def joined(*endpoints):
        """Every question is answered with yes."""
        text = changed(link, *endpoints[0], *endpoints[1:]) + "\n"
        return laptop.clan("join", "-", "--yes", "--fingerprint", six, input=text, check=False)

    # loopback in each of its forms: by no command, and whatever is answered
    for address in ("127.0.0.1", "127.64.117.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1"):
        for port in (22, 7180):
            text = changed(link, address, port) + "\n"
            for bad in (laptop.clan("open", "--print", "-", input=text, check=False), joined((address, port))):
                assert bad.returncode == 2 and "is refused" in bad.stderr and bad.stdout == "", (address, bad)
    # the machine by other names; a link of two endpoints is no way to reach one of them
    for address in (laptop.address, f"::ffff:{laptop.address}", "fd77::7"):
        bad = joined((address, 22))
        assert bad.returncode != 0 and "this computer itself" in bad.stderr, (address, bad)
        assert joined(("127.0.0.1", 22), (address, 7180)).returncode != 0
    assert here.heard()[count:] == [] and there.heard() == []
    # a neighbour in the same network may be a door: not before the first yes, and loopback beside it never
    asks = shows(laptop, "open", "-", input=changed(link, "127.0.0.1", 22, (desk.address, 22)) + "\n")
    page = asks.page
    assert page.sign_in()[0] == 200
    q = page.until("ask")
    assert q["endpoints"] == [f"{desk.address}:22"], q
    assert there.heard() == []
    page.good("POST", f"/join/{q['id']}", {"act": "ask"})
    page.until("failed")
    assert len(there.heard()) in range(1, 10), there.heard()
    assert here.heard()[count:] == []
    asks.end()
    # what a clan reaches is no network that another clan's link may name
    L.up(laptop, "mine")
    own = laptop.json("status")[-1]["address"]
    for address in (own, str(ipaddress.ip_address(own) + 1)):
        bad = joined((address, 22))
        assert bad.returncode != 0 and "private network" in bad.stderr, (address, bad)
    assert here.heard()[count:] == []
    here.close()
    there.close()


def test_a_link_in_a_command_line_is_wiped(lab, shows):
    nas, laptop = L.up(lab.machine("nas")), granted(lab, "laptop")
    link = L.invite(nas)
    asks = shows(laptop, "open", link)
    lines = [open(f"/proc/{p}/cmdline").read() for p in laptop.pids(rf"^{L.PREFIX}/bin/clan open")]
    assert lines and not [text for text in lines if link[20:] in text], lines
    assert asks.page.sign_in()[0] == 200 and len(asks.page.questions()) == 1


BROWSER = """#!/bin/sh
echo "$@" >"$SEEN.args"; ls -l "${1#file://}" >"$SEEN.mode"; cp "${1#file://}" "$SEEN.page"; echo done >"$SEEN"
"""


def test_the_browser_gets_no_code_in_its_command_line(lab, shows, tmp_path):
    m = granted(lab, "nas")
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(BROWSER)
    browser.chmod(0o755)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    process = m.popen("env", f"BROWSER={browser} %s", f"SEEN={seen}", f"XDG_RUNTIME_DIR={runtime}", f"{L.PREFIX}/bin/clan", "ui",
                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    L.wait_for(seen.exists, what="the browser")
    arguments = (tmp_path / "seen.args").read_text()
    assert arguments.startswith(f"file://{runtime}/clan/open-") and "code=" not in arguments
    assert (tmp_path / "seen.mode").read_text().startswith("-rw-------")
    page = Page(m, re.search(r"url=(http://[^\"]+)", (tmp_path / "seen.page").read_text())[1])
    assert page.sign_in()[0] == 200
    page.close()
    for pid in m.pids(rf"^{L.PREFIX}/bin/clan ui"):
        os.kill(pid, signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and "code=" not in out + err, (out, err)


def test_a_code_never_goes_into_a_journal(lab, tmp_path):
    m, seen = granted(lab, "nas"), tmp_path / "seen"
    (tmp_path / "zenity").write_text(ZENITY)
    (tmp_path / "zenity").chmod(0o755)
    for shell in ("sh", "env"):
        (tmp_path / shell).symlink_to(f"/usr/bin/{shell}")

    def clicked(path):
        """As a desktop starts it: no terminal, and what is printed lands in a file that others collect."""
        return m.run("env", "BROWSER=", "DISPLAY=:9", f"PATH={path}", "ANSWER=0", f"SEEN={seen}", "timeout", "20",
                     f"{L.PREFIX}/bin/clan", "ui", check=False)

    (tmp_path / "timeout").symlink_to("/usr/bin/timeout")
    (tmp_path / "without").mkdir()
    for tool in ("env", "timeout"):
        (tmp_path / "without" / tool).symlink_to(f"/usr/bin/{tool}")
    for clan in (False, True):
        if clan:
            L.up(m)
            L.wait_for(lambda: m.clan("ui", "--print", check=False).returncode == 0, what="the dashboard")
        seen.unlink(missing_ok=True)
        for path in (tmp_path, tmp_path / "without"):
            ui = clicked(path)
            assert ui.returncode == 2 and ui.stdout == "" and "code=" not in ui.stderr, ui
            assert "no browser can be opened" in ui.stderr and "in a terminal" in ui.stderr, ui.stderr
        shown = seen.read_text()
        assert shown.count("--error") == 1 and "'clan ui' in a terminal" in shown and "127." not in shown, shown


# Takes every address but some, on the only port that is given out, as another user.
SQUATS = r"""
import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
os.setgid(4343) or os.setuid(4343)
port, *free = map(int, sys.argv[1:])
kept = [socket.create_server((f"127.96.117.{i}", port)) for i in range(1, 255) if i not in free]
print("sits", flush=True)
sys.stdin.read()
"""


def test_who_sits_at_the_address_before_us(lab, shows):
    m = granted(lab, "nas")

    def squats(*port_and_free):
        p = m.popen("/usr/bin/python3", "-c", SQUATS, *port_and_free, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert p.stdout.readline() == "sits\n"
        return p

    def ports(first, last):
        m.sh(f"echo {first} {last} >/proc/sys/net/ipv4/ip_local_port_range")

    other = squats("45000", "77")
    ports(45000, 45000)
    ui = shows(m, "ui")
    ports(32768, 44999)
    assert ui.page.origin == "http://127.96.117.77:45000" and ui.page.sign_in()[0] == 200
    ui.end()
    other.communicate()
    # none is left: no address is printed that somebody else answers
    other = squats("45001")
    ports(45001, 45001)
    none = m.clan("ui", "--print", check=False)
    assert none.returncode == 1 and none.stdout == "" and "127.96.117.*" in none.stderr, none
    other.communicate()


def test_desktops_find_the_handler(lab):
    m = lab.machine("nas", start=False)
    share = f"{L.PREFIX}/share"
    text = open(f"{share}/applications/clan.desktop").read()
    assert "MimeType=x-scheme-handler/clan;" in text and "NoDisplay=true" in text and " open %u" in text, text
    assert " ui" in open(f"{share}/applications/clan-ui.desktop").read()
    config = f"{m.dir}/home/.config"
    os.makedirs(config, exist_ok=True)

    def says(handler):
        with open(f"{config}/mimeapps.list", "w") as f:
            f.write("[Added Associations]\nx-scheme-handler/clan=wrong.desktop\n"
                    f"[Default Applications]\n{handler}\n")
        return m.run("env", "DISPLAY=:9", "BROWSER=", f"XDG_DATA_DIRS={m.dir}", f"{L.PREFIX}/bin/clan", "ui", check=False).stderr

    assert "another program here, other.desktop" in says("x-scheme-handler/clan=other.desktop;clan.desktop;")
    assert "xdg-mime default clan.desktop" in says("x-scheme-handler/clan=other.desktop;")
    assert "xdg-mime" not in says("x-scheme-handler/clan=clan.desktop;other.desktop;")
    assert "not opened by Clan here yet" in says("text/plain=x.desktop")


@pytest.fixture
def terminals():
    running = []

    def start(*args, **kw):
        running.append(Terminal(*args, **kw))
        return running[-1]

    yield start
    for s in running:
        s.end()


def proposal(page, number):
    return next((p for p in page.good("GET", "/proposals")["proposals"] if p["id"] == number), None)


def test_a_page_asks_and_a_person_signs(lab, terminals):
    m = L.up(granted(lab, "nas"))
    url = L.wait_for(lambda: m.clan("ui", "--print", check=False).stdout.strip(), what="the dashboard")
    page = Page(m, url)
    assert page.sign_in()[0] == 200
    if page.ask("GET", "/proposals")[0] == 503:
        pytest.skip("this core keeps no requests")
    other = Page(m, m.clan("ui", "--print").stdout.strip())
    assert other.sign_in()[0] == 200
    for words in (["enable", "files", "--yes"], ["invite", "--key", "k"], ["leave"], ["config", "apply", "/etc/passwd"], []):
        assert page.ask("POST", "/proposals", {"words": words})[0] == 400, words
    invite = page.good("POST", "/proposals", {"words": ["invite", "--for", "laptop"]})["id"]
    assert not proposal(page, invite)["signer"]
    terminal = terminals(m, "sign", "--watch")
    shown = terminal.until("Sign this? [y/N] ")
    assert "clan invite --for laptop" in shown and "whoever has it can join" in shown, shown
    L.wait_for(lambda: proposal(page, invite)["state"] == "taken", what="the question")
    assert proposal(page, invite)["signer"] and m.json("invite", "list")[-1]["invitations"] == []
    terminal.type("y")
    assert "clan://" not in terminal.until("signed; the link")
    done = L.wait_for(lambda: proposal(page, invite) if proposal(page, invite)["state"] == "done" else None, what="the link")
    assert done["result"].startswith("clan://join/"), done
    assert proposal(other, invite)["result"] == "", "another session of the same user does not get the link"
    assert [i["for"] for i in m.json("invite", "list")[-1]["invitations"]] == ["laptop"]
    # no: nothing changes; what is shown is what would change
    version = m.json("status")[-1]["config_version"]
    enable = page.good("POST", "/proposals", {"words": ["enable", "files", "--on", "nas"]})["id"]
    assert re.search(r"\+ .*files", terminal.until("Sign this? [y/N] "))
    terminal.type("n")
    terminal.until("nothing was signed")
    refused = L.wait_for(lambda: proposal(page, enable) if proposal(page, enable)["state"] == "refused" else None, what="the no")
    assert "files" in refused["text"] and m.json("status")[-1]["config_version"] == version
    # a text, with a mistake and without
    text = m.clan("config", "show").stdout
    bad = page.good("POST", "/proposals", {"words": ["config", "apply"], "text": text + "nonsense: 1\n"})["id"]
    L.wait_for(lambda: proposal(page, bad)["state"] == "failed", what="the mistake")
    assert "nonsense" in proposal(page, bad)["text"]
    good = page.good("POST", "/proposals", {"words": ["config", "apply"], "text": text + "\n# by the page\n"})["id"]
    assert "by the page" in terminal.until("Sign this? [y/N] ")
    # taken back while the question stands: a yes signs nothing
    assert page.ask("DELETE", f"/proposals/{good}")[0] == 200
    terminal.type("y")
    terminal.until("taken back meanwhile")
    good = page.good("POST", "/proposals", {"words": ["config", "apply"], "text": text + "\n# by the page\n"})["id"]
    terminal.until("Sign this? [y/N] ")
    terminal.type("yes")
    L.wait_for(lambda: proposal(page, good)["state"] == "done", what="the new version")
    assert "by the page" in m.clan("config", "show").stdout
    # the one at the terminal goes away in the middle: it waits for the next one, and the list is there without signing
    remove = page.good("POST", "/proposals", {"words": ["remove", "nas"]})["id"]
    terminal.until("Type nas to sign it: ")
    terminal.type("y")
    terminal.until("nothing was signed")
    again = page.good("POST", "/proposals", {"words": ["disable", "nothing-there"]})["id"]
    L.wait_for(lambda: proposal(page, again)["state"] == "failed", what="what cannot be done")
    last = page.good("POST", "/proposals", {"words": ["enable", "files"]})["id"]
    terminal.until("Sign this? [y/N] ")
    terminal.end()
    L.wait_for(lambda: proposal(page, last)["state"] == "waiting", what="the request waits again")
    assert [p["state"] for p in m.json("sign")[-1]["proposals"] if p["id"] in (remove, last)] == ["refused", "waiting"]
    once = terminals(m, "sign")
    once.until("Sign this? [y/N] ")
    once.type("y")
    once.until("is in force")
    assert once.process.wait(30) == 0
    page.close()
    other.close()


def asking(lab):
    """A machine in a clan, and a page that is signed in to it."""
    m = L.up(granted(lab, "nas"))
    page = Page(m, L.wait_for(lambda: m.clan("ui", "--print", check=False).stdout.strip(), what="the dashboard"))
    assert page.sign_in()[0] == 200
    return m, page


def test_a_line_typed_before_the_question_is_no_answer(lab, terminals):
    m, page = asking(lab)
    terminal = terminals(m, "sign", "--watch")
    terminal.until("comes here")
    terminal.type("y")
    terminal.type("y")
    terminal.until("y\r\ny\r\n")
    enable = page.good("POST", "/proposals", {"words": ["enable", "files", "--on", "nas"]})["id"]
    terminal.until("Sign this? [y/N] ")
    terminal.type("n")
    terminal.until("nothing was signed")
    L.wait_for(lambda: proposal(page, enable)["state"] == "refused", what="the no")
    page.close()


def test_what_is_signed_is_what_was_shown(lab, terminals):
    m, page = asking(lab)
    text, version = m.clan("config", "show").stdout, m.json("status")[-1]["config_version"]
    text = text.replace(f"version: {version}\n", f"version: {version + 1}\n")
    terminal = terminals(m, "sign", "--watch")
    asked = page.good("POST", "/proposals", {"words": ["config", "apply"], "text": text + "# by the page\n"})["id"]
    shown = terminal.until("Sign this? [y/N] ")
    assert "+# by the page" in shown and "-services" not in shown, shown
    # somebody else signs that very version meanwhile: the text would take it back, which nobody was shown
    m.clan("enable", "files", "--on", "nas", "--yes")
    terminal.type("y")
    terminal.until("changed meanwhile; nothing was signed")
    L.wait_for(lambda: proposal(page, asked)["state"] == "failed", what="the end of the request")
    assert "files" in m.clan("config", "show").stdout and "by the page" not in m.clan("config", "show").stdout
    page.close()


def test_the_terminal_asks_where_no_page_can(lab, terminals):
    nas, laptop = L.up(lab.machine("nas")), lab.machine("laptop")
    asked = terminals(laptop, "open", L.invite(nas, "--for", "laptop"), env=("BROWSER=", "DISPLAY=", "WAYLAND_DISPLAY="))
    shown = asked.until("Contact it? [y/N] ")
    assert f"{nas.address}:7117" in shown and "Nothing has been" in shown, shown
    asked.type("y")
    assert L.words(nas) in asked.until("Join? [y/N] ")
    asked.type("y")
    asked.until("joined in ")
    assert asked.process.wait(20) == 0


ZENITY = """#!/bin/sh
for word in "$@"; do echo "$word"; done >>"$SEEN"
exit "$ANSWER"
"""


def test_a_window_asks_where_no_terminal_is(lab, tmp_path):
    nas, laptop = L.up(lab.machine("nas")), lab.machine("laptop")
    (tmp_path / "zenity").write_text(ZENITY)
    (tmp_path / "zenity").chmod(0o755)
    for shell in ("sh", "env"):
        (tmp_path / shell).symlink_to(f"/usr/bin/{shell}")

    def opened(answer):
        return laptop.run("env", "BROWSER=", "DISPLAY=:9", f"PATH={tmp_path}", f"ANSWER={answer}", f"SEEN={tmp_path}/seen",
                          f"{L.PREFIX}/bin/clan", "open", "-", input=link + "\n", check=False)

    link = L.invite(nas, "--for", "laptop")
    assert opened(1).returncode != 0
    seen = (tmp_path / "seen").read_text()
    assert seen.count("--no-markup") == 1 and f"{nas.address}:7117" in seen and link[30:] not in seen, seen
    (tmp_path / "seen").unlink()
    assert opened(0).returncode == 0
    seen = (tmp_path / "seen").read_text()
    assert seen.count("--question") == 2 and L.words(nas) in seen and "Join?" in seen, seen
    assert seen.count("The link asks") == 1, "a question does not repeat what the one before said"
    assert laptop.standing() == "member"


def test_the_browser_is_opened_and_the_terminal_signs(lab, terminals, tmp_path):
    m = L.up(granted(lab, "nas"))
    L.wait_for(lambda: m.clan("ui", "--print", check=False).returncode == 0, what="the dashboard")
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(BROWSER)
    browser.chmod(0o755)
    t = terminals(m, "ui", env=(f"BROWSER={browser}", f"SEEN={seen}"))
    t.until("Ctrl-C ends this" if m.clan("--json", "sign", check=False).returncode == 0 else "signed where that key is")
    L.wait_for(seen.exists, what="the browser")
    page = Page(m, re.search(r"url=(http://[^\"]+)", (tmp_path / "seen.page").read_text())[1])
    assert page.origin.endswith(":7180") and page.sign_in()[0] == 200
    page.close()
    without = terminals(m, "ui", "--no-sign", env=(f"BROWSER={browser}", f"SEEN={seen}"))
    assert without.process.wait(20) == 0
