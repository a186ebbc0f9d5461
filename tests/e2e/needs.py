"""What a test in a browser needs; what lacks is said, and the test counts as not run."""

import os
import shutil
import sys


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def browser():
    """Where node and chromium are."""
    found = [shutil.which(program) or skip(f"{program} is not installed: scripts/setup test") for program in ("node", "chromium")]
    for module in ("playwright-core", "axe-core"):
        there = os.path.isdir(os.path.join(os.environ.get("CLAN_E2E_MODULES", ""), module))
        there or skip(f"{module} is not there: scripts/setup test")
    return found
