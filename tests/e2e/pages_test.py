"""Starts the browser test of the dashboard's pages, or says why it cannot run."""

import os
import subprocess
import sys
import tempfile

from needs import browser, skip

here = os.path.dirname(os.path.abspath(__file__))
web = os.path.join(here, "../../plugins/service/dashboard/web")

node, chromium = browser()
places = [os.environ.get("CLAN_WEB_MODULES", ""), os.path.join(web, "node_modules")]
modules = next((p for p in places if os.path.isdir(os.path.join(p, "preact"))), None) or skip("preact is not there: build the dashboard first")
shots = os.environ.get("CLAN_SHOTS", "") or tempfile.mkdtemp(prefix="clan-pages-")
with tempfile.TemporaryDirectory() as out:
    subprocess.run([node, os.path.join(web, "assets.mjs"), out, modules], check=True)
    sys.exit(subprocess.run([node, os.path.join(here, "pages_test.mjs"), out, shots, *sys.argv[1:]],
                            env={**os.environ, "CHROMIUM": chromium}, check=False).returncode)
