"""Make README.md from nbs/index.ipynb: its text, its visible code, and its printed outputs.

python tools/readme.py [--check]    --check only says whether README.md is up to date
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = "https://minivlm-cot.github.io/minivlm_cot/"


def for_github(text):
    "Links to the site and to pictures as GitHub needs them; Quarto's blocks and classes left out"
    text = re.sub(r"\]\(((?:\d\d|demo/)[\w/]+)\.(?:ipynb|html)\b", rf"]({SITE}\1.html", text)
    text = re.sub(r"^:::.*\n?", "", text, flags=re.M)
    text = re.sub(r"\)\{\.[^}]*\} \[", ") · [", text)
    text = re.sub(r"\)\{\.[^}]*\}", ")", text)
    return re.sub(r"(\(|src=\")images/", r"\1nbs/images/", text).strip("\n")


def text_of(cell):
    "A cell as Markdown; nothing for hidden ones"
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return for_github(source)
    if re.search(r"^#\|\s*(hide|default_exp)", source, re.M) or not source.strip():
        return ""
    code = "\n".join(line for line in source.splitlines() if not line.startswith("#|"))
    shown = "".join(
        "".join(o.get("text", "")) for o in cell["outputs"] if o["output_type"] == "stream"
    )
    tables = "".join(
        "\n\n" + "".join(o["data"]["text/markdown"])
        for o in cell["outputs"]
        if "text/markdown" in o.get("data", {})
    )
    code = "" if re.search(r"^#\|\s*echo:\s*false", source, re.M) else f"```python\n{code}\n```"
    return (
        code + (f"\n\n```\n{shown.rstrip()}\n```" if shown.strip() else "") + for_github(tables)
    ).strip()


def readme():
    "The whole README"
    cells = json.loads((ROOT / "nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]
    note = "<!-- Made from nbs/index.ipynb by `make readme`: edit that. -->"
    return "\n\n".join([note, *filter(None, map(text_of, cells))]) + "\n"


if __name__ == "__main__":
    target, text = ROOT / "README.md", readme()
    if "--check" in sys.argv:
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            sys.exit("README.md is not what nbs/index.ipynb says: run `make readme`.")
    else:
        target.write_text(text, encoding="utf-8")
