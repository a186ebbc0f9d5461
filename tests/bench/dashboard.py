"""The dashboard: what its first page weighs, from an event to the screen, its memory, from a link to "you are in"."""

import json
import os
import shutil
import subprocess
import sys
import time

import bench
import lab as L

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../e2e"))
import story_test as story  # noqa: E402


class Verbs(story.Verbs):
    """What the story of the bench asks for beside the tests' verbs."""

    def __init__(self, lab, report):
        super().__init__(lab, None)
        self.report, self.readers = report, None

    def asked(self, *words):
        self.readers.stdin.write(json.dumps(words) + "\n")
        self.readers.stdin.flush()
        line = self.readers.stdout.readline()
        assert line, "tests/bench/streams.py ended"
        return json.loads(line)

    def listen(self, name, counts):
        """Streams of so many pages, for each session."""
        self.readers = self.machines[name].popen("/usr/bin/python3", "-B", f"{here}/streams.py", stdin=subprocess.PIPE,
                                                 stdout=subprocess.PIPE)
        codes = [[self.machines[name].clan("ui", "--print").stdout.strip(), n] for n in counts]
        return self.asked("open", codes)

    def propose(self, mark):
        return self.asked("propose", mark)

    def drop(self, number):
        return self.asked("drop", number)

    def memory_mb(self, name):
        pid, = self.machines[name].pids("^clan-host dashboard")
        pss = next(line for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
        return int(pss.split()[1]) / 1024

    def invited(self, name):
        return L.invite(self.machines[name])

    def invites(self, name, guest):
        began = time.time() * 1000
        self.machines[name].clan("invite", "--for", guest)
        return began

    def admitted(self, name, guest):
        L.admit(self.machines[name], self.machines[guest])

    def dies(self, name):
        began = time.time() * 1000
        self.falls(name)
        return began

    def up(self, name):
        L.up(self.machines[name])
        L.wait_for(lambda: "#code=" in self.machines[name].clan("ui", "--print", check=False).stdout, what="the dashboard")

    def measured(self, metric, unit, values, limits):
        self.report.add(f"dashboard/{metric}", unit, values, **limits)

    def end(self):
        if self.readers:
            self.readers.stdin.close()
            self.readers.wait(20)
            self.readers.stdout.close()
        super().end()


def main():
    report = bench.Report("dashboard")
    for program in ("node", "chromium"):
        assert shutil.which(program), f"{program} is not installed: scripts/setup bench"
    part = report.args.only or "all"
    pages = os.path.join(os.environ["CLAN_BUILD"], "plugins/service/dashboard/pages")
    env = dict(os.environ, CLAN_BENCH_QUICK="1" if report.args.quick else "", CLAN_BENCH_PAGES=pages, CLAN_SHOTS=os.path.join(os.environ["CLAN_BUILD"], "shots"))
    os.makedirs(env["CLAN_SHOTS"], exist_ok=True)
    with L.Lab() as lab:
        verbs = Verbs(lab, report)
        try:
            if story.told(os.path.join(here, "dashboard.mjs"), verbs, env, [part]):
                report.bad.append("the story of the bench did not end well")
        finally:
            verbs.end()
    report.end()


main()
