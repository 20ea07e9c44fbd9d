"""One thin way through: what is posted is what is read."""

from typing import Any

from tests.conftest import Api


def test_the_specifications_example_comes_back_equal(api: Api, example: dict[str, Any]) -> None:
    meeting = example["items"][0]["meetingInstanceId"]
    assert api.post("/v1/meeting/qualities", example).status_code == 204
    answer = api.qualities(meeting)
    assert answer.status_code == 200, answer.text
    assert repr(answer.json()) == repr(example)
