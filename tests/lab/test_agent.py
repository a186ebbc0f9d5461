"""An admin key in a real ssh-agent: a clan is made, invites, changes its configuration; a machine joins."""

import json
import os
import signal

import lab as L
import pytest


class Agent:
    """ssh-agent inside a lab machine, with one key."""

    def __init__(self, m, kind="ed25519"):
        self.m, self.socket = m, f"{m.dir}/agent"
        m.run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "anna", "-f", f"{m.dir}/id")
        self.process = m.popen("ssh-agent", "-D", "-a", self.socket)
        L.wait_for(lambda: os.path.exists(self.socket), what="ssh-agent")
        self.add()

    def add(self):
        self.run("ssh-add", "-q", f"{self.m.dir}/id")

    def run(self, *args, **kw):
        return self.m.run("env", f"SSH_AUTH_SOCK={self.socket}", *args, **kw)

    def clan(self, *args, **kw):
        return self.run(f"{L.PREFIX}/bin/clan", *args, **kw)

    def fingerprint(self):
        return self.m.run("ssh-keygen", "-lf", f"{self.m.dir}/id.pub").stdout.split()[1]

    def close(self):
        for pid in self.m.pids("^ssh-agent"):
            os.kill(pid, signal.SIGTERM)
        self.process.wait()


@pytest.fixture
def agent(lab):
    a = Agent(lab.machine("nas"))
    yield a
    a.close()


def test_clan_of_an_agent(lab, agent):
    nas, key = agent.m, f"ssh:{agent.fingerprint()}"
    made = agent.clan("up", "--name", "home", "--machine", "nas", "--key", key, "--yes")
    assert "no recovery words" in made.stdout and key in made.stdout, made.stdout
    stored = open(f"{nas.dir}/home/.config/clan/home-admin.key").read()
    assert "agent ssh" in stored and "entropy" not in stored
    # later commands find the key by themselves
    link = json.loads(agent.clan("--json", "invite", "--for", "laptop").stdout)["link"]
    laptop = lab.machine("laptop")
    L.join(laptop, link, L.words(nas))
    L.wait_for(lambda: laptop.standing() == "member", what="laptop is a member")
    text = nas.clan("config", "show").stdout
    with open(f"{nas.dir}/edited.yaml", "w") as f:
        f.write(text + "# by the agent's key\n")
    agent.clan("config", "apply", f"{nas.dir}/edited.yaml", "--yes")
    L.wait_for(lambda: "# by the agent's key" in laptop.clan("config", "show").stdout, what="the laptop has it")


def test_agent_that_does_not_sign(lab, agent):
    nas = agent.m
    agent.clan("up", "--name", "home", "--machine", "nas", "--key", "ssh:anna", "--yes")
    # locked: it lists nothing; the lock's password comes from a program, there is no terminal
    with open(f"{nas.dir}/ask", "w") as f:
        f.write("#!/bin/sh\necho secret\n")
    os.chmod(f"{nas.dir}/ask", 0o755)
    ask = ("env", f"SSH_ASKPASS={nas.dir}/ask", "SSH_ASKPASS_REQUIRE=force", "ssh-add", "-q")
    agent.run(*ask, "-x")
    said = agent.clan("invite", check=False)
    assert said.returncode == 3 and "locked" in said.stderr, said.stderr
    agent.run(*ask, "-X")
    agent.clan("invite")
    # a key that is to be confirmed, and nobody who confirms
    agent.run("ssh-add", "-q", "-D")
    agent.run("ssh-add", "-q", "-c", f"{nas.dir}/id")
    said = agent.clan("invite", check=False)
    assert said.returncode == 3 and "refused to sign" in said.stderr, said.stderr
    agent.run("ssh-add", "-q", "-D")
    said = agent.clan("invite", check=False)
    assert said.returncode == 3 and "has no Ed25519 key" in said.stderr, said.stderr
    # stopped: it answers nothing
    agent.add()
    agent.close()
    said = agent.clan("invite", check=False)
    assert said.returncode == 4 and "no ssh-agent" in said.stderr, said.stderr


def test_rsa_is_no_admin_key(lab):
    nas = lab.machine("nas")
    agent = Agent(nas, "rsa")
    try:
        said = agent.clan("up", "--key", "ssh:", "--yes", check=False)
        assert said.returncode == 3 and "other kinds" in said.stderr, said.stderr
        assert not os.path.exists(f"{nas.dir}/home/.config/clan")
    finally:
        agent.close()
