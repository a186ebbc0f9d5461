"""Fixtures of the lab; a failing test keeps every machine's log under tests/lab/results."""

import os

import pytest

import lab as lab_module

_figures = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.lab_failed = True


def pytest_terminal_summary(terminalreporter):
    if _figures:
        terminalreporter.section("measured")
        for line in _figures:
            terminalreporter.write_line(line)


def _results(node):
    return os.path.join(os.path.dirname(__file__), "results", node.name.replace("/", "_"))


@pytest.fixture
def measured(request):
    """measured("seconds until the overlay is back", 0.4): shown after the run, judged by the test itself."""
    return lambda what, seconds: _figures.append(f"{request.node.name}: {what}: {seconds:.2f} s")


@pytest.fixture
def lab(request):
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    l = lab_module.Lab()
    try:
        yield l
    finally:
        if getattr(request.node, "lab_failed", False):
            l.keep_logs = _results(request.node)
        l.close()


class Shelf:
    """One lab for the tests of a file that leave it as they found it; a failed test's lab is not used again."""

    def __init__(self):
        self.lab = self.value = None

    def take(self, build):
        if self.lab is None:
            self.lab = lab_module.Lab()
            self.value = build(self.lab)
        return self.value

    def drop(self, keep_logs=None):
        if self.lab is not None:
            self.lab.keep_logs = keep_logs
            self.lab.close()
            self.lab = self.value = None


@pytest.fixture(scope="module")
def _shelf():
    s = Shelf()
    yield s
    s.drop()


@pytest.fixture
def shelf(_shelf, request):
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    yield _shelf
    if getattr(request.node, "lab_failed", False):
        _shelf.drop(_results(request.node))


@pytest.fixture
def three(lab):
    """nas (founder, keeper, admin), laptop and phone: members."""
    nas, laptop, phone = lab.machine("nas"), lab.machine("laptop"), lab.machine("phone")
    lab_module.up(nas)
    link, words = lab_module.invite(nas, "--uses", "2"), lab_module.words(nas)
    for m in (laptop, phone):
        lab_module.join(m, link, words)
        lab_module.rename(nas, m)
    return nas, laptop, phone
