"""clan.yaml and machine.yaml by hand: checking, showing, comparing, applying, and what is wrong with a plugin."""

import os
import re
import shutil
import struct
import subprocess
import time

import pytest

import lab as L
from terminal import Terminal


def build(lab):
    nas, laptop = lab.machine("nas"), lab.machine("laptop")
    L.up(nas)
    L.admit(nas, laptop)
    for name in ("photos", "notes"):
        nas.clan("enable", "files", "--as", name, "--on", "nas", "--yes")
    for name in ("photos", "notes"):
        L.wait_for(lambda name=name: laptop.curl(f"http://{name}.home.clan/", check=False).returncode == 0, what=name)
    return nas, laptop


@pytest.fixture
def two(shelf):
    return shelf.take(build)


def text(m):
    return m.clan("config", "show").stdout


def write(m, content, name="clan.yaml"):
    path = f"{m.dir}/home/{name}"
    with open(path, "w") as f:
        f.write(content)
    return path


def version(m):
    return m.json("status")[-1]["config_version"]


def test_what_a_plugin_asks(lab):
    nas = L.up(lab.machine("nas"))
    head = version(nas)
    t = Terminal(nas, "enable", "files", "--as", "music", "--on", "nas", "--dry-run")
    try:
        t.until("What is its page called? [Shared files] ")
        t.type("x" * 65)
        t.until("at most 64 bytes was expected")
        t.until("What is its page called? [Shared files] ")
        t.type("Our music")
        t.until("May the others only read? (true, false) [false] ")
        t.type("yes")
        t.until("settings: {title: \"Our music\", read_only: true}")
        t.until("nothing was changed")
    finally:
        t.end()
    # what is the preset anyhow is not written; nobody is asked who is not there, or says --yes
    dry = nas.json("enable", "files", "--as", "music", "--on", "nas", "--set", "title=Shared files", "--set", "read_only=true", "--dry-run")
    assert "settings: {read_only: true}\n" in dry[-1]["config"]
    with pytest.raises(L.Failed, match="has no setting \"titel\"(.|\n)*it has title, read_only"):
        nas.clan("enable", "files", "--as", "music", "--set", "titel=x", "--yes")
    with pytest.raises(L.Failed, match="true or false was expected"):
        nas.clan("enable", "files", "--as", "music", "--set", "read_only=perhaps", "--yes")
    assert version(nas) == head
    nas.clan("enable", "files", "--as", "music", "--on", "nas", "--set", "title=Größe & \"Klang\"", "--yes")
    page = L.wait_for(lambda: nas.curl("http://music.home.clan/.clan/settings.json", check=False).stdout, what="the page's settings")
    assert "Größe & \\\"Klang\\\"" in page or "Gr\\u00f6\\u00dfe" in page, page
    asks = next(p for p in nas.json("plugin", "list")[-1]["plugins"] if p["plugin"] == "files")
    assert "it asks" not in str(asks) and "What is its page called? [Shared files]  --set title=..." in nas.clan("plugin", "show", "files").stdout


def test_check_show_diff_log_apply(two):
    nas, laptop = two
    now, before = version(nas), text(nas)
    assert text(laptop) == before
    assert nas.clan("config", "check", write(nas, before)).stdout.strip().endswith(f"clan home, version {now}, 1 machine, 2 services")
    edited = before.replace("services:\n", "# a comment of ours\nservices:\n").replace("    plugin: files\n", "    plugin: files   # here too\n", 1)
    path = write(nas, edited)
    diff = nas.clan("config", "diff", path).stdout
    assert "+# a comment of ours" in diff and "-    plugin: files\n+    plugin: files   # here too" in diff
    dry = nas.clan("config", "apply", path, "--dry-run")
    assert "nothing was changed" in dry.stderr and version(nas) == now
    nas.clan("config", "apply", path, "--yes")
    after = text(nas)
    assert after == edited.replace(f"version: {now}\n", f"version: {now + 1}\n")  # comments and order stay
    L.wait_for(lambda: text(laptop) == after, what="the laptop has it")
    log = nas.json("config", "log")[-1]["versions"]
    assert [v["version"] for v in log][-2:] == [now, now + 1] and log[-1]["signers"] == ["root"]
    assert nas.clan("config", "show", str(now)).stdout == before
    assert "+# a comment of ours" in nas.clan("config", "diff", str(now), str(now + 1)).stdout
    assert "+# a comment of ours" in laptop.clan("config", "diff").stdout


