"""Browser tests on a computer that lacks what they need: each says what, and exits with 77, which ctest counts as not run."""

import os
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))


def run(script, path, modules, **env):
    env = {**os.environ, "PATH": path, "CLAN_E2E_MODULES": modules, **env}
    return subprocess.run([sys.executable, "-B", os.path.join(here, script)], env=env, capture_output=True, text=True, check=False)


with tempfile.TemporaryDirectory() as d:
    bins, modules = os.path.join(d, "bin"), os.path.join(d, "modules")
    os.mkdir(bins)
    os.mkdir(modules)

    def program(name):  # that it does not run is found out by nobody who skips
        os.symlink("/bin/false", os.path.join(bins, name))

    steps = [
        ("node is not installed", lambda: program("node")),
        ("chromium is not installed", lambda: program("chromium")),
        ("playwright-core is not there", lambda: os.mkdir(os.path.join(modules, "playwright-core"))),
        ("axe-core is not there", lambda: os.mkdir(os.path.join(modules, "axe-core"))),
    ]
    scripts = ["pages_test.py"] + ["story_test.py"] * (os.geteuid() == 0)  # which says first that it needs root
    for why, then in steps:
        for script in scripts:
            ran = run(script, bins, modules)
            assert ran.returncode == 77 and ran.stdout.startswith(f"SKIP: {why}"), (script, why, ran)
        then()
    if os.geteuid() == 0:
        ran = run("story_test.py", bins, modules, CLAN_PREFIX=d)
        assert ran.returncode == 77 and "the dashboard was not built" in ran.stdout, ran
    else:
        ran = run("story_test.py", bins, modules)
        assert ran.returncode == 77 and "need root" in ran.stdout, ran
    # nothing lacks but that it works: that is red, never skipped
    os.mkdir(os.path.join(modules, "preact"))
    ran = run("pages_test.py", bins, modules, CLAN_WEB_MODULES=modules)
    assert ran.returncode not in (0, 77), ran
