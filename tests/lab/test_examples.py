"""The plugins of sdk/examples, built outside of the tree against the installed SDK, in clans that need them."""

import glob
import os
import re
import shutil
import subprocess

import pytest

import lab as L

EXAMPLES = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../sdk/examples"))
WEBSOCKET = 'websocket: {allow: [net.listen, "net.connect:lan", "net.connect:internet"]}'
TCP = 'tcp-noise: {allow: [net.listen, "net.connect:lan", "net.connect:internet"]}'
FILES = 'files: {allow: [fs.state, net.service, "exec:lighttpd"]}'
CALENDAR = 'radicale: {allow: [fs.state, net.service, "exec:radicale"]}'
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Clan//lab//EN
BEGIN:VEVENT
UID:feast
DTSTAMP:20260101T000000Z
DTSTART:20260704T180000Z
SUMMARY:Village feast
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def plugin_dir():
    found = glob.glob(f"{L.PREFIX}/lib*/clan/plugins-*") + glob.glob(f"{L.PREFIX}/lib/*/clan/plugins-*")
    assert len(found) == 1, found
    return found[0]


def build(name, compiler, out):
    """As a stranger does it; the example's own tests run too."""
    variable, flags = ("CXX", "CMAKE_CXX_FLAGS") if name == "radicale" else ("CC", "CMAKE_C_FLAGS")
    env = dict(os.environ, **{variable: compiler})
    for command in (
        ["cmake", "-S", f"{EXAMPLES}/{name}", "-B", out, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={L.PREFIX}", f"-D{flags}=-Werror"],
        ["ninja", "-C", out],
        ["ctest", "--test-dir", out, "--output-on-failure", "--no-tests=error"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return f"{out}/{name}.so"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A plugin directory with the examples beside what is installed."""
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    work = tmp_path_factory.mktemp("examples")
    work.chmod(0o755)
    directory = work / "plugins"
    shutil.copytree(plugin_dir(), directory)
    for name in ("websocket", "radicale"):
        shutil.copy(build(name, "g++" if name == "radicale" else "gcc", str(work / name)), directory)
    return str(directory)


def machine(lab, name, plugins, *grants, listen=""):
    m = lab.machine(name, start=False)
    m.sh(f"mount --bind {plugins} {plugin_dir()}")
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write("version: 1\nplugins:\n" + "".join(f"  {g}\n" for g in grants) + f"listen: {{{listen}}}\n")
    m.start()
    return m


def order(m, names):
    text = m.clan("config", "show").stdout
    path = f"{m.dir}/home/clan.yaml"
    with open(path, "w") as f:
        f.write(re.sub(r"order: \[[^]]*\]", f"order: [{names}]", text))
    m.clan("config", "apply", path, "--yes")


def path_to(m, name):
    """By which transport, as "clan machines" says it."""
    for o in m.json("machines"):
        for row in o.get("machines", []):
            if row["name"] == name:
                return row.get("path", "")
    return ""


@pytest.mark.parametrize("name,compiler", [("websocket", "clang"), ("radicale", "clang++")])
def test_builds_with_the_other_compiler(name, compiler, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    build(name, compiler, str(tmp_path / "b"))


def test_builds_with_make(tmp_path):
    """Without CMake: pkg-config says everything."""
    copy = tmp_path / "websocket"
    shutil.copytree(f"{EXAMPLES}/websocket", copy)
    pc = os.pathsep.join(glob.glob(f"{L.PREFIX}/lib/pkgconfig") + glob.glob(f"{L.PREFIX}/lib/*/pkgconfig"))
    done = subprocess.run(["make", "-C", copy, "CFLAGS=-O2 -Werror", "check"], env=dict(os.environ, PKG_CONFIG_PATH=pc),
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copy / "websocket.so").exists()


def test_only_websocket(lab, plugins):
    nas = machine(lab, "nas", plugins, WEBSOCKET, FILES, listen='websocket: ["0.0.0.0:7180"]')
    laptop = machine(lab, "laptop", plugins, WEBSOCKET)
    L.up(nas)
    order(nas, "websocket")
    L.admit(nas, laptop)
    for a, b in ((nas, laptop), (laptop, nas)):
        L.wait_for(lambda: a.ping(b.name, check=False).returncode == 0, what=f"{b.name} from {a.name}")
        assert path_to(a, b.name).startswith("websocket "), path_to(a, b.name)
        assert a.pids("^clan-host websocket") and not a.pids("^clan-host tcp-noise")
    nas.clan("enable", "files", "--on", "nas", "--yes")
    url = "http://files.home.clan/"
    L.wait_for(lambda: laptop.curl(url, check=False).returncode == 0, what="files on the laptop")
    # more than all buffers on the way
    sums = laptop.sh(f"head -c 20000000 /dev/urandom > {laptop.dir}/big && curl -gsS --fail -T {laptop.dir}/big {url}big && "
                     f"curl -gsS {url}big | sha256sum && sha256sum < {laptop.dir}/big").stdout.split()
    assert sums[0] == sums[2], sums
    # streams end with the plugin's process; new ones come
    for pid in nas.pids("^clan-host websocket"):
        os.kill(pid, 9)
    L.wait_for(lambda: laptop.ping("nas", check=False).returncode == 0
               and laptop.curl(url, check=False, timeout=3).returncode == 0, what="the clan after the plugin was killed")


def test_beside_tcp(lab, plugins):
    """Each machine is reached by what it has."""
    nas = machine(lab, "nas", plugins, WEBSOCKET, TCP, listen='websocket: ["0.0.0.0:7180"], tcp-noise: ["0.0.0.0:7117"]')
    laptop = machine(lab, "laptop", plugins, WEBSOCKET)
    phone = machine(lab, "phone", plugins, TCP)
    L.up(nas)
    order(nas, "websocket, tcp-noise")
    # a link names what the machine is reached by at that moment
    L.wait_for(lambda: "reachable at 2 addresses" in nas.log(), what="an endpoint of each transport")
    for m, transport in ((laptop, "websocket"), (phone, "tcp-noise")):
        L.admit(nas, m)
        L.wait_for(lambda: m.ping("nas", check=False).returncode == 0, what=f"nas from {m.name}")
        L.wait_for(lambda: path_to(m, "nas").startswith(transport + " "), what=f"{transport} from {m.name}")


def dav(m, method, path, *args, **kw):
    return m.run("curl", "-gsS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, *args,
                 "http://calendar.home.clan" + path, **kw).stdout


def test_calendar(lab, plugins):
    if subprocess.run(["/usr/bin/python3", "-I", "-c", "import radicale"], capture_output=True).returncode != 0:
        pytest.skip("Radicale is not installed (apt install radicale)")
    nas = machine(lab, "nas", plugins, TCP, CALENDAR, listen='tcp-noise: ["0.0.0.0:7117"]')
    laptop = machine(lab, "laptop", plugins, TCP)
    L.up(nas)
    L.admit(nas, laptop)
    nas.clan("enable", "radicale", "--as", "calendar", "--on", "nas", "--yes")
    L.wait_for(lambda: dav(laptop, "PROPFIND", "/clan/", check=False) == "207", limit=30, what="the calendar on the laptop")
    assert dav(laptop, "MKCALENDAR", "/clan/school/") == "201"
    assert dav(laptop, "PUT", "/clan/school/feast.ics", "-H", "Content-Type: text/calendar", "--data-binary", "@-", input=EVENT) == "201"
    feast = "http://calendar.home.clan/clan/school/feast.ics"
    assert "SUMMARY:Village feast" in nas.curl(feast).stdout
    assert "SUMMARY:Village feast" in laptop.curl(feast).stdout
    assert dav(laptop, "PROPFIND", "/clan/", "-H", "Host: evil.example") == "403"
    before = nas.pids("serve.py")
    assert len(before) == 1, before
    os.kill(before[0], 9)
    L.wait_for(lambda: nas.pids("serve.py") not in ([], before), what="Radicale after SIGKILL")
    L.wait_for(lambda: "Village feast" in laptop.curl(feast, check=False).stdout, what="the calendar after SIGKILL")
    assert not [line for line in nas.log().splitlines() if "killed by signal 31" in line]