def test_apply_refuses_with_words(two):
    nas, laptop = two
    now = version(nas)
    old = nas.clan("config", "show", str(now - 1)).stdout
    stale = nas.clan("config", "apply", write(nas, old), "--yes", check=False)
    assert stale.returncode != 0 and "start from `clan config show` again" in stale.stderr, stale.stderr
    wrong = write(nas, text(nas).replace("allow: [all]", "alow: [all]", 1))
    result = nas.clan("config", "apply", wrong, "--yes", check=False)
    assert result.returncode == 2 and re.search(r'clan\.yaml:\d+:\d+: error: .*did you mean "allow"', result.stderr), result.stderr
    keyless = laptop.clan("config", "apply", write(laptop, text(laptop).replace("allow: [all]", "allow: [nas]", 1)), "--yes", check=False)
    assert keyless.returncode != 0 and "key" in keyless.stderr and "do:" in keyless.stderr, keyless.stderr
    assert version(nas) == now


def of_service(m, name):
    """Pids of the service's host and of its program, by the host's working directory on the machine."""
    hosts = m.pids(f"^clan-host files {name} ")
    return hosts


def test_one_service_changes_the_other_lives_on(two):
    nas, laptop = two
    hosts = {n: of_service(nas, n) for n in ("photos", "notes")}
    web, others = set(nas.pids("lighttpd")), set(nas.pids("^clan-(core|link|resolver|keeper)|^clan-host tcp"))
    assert all(len(h) == 1 for h in hosts.values()) and len(web) == 2
    changed = re.sub(r"(  notes:\n    plugin: files.*\n)", r"\1    settings: {read_only: true}\n", text(nas))
    assert changed != text(nas)
    nas.clan("config", "apply", write(nas, changed), "--yes")
    L.wait_for(lambda: of_service(nas, "notes") not in ([], hosts["notes"]), what="notes starts anew")
    L.wait_for(lambda: laptop.curl("http://notes.home.clan/", check=False).returncode == 0, what="notes")
    assert laptop.sh("echo x | curl -gsS --fail -T - http://notes.home.clan/x", check=False).returncode != 0  # the setting counts
    assert of_service(nas, "photos") == hosts["photos"]
    assert len(set(nas.pids("lighttpd")) & web) == 1
    # who may use it is the firewall's matter: nothing restarts
    mine = of_service(nas, "notes")
    narrow = re.sub(r"(  notes:\n(?:    .*\n)*?    allow: )\[all\]", r"\1[nas]", text(nas))
    assert narrow != text(nas)
    nas.clan("config", "apply", write(nas, narrow), "--yes")
    L.wait_for(lambda: laptop.curl("http://notes.home.clan/", check=False, timeout=2).returncode == 7, what="notes is closed to the laptop")
    assert laptop.curl("http://photos.home.clan/").returncode == 0
    assert of_service(nas, "notes") == mine and of_service(nas, "photos") == hosts["photos"]
    # and gone is gone, alone
    nas.clan("disable", "notes", "--yes")
    L.wait_for(lambda: not of_service(nas, "notes"), what="notes has ended")
    L.wait_for(lambda: len(nas.pids("lighttpd")) == 1, what="its program too")
    assert of_service(nas, "photos") == hosts["photos"]
    assert set(nas.pids("^clan-(core|link|resolver|keeper)|^clan-host tcp")) == others


def test_a_machine_that_was_off_catches_up(two):
    nas, laptop = two
    laptop.off()
    said = nas.clan("machines", "rename", "laptop", "notebook", "--yes")
    assert "1 of 2" in said.stdout + said.stderr and "laptop" in said.stdout + said.stderr, said.stdout + said.stderr
    nas.clan("enable", "files", "--as", "late", "--on", "nas", "--yes")
    now = version(nas)
    laptop.start(apply=False)
    L.wait_for(lambda: laptop.clan("status", check=False).returncode == 0, what="the laptop")
    L.wait_for(lambda: version(laptop) == now, what="the laptop has the newest version")
    assert text(laptop) == text(nas)
    assert laptop.json("status")[-1]["machine"] == "notebook"
    L.wait_for(lambda: laptop.curl("http://late.home.clan/", check=False).returncode == 0, what="the service that it missed")
    acked = lambda: [m["acked_version"] for m in nas.json("machines")[-1]["machines"] if not m["self"]]
    L.wait_for(lambda: acked() == [now], what="its acknowledgement")
    nas.clan("machines", "rename", "notebook", "laptop", "--yes")  # as the other tests know it


