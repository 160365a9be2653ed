"""The remote tier is configured by the environment, which is read where it is passed in."""

import subprocess
import sys

from chronicle.store.pool import S3Settings


def test_without_a_bucket_there_is_no_remote_tier() -> None:
    assert S3Settings.from_environment({}) is None
    assert S3Settings.from_environment({"CHRONICLE_S3_BUCKET": "", "AWS_REGION": "eu-west-1"}) is None


def test_the_usual_variables_are_understood() -> None:
    settings = S3Settings.from_environment(
        {
            "CHRONICLE_S3_BUCKET": "contents",
            "CHRONICLE_S3_PREFIX": "/team/a/",
            "AWS_ENDPOINT_URL": "http://general",
            "AWS_ENDPOINT_URL_S3": "http://special",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
        }
    )
    assert settings == S3Settings("contents", "team/a/", "http://special", "eu-west-1", "id", "secret", "token")
    assert S3Settings.from_environment({"CHRONICLE_S3_BUCKET": "b"}) == S3Settings("b")


def test_the_client_library_is_loaded_only_when_it_is_needed() -> None:
    program = "import sys, chronicle.store.pool; print('obstore' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
