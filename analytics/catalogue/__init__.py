"""What each report is. Light: the web process reads it."""
