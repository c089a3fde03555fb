"""The package as a whole."""

import re
from configparser import ConfigParser
from pathlib import Path

import minivlm_cot

ROOT = Path(__file__).resolve().parent.parent


def test_version_is_that_of_settings():
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    assert minivlm_cot.__version__ == config["DEFAULT"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", minivlm_cot.__version__)
