"""How the widget's modules become its one script. That it works is shown in a browser, in test_widget.py."""

from pathlib import Path

import pytest

from sidecar.web.kept import kept
from sidecar.web.site import WIDGET
from sidecar.web.widget import NotJoined, joined


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder / "a.js"


def test_each_module_stands_once_in_a_scope_of_its_own_before_whoever_needs_it(tmp_path):
    entry = written(
        tmp_path,
        a_js='import { b } from "./b.js";\nimport {\n  c,\n} from "./c.js";\nimport "./d.js";\nb(c);\n',
        b_js='import { c } from "./c.js";\nexport const b = (x) => x + c;\n',
        c_js="const own = 1;\nexport const c = own;\nexport async function later() {}\n",
        d_js="window.d = 1;\n",
    )
    text = joined(entry)
    begins = [text.index(part) for part in ("const own = 1", "const b = (x)", "window.d = 1", "b(c);")]
    assert begins == sorted(begins)
    assert text.count("const own = 1") == 1
    assert "return { c, later };" in text
    assert "import " not in text and "export " not in text


def test_a_sheet_of_a_page_holds_in_a_shadow_root_whatever_a_rem_is_outside(tmp_path):
    entry = written(
        tmp_path,
        a_js='import look from "./look.css" with { type: "text" };\nuse(look);\n',
        look_css=':root { --size: .875rem; }\np::after { content: "\'"; }\n',
    )
    text = joined(entry)
    assert '".all { --size: 14px; }\\np::after { content: \\"\'\\"; }\\n"' in text
    assert text.index(".all") < text.index("use(look)")


@pytest.mark.parametrize("line", ['export * from "./b.js";', "export default 1;", 'import x from "elsewhere";'])
def test_what_can_not_be_joined_says_where_and_what(tmp_path, line):
    with pytest.raises(NotJoined, match="a.js") as told:
        joined(written(tmp_path, a_js=f"{line}\n", b_js=""))
    assert line in str(told.value)


def test_the_tag_changes_with_the_text_alone(tmp_path):
    entry = written(tmp_path, a_js="one;\n")
    tag = lambda: kept(joined(entry).encode(), ".js").etag  # noqa: E731
    before = tag()
    assert tag() == before
    written(tmp_path, a_js="two;\n")
    assert tag() != before


def test_the_widget_itself_can_be_joined():
    assert "CallCenterChat" in joined(WIDGET)
