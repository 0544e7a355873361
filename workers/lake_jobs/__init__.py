"""What the jobs do that read files and write the lake: one module per kind, and `committing` that they share.

The heavy half of `analytics` is imported inside functions: the web process imports the tasks to publish, and must stay light.
"""
