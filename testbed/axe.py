"""What axe finds on a page: axe-core, from the package axe-playwright-python, of which nothing else is used."""

from importlib import resources
from typing import Any

from playwright.sync_api import Page

AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
GRAVE = ("serious", "critical")
AT_REST = """async () => { const frame = () => new Promise(requestAnimationFrame); await frame(); await frame();
  const moves = () => document.getAnimations().filter(each => each.playState === 'running');
  for (let n = 0; moves().length && n < 60; n += 1) await frame(); }"""


def grave_faults(page: Page) -> list[str]:
    """What is serious or critical, each with one place, in the light and in the dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(AT_REST)
        told: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        for each in told["violations"]:
            if each["impact"] in GRAVE:
                where = "; ".join(str(node["target"][-1]) for node in each["nodes"][:3])
                found.append(
                    f"{scheme}: {each['id']} ({each['impact']}): {where}: {each['nodes'][0]['failureSummary']}"
                )
    return found
