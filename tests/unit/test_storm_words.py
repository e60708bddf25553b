"""The page about storms names every act, and no other."""

import re
from pathlib import Path

from scripts.storms.acts import ACTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "storms.md"


def test_the_page_names_all_acts():
    table = PAGE.read_text().split("## Acts")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", table)) == set(ACTS)
