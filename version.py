"""Which version of the product this is, as pyproject.toml says."""

import tomllib
from pathlib import Path

VERSION: str = tomllib.loads((Path(__file__).resolve().parent / "pyproject.toml").read_text())["project"]["version"]
