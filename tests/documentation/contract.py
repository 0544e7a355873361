"""The OpenAPI document as it is committed: who changes the contract sees the change in the diff, and so does the reviewer."""

import json
from pathlib import Path

from web import openapi

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def text() -> str:
    return json.dumps(openapi.document(), indent=1, ensure_ascii=False) + "\n"
