"""Starts browser tests with daemons: a lab of machines, a browser in each; the story itself is told in *.mjs.

The story asks for what a person does outside of the browser, a line "@[verb, arguments]" on its standard output, and
has the answer as a line on its standard input.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../lab"))
import lab as L  # noqa: E402
from needs import browser, skip  # noqa: E402
from terminal import Terminal  # noqa: E402


class Verbs:
    """What happens outside of the browser, by the machine's name."""

    def __init__(self, lab, shots):
        self.lab, self.shots, self.machines, self.terminals, self.shown, self.servers = lab, shots, {}, [], [], []

    def machine(self, name):
        """A machine with Clan running, in no clan; the program that is its browser."""
        m = self.machines[name] = self.lab.machine(name)
        path = f"{m.dir}/browser"
        inside = " ".join(m.argv(["chromium", '"$@"']))
        home = f"{m.dir}/home"
        with open(path, "w") as f:
            f.write(f"#!/bin/sh\nexport HOME={home} XDG_CONFIG_HOME={home}/.config\nexec {inside}\n")
        os.chmod(path, 0o755)
        return path

    def shows(self, name, *args, input=""):
        """A command that prints where its page is, and stays as long as the page is needed."""
        m = self.machines[name]
        with open(f"{m.dir}/shown", "a+") as said:
            p = m.popen(f"{L.PREFIX}/bin/clan", *args, "--print", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
        self.shown.append(p)
        p.stdin.write(input)
        p.stdin.close()
        url = p.stdout.readline().strip()
        assert "#code=" in url, f"clan {' '.join(args)} printed no address: {open(f'{m.dir}/shown').read()}"
        return url

    def ui(self, name):
        return self.shows(name, "ui")

    def open(self, name, link):
        return self.shows(name, "open", "-", input=link + "\n")

    def terminal(self, name, *args):
        self.terminals.append(Terminal(self.machines[name], *args))
        return len(self.terminals) - 1

    def says(self, number, text):
        """What the terminal showed before that text."""
        return self.terminals[number].until(text)

    def type(self, number, line):
        self.terminals[number].type(line)

    def close(self, number):
        self.terminals[number].end()

    def clan(self, name, *args):
        return self.machines[name].clan(*args).stdout

    def again(self, name, *args):
        """A command, as often as it takes: the core may just be starting."""
        L.wait_for(lambda: self.machines[name].clan(*args, check=False).returncode == 0, what=f"clan {' '.join(args)}")

    def json(self, name, *args):
        return self.machines[name].json(*args)

    def join(self, name, link, words):
        L.join(self.machines[name], link, words)

    def curl(self, name, url):
        """What is there, as soon as something is."""
        m = self.machines[name]
        L.wait_for(lambda: m.curl(url, check=False).returncode == 0, what=url)
        return m.curl(url).stdout

    def sh(self, name, script):
        return self.machines[name].sh(script).stdout

    def kill(self, name, pattern):
        """SIGKILL to the processes of that command line; how many there were."""
        doomed = self.machines[name].pids(pattern)
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):  # the death of one may be another's
                os.kill(pid, signal.SIGKILL)
        return len(doomed)

    def falls(self, name):
        """cland dies without a word, and everything of Clan's with it."""
        m = self.machines[name]
        self.kill(name, "^(cland|clan-|/.*/sbin/cland)")
        m.daemon.wait()
        m.daemon = None
        L.wait_for(lambda: not m.pids("^(cland|clan-)"), what="the end of everything")
        m._no_sockets()

    def rises(self, name):
        self.machines[name].start(apply=False)

    def evil(self, name, address, port, uid, pages):
        """Somebody else's server on that machine."""
        m = self.machines[name]
        p = m.popen("/usr/bin/python3", "-B", os.path.join(here, "evil.py"), address, str(port), str(uid), f"{m.dir}/evil", stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE)
        self.servers.append((m, p))
        p.stdin.write(json.dumps(pages))
        p.stdin.close()
        assert p.stdout.readline() == "ready\n"

    def evil_saw(self, name):
        path = f"{self.machines[name].dir}/evil"
        return [json.loads(line) for line in open(path)] if os.path.exists(path) else []

    def end(self):
        for m, p in self.servers:
            for pid in m.pids(f"^/usr/bin/python3 -B {here}/evil.py"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            p.wait(10)
            p.stdout.close()
        for t in self.terminals:
            t.end()
        for m in self.machines.values():
            for pid in m.pids(rf"^{L.PREFIX}/bin/clan .*--print"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        for p in self.shown:
            p.wait(20)
            p.stdout.close()


def told(story, verbs, env, args=()):
    """Runs a story; its exit status."""
    node = subprocess.Popen(["node", os.path.join(here, story), *args], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for line in node.stdout:
        if not line.startswith("@"):
            print(line, end="", flush=True)
            continue
        verb, *args = json.loads(line[1:])
        try:
            answer = {"value": getattr(verbs, verb)(*args)}
        except Exception as e:  # the story tells it, with the place where it asked
            answer = {"error": f"{type(e).__name__}: {e}"}
        node.stdin.write(json.dumps(answer) + "\n")
        node.stdin.flush()
    return node.wait()


def main():
    if os.geteuid() != 0:
        skip("lab machines need root")
    browser()
    if not any(os.path.exists(f"{L.PREFIX}/{d}/clan/plugins-0/dashboard.so") for d in ("lib", "lib/x86_64-linux-gnu", "lib64")):
        skip("the dashboard was not built: it needs libmicrohttpd-dev, nodejs and npm")
    shots = os.environ.setdefault("CLAN_SHOTS", os.path.join(here, "../../build/pages"))
    os.makedirs(shots, exist_ok=True)
    name = sys.argv[1] if len(sys.argv) > 1 else "story"
    lab = L.Lab()
    verbs = Verbs(lab, shots)
    status = 1
    try:
        status = told(f"{name}.mjs", verbs, dict(os.environ), sys.argv[2:])
    finally:
        try:
            verbs.end()
        finally:
            if status:
                lab.keep_logs = os.path.join(shots, f"{name}-logs")
            lab.close()
    sys.exit(status)


if __name__ == "__main__":
    main()
