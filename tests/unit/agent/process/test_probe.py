"""What a host allows is found out by trying, and trying leaves nothing."""

import json
import os

from podium.agent.process.probe import report


def test_a_report_says_for_every_feature_whether_it_is_there_or_why_not() -> None:
    before = os.listdir("/proc/self/fd")
    found = json.loads(report())
    assert set(found) == {"namespaces", "users", "setuid", "fence", "refusals"}
    assert found["namespaces"] or "namespaces as a user" in found["refusals"]
    assert found["users"] or "user namespaces" in found["refusals"]
    assert os.listdir("/proc/self/fd") == before
