"""What most of the steps are tried on: one tenant's line, over a database and a Redis that are empty."""

from collections.abc import Iterator

import pytest

from tests.services.line_of import Line, line_of


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Line]:
    with line_of(database_url, redis_url) as made:
        yield made
