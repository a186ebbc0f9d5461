"""README's two commands, as a newcomer types them: scripts/run, and scripts/run --join at a terminal."""

import os
import pty
import re
import select
import time

import pytest

import lab as L

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LINK = re.compile(r"clan://join/\S+")


def at_a_terminal(m, command, answers, limit=120):
    """Types each answer when its prompt stands at the end; (status, what was shown)."""
    master, slave = pty.openpty()
    # the script's cland takes the usual cgroup, which may be in use on this computer: here it is below the machine's own
    own = os.path.join(L.CGROUP_ROOT, m.cgroup)
    script = f"mount --bind {own} {L.CGROUP_ROOT} && cd '{TOP}' && {command}"
    process = m.popen("bash", "-c", f"mkdir -p {own} && echo $$ >{own}/cgroup.procs && exec unshare --mount --cgroup "
                      f"bash -c \"{script}\"", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown, end = "", time.monotonic() + limit
    try:
        while time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    shown += os.read(master, 4096).decode(errors="replace")
                except OSError:  # nobody has the terminal any more
                    break
            elif process.poll() is not None:
                break
            if answers and shown.endswith(answers[0][0]):
                os.write(master, (answers.pop(0)[1] + "\n").encode())
        assert not answers, f"never asked {answers[0][0]!r}:\n{shown}"
        return process.wait(timeout=max(1, end - time.monotonic())), shown
    finally:
        process.kill()
        process.wait()
        os.close(master)


@pytest.fixture
def newcomers(lab):
    machines = [lab.machine(name, start=False) for name in ("nas", "laptop")]
    for m in machines:  # a computer on which nothing of Clan was ever installed
        m.sh("mount -t tmpfs tmpfs /usr/local; rm -f /etc/clan/*")
    yield machines
    for m in machines:
        m.sh("kill $(cat /run/clan/cland.pid)", check=False)


def test_the_two_commands(newcomers):
    nas, laptop = newcomers
    status, shown = at_a_terminal(nas, "scripts/run </dev/null", [], limit=240)  # it builds
    assert status == 0 and LINK.search(shown), shown
    status, shown = at_a_terminal(laptop, "scripts/run --join", [
        ("Paste the invitation link: ", LINK.search(shown).group()), ("Contact it? [y/N] ", "y"), ("Join? [y/N] ", "y")])
    assert status == 0 and "Standing: member." in shown, shown
    L.wait_for(lambda: laptop.run("curl", "-gsS", "-o", "/dev/null", "-w", "%{http_code}", "http://files.home.clan/",
                                  check=False).stdout == "200", what="the shared folder")
