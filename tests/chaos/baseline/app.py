"""The application of workers, beats and clients: they all work in the folder of their scenario."""

from pathlib import Path

from tests.chaos.baseline import plain

app = plain.make_app(Path.cwd())
