"""Shared files with a real lighttpd as an ordinary user: curl, rclone, awkward names, attempts to get out."""
import hashlib
import http.client
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

SERVE, PLUGIN = sys.argv[1], sys.argv[2]
USER = 65534 if os.getuid() == 0 else None
NAMES = ["plain.txt", "with space.txt", "Übergröße & Käse.txt", "50% off #1?.txt", "日本語.txt", "a+b;c,d='e'.txt",
         "javascript:alert(1)", "quote\"back\\slash.txt", ".hidden"]


def drop():
    if USER is not None:
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)


class Server:
    def __init__(self, *settings):
        self.dir = tempfile.mkdtemp(prefix="clan-files-")
        self.state, volume = self.dir + "/state", self.dir + "/volume"
        for d in (self.state, volume):
            os.mkdir(d)
        self.volume = volume + "/files"
        for d in (self.dir, self.state, volume):
            if USER is not None:
                os.chown(d, USER, USER)
        env = dict(os.environ)
        probe = ["unshare", "--user", "--map-current-user", "--net", "true"]
        if subprocess.run(probe, preexec_fn=drop, stderr=subprocess.DEVNULL).returncode:
            env["FILES_TEST_PLAIN"] = "1"
        # a copy: the build directory may not be readable for that user
        for f in (SERVE, PLUGIN):
            shutil.copy(f, self.dir)
            os.chmod(self.dir + "/" + os.path.basename(f), 0o755)
        self.p = subprocess.Popen([self.dir + "/" + os.path.basename(SERVE), self.dir + "/" + os.path.basename(PLUGIN),
                                   self.state, volume, *settings],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=drop, env=env)
        self.buffer = b""
        self.lines = []
        self.port = None

    def line(self, limit=10.0):
        end = time.monotonic() + limit
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.p.stdout], [], [], left)[0]:
                raise AssertionError("no line in time")
            data = os.read(self.p.stdout.fileno(), 4096)
            if not data:
                raise AssertionError("serve ended: %r" % self.buffer)
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def wait(self, word, limit=10.0):
        end = time.monotonic() + limit
        while True:
            line = self.line(max(end - time.monotonic(), 0.01))
            if line.startswith(word):
                return line

    def start(self):
        self.port = int(self.wait("port").split()[1])
        self.wait("up")
        return self

    def say(self, word):
        self.p.stdin.write(word.encode() + b"\n")
        self.p.stdin.flush()

    def end(self):
        try:
            self.say("quit")
            self.p.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.p.kill()
            self.p.wait()
        self.p.stdout.close()
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
        shutil.rmtree(self.dir)

    def url(self, path="/"):
        return "http://[::1]:%d%s" % (self.port, path)

    def raw(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("::1", self.port, timeout=20)
        c.putrequest(method, path, skip_host="Host" in (headers or {}))
        for k, v in (headers or {}).items():
            c.putheader(k, v)
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, dict((k.lower(), v) for k, v in r.getheaders()), data


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server('title=Unsere "Dateien"').start()

    @classmethod
    def tearDownClass(cls):
        cls.s.end()

    def status(self, want, method, path, body=None, headers=None):
        got = self.s.raw(method, path, body, headers)
        self.assertEqual(got[0], want, (method, path))
        return got

    def test_runs_as_nobody_special(self):
        self.assertEqual(oct(os.stat(self.s.state + "/lighttpd.conf").st_mode & 0o777), "0o644")
        owner = os.stat(self.s.volume).st_uid
        self.status(201, "PUT", "/owner.txt", b"x")
        self.assertEqual(os.stat(self.s.volume + "/owner.txt").st_uid, owner)

    def test_names(self):
        for name in NAMES:
            path = "/" + urllib.parse.quote(name)
            body = name.encode() * 100
            self.status(201, "PUT", path, body)
            self.assertEqual(self.status(200, "GET", path)[2], body)
            self.status(204, "PUT", path, b"second")
            self.assertEqual(self.status(200, "GET", path)[2], b"second")
            self.assertIn(name, os.listdir(self.s.volume))
        page = self.status(200, "GET", "/")[2].decode()
        self.assertIn("Käse", page)
        self.assertNotIn(".hidden", page)
        for name in NAMES:
            self.status(204, "DELETE", "/" + urllib.parse.quote(name))

    def test_folders(self):
        d = "/" + urllib.parse.quote("Fotos für alle")
        self.status(201, "MKCOL", d + "/")
        self.status(405, "MKCOL", d + "/")
        self.status(201, "PUT", d + "/a.txt", b"a")
        self.status(207, "PROPFIND", d + "/", b"", {"Depth": "1"})
        self.assertIn(b"a.txt", self.s.raw("PROPFIND", d + "/", b"", {"Depth": "1"})[2])
        to = {"Destination": self.s.url(d + "/b%20c.txt"), "Overwrite": "F"}
        self.status(201, "MOVE", d + "/a.txt", None, to)
        self.status(404, "GET", d + "/a.txt")
        self.status(201, "COPY", d + "/b%20c.txt", None, {"Destination": self.s.url(d + "/d.txt")})
        self.assertIn(self.s.raw("MOVE", d + "/", None, {"Destination": self.s.url("/moved/")})[0], (200, 201, 204))
        self.assertEqual(self.status(200, "GET", "/moved/d.txt")[2], b"a")
        self.status(204, "DELETE", "/moved/")
        self.assertFalse(os.path.exists(self.s.volume + "/moved"))

    def test_class_two(self):
        dav = self.status(200, "OPTIONS", "/")[1]["dav"]
        self.assertIn("2", dav)
        lock = b'<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope>' \
               b'<locktype><write/></locktype></lockinfo>'
        self.status(201, "LOCK", "/locked.txt", lock, {"Timeout": "Second-60"})
        self.status(423, "PUT", "/locked.txt", b"no")

    def test_large_upload_is_whole_or_not_there(self):
        src = self.s.dir + "/big"
        digest = hashlib.sha256()
        rnd = random.Random(7)
        with open(src, "wb") as f:
            for _ in range(50):
                block = rnd.randbytes(1 << 20)
                digest.update(block)
                f.write(block)
        for extra in ([], ["-H", "Transfer-Encoding: chunked"]):
            subprocess.run(["curl", "-gsSf", *extra, "-T", src, self.s.url("/big.bin")], check=True, timeout=120)
            out = subprocess.run(["curl", "-gsSf", self.s.url("/big.bin")], check=True, timeout=120,
                                 stdout=subprocess.PIPE).stdout
            self.assertEqual(hashlib.sha256(out).digest(), digest.digest())
        # one that breaks off leaves the old file and nothing else
        before = sorted(os.listdir(self.s.volume))
        self.assertEqual(os.listdir(self.s.volume + "/../upload"), [])
        c = socket.create_connection(("::1", self.s.port))
        c.sendall(b"PUT /big.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"z" * 3000000)
        c.close()
        self.status(200, "HEAD", "/big.bin")
        end = time.monotonic() + 5
        while sorted(os.listdir(self.s.volume)) != before and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(sorted(os.listdir(self.s.volume)), before)
        self.assertEqual(os.path.getsize(self.s.volume + "/big.bin"), 50 << 20)

    def test_ranges(self):
        self.status(201, "PUT", "/range.txt", b"0123456789")
        self.assertEqual(self.status(206, "GET", "/range.txt", None, {"Range": "bytes=3-5"})[2], b"345")

    def test_no_way_out(self):
        secret = self.s.dir + "/secret"
        with open(secret, "w") as f:
            f.write("secret")
        os.chmod(secret, 0o644)
        os.symlink(secret, self.s.volume + "/link")
        os.symlink(self.s.dir, self.s.volume + "/dir")
        for path in ["/../../secret", "/../webdav.db", "/%2e%2e/%2e%2e/secret", "/..%2f..%2fsecret", "/x/../../../secret", "//../../secret", "/link", "/dir/secret",
                     "/dir/state/lighttpd.conf", "/.clan/../../state/lighttpd.conf", "/.clan/%2e%2e/lighttpd.conf",
                     "/.clan/..%2flighttpd.conf", "/.clan../lighttpd.conf", "/%00", "/.clan/../../../../etc/passwd"]:
            code, _, data = self.s.raw("GET", path)
            self.assertIn(code, (400, 403, 404), path)
            self.assertNotIn(b"secret", data)
            self.assertNotIn(b"server.modules", data)
            self.assertNotIn(b"SQLite", data)
        for path in ["/../evil", "/%2e%2e/evil", "/.clan/files.js", "/.clan/x", "/.clan/%2e%2e/x"]:
            code = self.s.raw("PUT", path, b"evil")[0]
            if code < 300:  # a path may be made harmless, it may not lead out
                self.assertFalse(path.startswith("/.clan/f"), path)
        self.assertEqual(sorted(os.listdir(self.s.volume + "/..")), ["files", "upload", "webdav.db"])
        self.assertFalse(os.path.exists(self.s.dir + "/evil"))
        self.assertFalse(os.path.exists(self.s.state + "/www/x"))
        with open(self.s.state + "/lighttpd.conf") as f:
            self.assertIn("server.modules", f.read())
        self.s.raw("MOVE", "/range.txt", None, {"Destination": self.s.url("/../evil")})
        self.s.raw("COPY", "/link", None, {"Destination": self.s.url("/copied")})
        self.assertFalse(os.path.exists(self.s.dir + "/evil"))
        if os.path.lexists(self.s.volume + "/copied"):
            self.assertNotEqual(self.s.raw("GET", "/copied")[2], b"secret")
        with open(secret) as f:
            self.assertEqual(f.read(), "secret")
        os.unlink(self.s.volume + "/link")
        os.unlink(self.s.volume + "/dir")

    def test_page(self):
        code, headers, page = self.s.raw("GET", "/")
        self.assertIn("script-src 'self'", headers["content-security-policy"])
        self.assertIn(b"/.clan/files.js", page)
        self.assertEqual(self.s.raw("GET", "/.clan/files.js")[1]["content-type"], "text/javascript; charset=utf-8")
        self.assertEqual(self.s.raw("GET", "/.clan/files.css")[0], 200)
        self.assertEqual(self.s.raw("GET", "/.clan/icon.svg")[1]["content-type"], "image/svg+xml")
        self.assertEqual(self.s.raw("GET", "/.clan/settings.json")[2],
                         b'{"title":"Unsere \\"Dateien\\"","read_only":false}\n')
        self.assertEqual(self.s.raw("GET", "/.clan/")[0], 403)
        # what was uploaded never runs as a script of this page, and an index.html does not hide a folder
        self.status(201, "PUT", "/page.html", b"<script>alert(1)</script>")
        self.assertIn("script-src 'none'", self.s.raw("GET", "/page.html")[1]["content-security-policy"])
        self.status(201, "PUT", "/index.html", b"<script>alert(1)</script>")
        self.assertIn(b"/.clan/files.js", self.s.raw("GET", "/")[2])

    def test_foreign_names(self):
        for host in ["evil.example", "evil.example:80", "clan.evil.example", "files.home.clan.evil.example"]:
            self.status(403, "GET", "/", None, {"Host": host})
        for host in ["files", "files.home.clan", "files.home.clan:80", "[fd00::1]:80", "10.0.0.1", "localhost:8080"]:
            self.status(200, "GET", "/", None, {"Host": host})

    @unittest.skipUnless(shutil.which("rclone"), "rclone is not installed")
    def test_rclone(self):
        src = self.s.dir + "/tree"
        os.makedirs(src + "/Ordner ä/tief/er")
        rnd = random.Random(3)
        for i, name in enumerate(["a b.txt", "Ordner ä/ü.bin", "Ordner ä/tief/er/leer", "Ordner ä/tief/x#y.txt"]):
            with open(src + "/" + name, "wb") as f:
                f.write(rnd.randbytes(i % 3 * 70000))
        env = dict(os.environ, RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_CLAN_TYPE="webdav",
                   RCLONE_CONFIG_CLAN_URL=self.s.url("/"), RCLONE_CONFIG_CLAN_VENDOR="other")
        for args in (["copy", src, "clan:tree"], ["check", "--download", src, "clan:tree"],
                     ["moveto", "clan:tree/a b.txt", "clan:tree/c d.txt"], ["purge", "clan:tree"]):
            r = subprocess.run(["rclone", "-q", *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            self.assertEqual(r.returncode, 0, (args, r.stdout.decode()))
        self.assertFalse(os.path.exists(self.s.volume + "/tree"))


class Life(unittest.TestCase):
    def test_health_and_restart(self):
        s = Server().start()
        try:
            s.say("health")
            self.assertEqual(s.wait("health"), "health 1 ")
            s.say("kill")
            s.wait("exited")
            s.wait("up")
            s.say("health")
            self.assertEqual(s.wait("health"), "health 1 ")
            self.assertEqual(s.raw("GET", "/.clan/settings.json")[0], 200)
            s.say("stop it")  # SIGSTOP: alive and silent; seen when a connection waits twice
            pid, end = s.wait("stopped").split()[1], time.monotonic() + 10
            while open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "T":  # else it takes one more
                self.assertLess(time.monotonic(), end)
            with socket.create_connection(("::1", s.port)):
                s.say("health")
                self.assertEqual(s.wait("health"), "health 1 ")
                for _ in range(3):
                    s.say("health")
                    self.assertEqual(s.wait("health"), "health 0 lighttpd takes no connections")
                s.wait("up", 15)
                s.say("health")
                self.assertEqual(s.wait("health"), "health 1 ")
        finally:
            s.end()

    def test_writes_only_what_differs(self):
        """Each start writes the page; what says it already stays the file that it is."""
        s = Server().start()
        try:
            css, icon, settings = (f"{s.state}/www/{n}" for n in ("files.css", "icon.svg", "settings.json"))
            with open(css, "r+b") as f:
                page = f.read()
                f.seek(-1, os.SEEK_END)
                f.write(b"x")  # as long as before
            os.chmod(settings, 0o600)  # lighttpd could not read it
            before = [os.stat(n).st_ino for n in (css, icon, settings)]
            s.say("kill")
            s.wait("exited")
            s.wait("up")
            after = [os.stat(n).st_ino for n in (css, icon, settings)]
            self.assertEqual([a == b for a, b in zip(after, before)], [False, True, False])
            with open(css, "rb") as f:
                self.assertEqual(f.read(), page)
            self.assertEqual(s.raw("GET", "/.clan/settings.json")[0], 200)
        finally:
            s.end()

    def test_gives_up_with_a_reason(self):
        s = Server()
        try:
            s.wait("port")
            for _ in range(6):
                s.say("kill")
                s.wait("exited")
                line = s.line(15)
                while line.startswith("exited"):
                    line = s.line(15)
                if line.startswith("down"):
                    break
                self.assertEqual(line, "up")
            self.assertIn("6 times in a row", line)
        finally:
            s.end()

    def test_read_only(self):
        s = Server("read_only=true").start()
        try:
            with open(s.volume + "/there.txt", "w") as f:
                f.write("there")
            os.chmod(s.volume + "/there.txt", 0o644)
            self.assertEqual(s.raw("GET", "/there.txt")[2], b"there")
            for method, path in [("PUT", "/x"), ("MKCOL", "/y/"), ("DELETE", "/there.txt"), ("MOVE", "/there.txt")]:
                code = s.raw(method, path, b"" if method == "PUT" else None, {"Destination": s.url("/z")})[0]
                self.assertIn(code, (403, 405), method)
            self.assertEqual(os.listdir(s.volume), ["there.txt"])
        finally:
            s.end()

    def test_settings_refused(self):
        for setting, word in [("colour=blue", "colour"), ("read_only=maybe", "maybe"), ("title=", "title")]:
            s = Server(setting)
            try:
                self.assertIn(word, s.wait("refused"))
            finally:
                s.end()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
