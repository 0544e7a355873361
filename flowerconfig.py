"""Flower's settings and nothing else; Flower reads a file of this name by itself, as Celery reads `celeryconfig.py`."""

import hashlib

from models import settings as reckoner_settings

_settings = reckoner_settings.load()


def _password() -> str:
    if _settings.flower_password is not None:
        return _settings.flower_password.get_secret_value()
    kept = _settings.home / "flower_password"
    if not kept.exists():
        raise SystemExit(f"Flower needs a password: set FLOWER_PASSWORD, or put one into {kept}")
    return kept.read_text(encoding="utf-8").strip()


# It shows every job of every organisation and /metrics asks for no password: it stays on this machine.
address = "127.0.0.1"
port = _settings.flower_port
# A list, because Flower would cut a string at its commas.
basic_auth = [f"{_settings.flower_user}:{_password()}"]
# Cookies outlive a restart, and end with the password.
cookie_secret = hashlib.sha256(b"reckoner flower cookies " + _password().encode()).hexdigest()
# A live view, not the record: what an operator wants to change goes through the API, which keeps account of it.
read_only = True
persistent = True
db = str(_settings.home / "flower")
state_save_interval = 60_000
max_tasks = 20_000
purge_offline_workers = 600