# -- plugins --


def installed():
    for top, _, files in os.walk(f"{L.PREFIX}/lib/clan"):
        if "files.so" in files:
            return top
    raise FileNotFoundError("the plugins of CLAN_PREFIX")


def other_abi(data):
    """The same plugin, built for an ABI that is not ours."""
    head = struct.pack("<I", 0x434C414E) + b"Clan\0\0\0\0" + struct.pack("<I", 1)  # type, name, version of the note
    at = data.index(head) + len(head) + 8  # behind body_size and kind: major, minor
    return data[:at] + struct.pack("<HH", 77, 7) + data[at + 4:]


@pytest.fixture
def plugged(lab):
    """nas with a plugin directory of its own."""
    nas = lab.machine("nas", start=False)
    nas.plugins = f"{nas.dir}/plugins"
    shutil.copytree(installed(), nas.plugins)
    nas.apply = lambda *a: nas.clan("machine", "apply", "--yes", "--plugin-dir", nas.plugins, *a, check=False)
    nas.listed = lambda: {p["file"]: p for p in nas.json("machine", "plugins", "--plugin-dir", nas.plugins)[-1]["plugins"]}
    return nas


def begin(nas):
    assert nas.apply().returncode == 0
    nas.start("--plugin-dir", nas.plugins, apply=False)
    L.up(nas)


