"""The `reckoner` command: run the stack, demo, import, report, administer."""
