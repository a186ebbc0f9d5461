"""The page "your first plugin in ten minutes": its commands, run as they stand there, on a machine with the release."""

import glob
import os
import re
import shutil
import stat
import time

import lab as L

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "sdk", "README.md")


def blocks(kind):
    with open(PAGE) as f:
        return re.findall(rf"^```{kind}\n(.*?)^```$", f.read(), re.M | re.S)


def own_plugins(machine):
    """The page installs a plugin: into a copy of the release's folder that only this machine sees."""
    where = glob.glob(f"{L.PREFIX}/lib/**/clan/plugins-*", recursive=True)[0]
    copy = os.path.join(machine.dir, "plugins")
    shutil.copytree(where, copy)
    machine.run("mount", "--bind", copy, where)
    return copy


def environment(machine):
    """What an installation below /usr needs no words for; and sudo, where root has none."""
    pc = glob.glob(f"{L.PREFIX}/lib/**/pkgconfig/clan-sdk.pc", recursive=True)
    assert pc, f"no SDK is installed at {L.PREFIX}"
    words = f"export CMAKE_PREFIX_PATH={L.PREFIX} PKG_CONFIG_PATH={os.path.dirname(pc[0])}\n"
    if not shutil.which("sudo"):
        folder = os.path.join(machine.dir, "bin")
        os.mkdir(folder)
        with open(f"{folder}/sudo", "w") as f:
            f.write('#!/bin/sh\nexec "$@"\n')
        os.chmod(f"{folder}/sudo", stat.S_IRWXU)
        words += f"export PATH={folder}:$PATH\n"
    return words


def test_the_page(lab, measured):
    nas = lab.machine("nas", start=False)
    plugins = own_plugins(nas)
    nas.start()
    commands = blocks("sh")
    assert len(commands) >= 6, "the page lost its commands"
    script = environment(nas) + "cd ~\nset -eux\n" + "".join(commands)
    began = time.monotonic()
    result = nas.sh(script, timeout=240)
    measured("nothing to a checked, running plugin", time.monotonic() - began)
    assert result.stdout.endswith(blocks("text")[-1]), result.stdout
    assert os.path.exists(f"{plugins}/hello.so")
    # it is a service like any other: other machines open it, and it says that it is well
    laptop = lab.machine("laptop")
    L.admit(nas, laptop)
    L.wait_for(lambda: laptop.curl("http://hello.home.clan/", check=False).returncode == 0, what="hello on the laptop")
    assert laptop.curl("http://hello.home.clan/").stdout == blocks("text")[-1]
    assert nas.pids("clan-host hello hello")
