"""Fixtures of the lab; a failing test keeps every machine's log under tests/lab/results."""

import os

import pytest

import lab as lab_module


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.lab_failed = True


@pytest.fixture
def lab(request):
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    l = lab_module.Lab()
    try:
        yield l
    finally:
        if getattr(request.node, "lab_failed", False):
            l.keep_logs = os.path.join(os.path.dirname(__file__), "results", request.node.name)
        l.close()


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
