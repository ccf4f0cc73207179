"""What a real Prometheus stores of our pages is what the registry holds."""

import pytest

pytestmark = pytest.mark.server


def test_a_server_that_was_started_here_scrapes_and_answers(start_prometheus):
    server = start_prometheus()
    itself = {"job_name": "itself", "static_configs": [{"targets": [server.url[7:]]}]}

    other = start_prometheus(itself)

    other.scraped("itself")
    assert other.version > (2, 0)
    assert other.query('up{job="itself"}')[0][1] == 1
