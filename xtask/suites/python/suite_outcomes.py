"""A pytest plugin: one line of JSON for each test's outcome, in the file that SUITE_OUTCOMES names."""

import json
import os


class Outcomes:
    """A test fails when its setup, itself or its teardown does; the first failure counts."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.failed = set()

    def pytest_runtest_logreport(self, report):
        if report.nodeid in self.failed:
            return
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "teardown" or (report.passed and report.when != "call"):
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr or "")
        line = {"test": report.nodeid, "outcome": report.outcome, "text": text[:2000]}
        print(json.dumps(line), file=self.file, flush=True)


def pytest_configure(config):
    config.pluginmanager.register(Outcomes(os.environ["SUITE_OUTCOMES"]))