def test_plugins_that_cannot_be_used(plugged):
    nas = plugged
    good = open(f"{nas.plugins}/files.so", "rb").read()
    with open(f"{nas.plugins}/text.so", "w") as f:
        f.write("this is no library\n")
    with open(f"{nas.plugins}/cut.so", "wb") as f:
        f.write(good[: len(good) // 3])
    shutil.copy(f"{L.PREFIX}/bin/clan", f"{nas.plugins}/noplugin.so")
    with open(f"{nas.plugins}/newer.so", "wb") as f:
        f.write(other_abi(good))
    shutil.copy(f"{nas.plugins}/files.so", f"{nas.plugins}/a-stranger.so")  # takes the id of Clan's own
    begin(nas)
    said = nas.apply().stdout
    for file, why in (("text.so", "no ELF file"), ("cut.so", "cut off"), ("noplugin.so", "no.*note"), ("newer.so", "ABI|built for"),
                      ("a-stranger.so", "plugin of Clan itself")):
        assert re.search(f"({file}).*cannot be used, nothing is granted.*({why})", said), (file, said)
    rows = nas.listed()
    for file in ("text.so", "cut.so", "noplugin.so", "newer.so", "a-stranger.so"):
        assert rows[file]["state"] == "refused" and rows[file]["why"] and rows[file]["remedy"], rows[file]
    assert rows["tcp-noise.so"]["state"] == "up"  # nobody else suffers
    nas.clan("enable", "files", "--on", "nas", "--yes")
    assert next(p for p in nas.listed().values() if p["file"] == "files.so")["state"] == "up"


def test_unknown_not_granted_and_changed(plugged):
    nas = plugged
    write(nas, "version: 1\nplugins:\n  tcp-noise: {allow: [net.listen, \"net.connect:lan\"]}\nlisten: {tcp-noise: [\"0.0.0.0:7117\"]}\n", "m.yaml")
    machine = f"{nas.dir}/etc/machine.yaml"
    shutil.copy(f"{nas.dir}/home/m.yaml", machine)
    begin(nas)
    # a slip is refused, another name may come later
    slip = nas.clan("enable", "file", "--plugin-dir", nas.plugins, "--on", "nas", "--yes", check=False)
    assert slip.returncode == 2 and "did you mean \"files\"" in slip.stderr and not nas.json("services")[-1]["services"], slip
    # enabled by the clan, unknown here
    out = nas.clan("enable", "nothere", "--on", "nas", "--yes").stdout
    assert "nothere is not up yet" in out and "not installed here" in out and "do:" in out, out
    # installed, not named by the owner
    assert "is installed, but not named in machine.yaml: it does not run" in nas.apply().stdout
    row = nas.listed()["files.so"]
    assert row["state"] == "not granted" and "machine.yaml" in row["why"] + row["remedy"] and "fs.state" in row["asks"] and not row["granted"]
    out = nas.clan("enable", "files", "--on", "nas", "--yes").stdout
    assert "not granted" in out and "clan machine apply" in out, out
    # named, one permission short
    base = open(machine).read()
    with open(machine, "w") as f:
        f.write(base.replace("plugins:\n", "plugins:\n  files: {allow: [fs.state, net.service]}\n"))
    assert "files asks to run the program lighttpd, in a sandbox of its own (exec:lighttpd), not granted" in nas.apply().stdout
    row = nas.listed()["files.so"]
    assert set(row["asks"]) - set(row["granted"]) == {"exec:lighttpd"}
    L.wait_for(lambda: "exec:lighttpd" in nas.clan("services").stdout, what="the words at the service")
    with open(machine, "w") as f:
        f.write(base.replace("plugins:\n", "plugins:\n  files: {allow: [fs.state, net.service, \"exec:lighttpd\"]}\n"))
    assert nas.apply().returncode == 0
    L.wait_for(lambda: nas.listed()["files.so"]["state"] == "up", limit=30, what="files is up once granted")
    # another file than the owner agreed to
    with open(f"{nas.plugins}/files.so.new", "wb") as f:
        f.write(open(f"{nas.plugins}/files.so", "rb").read() + b"\0")
    os.rename(f"{nas.plugins}/files.so.new", f"{nas.plugins}/files.so")
    row = nas.listed()["files.so"]
    assert "another file than the owner agreed to" in row["why"] and "clan plugin grant files" in row["remedy"], row
    assert nas.apply().returncode == 0
    L.wait_for(lambda: nas.listed()["files.so"]["state"] == "up" and not nas.listed()["files.so"]["why"], limit=30, what="the new file runs")


def test_only_the_owner_can_go_on(two):
    """A plugin that the owner of another machine has not granted: said at once, nobody waits for it."""
    nas, laptop = two
    path = f"{laptop.dir}/etc/machine.yaml"
    granted = open(path).read()
    try:
        with open(path, "w") as f:
            f.write(re.sub(r"(?m)^ *files:.*\n", "", granted))
        laptop.clan("machine", "apply", "--yes")
        L.wait_for(lambda: "laptop" in [m["name"] for o in nas.json("machines") for m in o["machines"]], what="nas knows it")
        began = time.monotonic()
        said = nas.clan("enable", "files", "--as", "there", "--on", "laptop", "--yes").stdout
        took = time.monotonic() - began
        text = " ".join(said.split())
        assert "not granted" in text and "clan machine apply" in text and took < 8, (took, said)
        nas.clan("disable", "there", "--yes")
    finally:
        with open(path, "w") as f:
            f.write(granted)
        laptop.clan("machine", "apply", "--yes")


def test_processes_bear_the_name_of_the_clan(two):
    for m in two:  # one founded, one joined: neither was started again
        for program in ("clan-core", "clan-link"):
            assert m.pids(f"^{program} home$") and not m.pids(f"^{program} -"), program


def test_a_port_that_another_program_has(two):
    nas, laptop = two
    squatter = laptop.popen("python3", "-c", "import socket, time\ns = socket.socket(socket.AF_INET6)\n"
                         "s.bind(('::', 80))\ns.listen()\nprint('on', flush=True)\ntime.sleep(60)",
                         stdout=subprocess.PIPE)
    try:
        assert squatter.stdout.readline().strip() == "on"
        nas.clan("enable", "files", "--as", "late2", "--on", "laptop", "--yes")
        row = next(s for o in laptop.json("services") for s in o["services"] if s["name"] == "late2")
        assert row["state"] == "down" and "port 80" in row["why"] and "sport" in row["remedy"], row
    finally:
        squatter.kill()
        squatter.wait()
        nas.clan("disable", "late2", "--yes")
