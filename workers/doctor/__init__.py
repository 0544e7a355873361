"""Is this installation safe to trust with jobs? Named checks in tables, looked at by `reckoner doctor` and at every start."""
