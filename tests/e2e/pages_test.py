"""Starts the browser test of the dashboard's pages, or says why it cannot run."""

import os
import shutil
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
web = os.path.join(here, "../../plugins/service/dashboard/web")


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


node = shutil.which("node") or skip("node is not installed: scripts/setup test")
chromium = shutil.which("chromium") or skip("chromium is not installed: scripts/setup test")
if not os.path.isdir(os.path.join(os.environ.get("CLAN_E2E_MODULES", ""), "playwright-core")):
    skip("playwright-core is not there: scripts/setup test")
places = [os.environ.get("CLAN_WEB_MODULES", ""), os.path.join(web, "node_modules")]
modules = next((p for p in places if os.path.isdir(os.path.join(p, "preact"))), None) or skip("preact is not there: build the dashboard first")
shots = os.environ.get("CLAN_SHOTS", "") or tempfile.mkdtemp(prefix="clan-pages-")
with tempfile.TemporaryDirectory() as out:
    subprocess.run([node, os.path.join(web, "assets.mjs"), out, modules], check=True)
    sys.exit(subprocess.run([node, os.path.join(here, "pages_test.mjs"), out, shots, *sys.argv[1:]],
                            env={**os.environ, "CHROMIUM": chromium}, check=False).returncode)
