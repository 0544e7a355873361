"""Upkeep as it would be in a month, and what it leaves: `python -m tests.chaos.harness.clean_up` with RECKONER_HOME set."""

from datetime import timedelta

from models import jobs, session, settings
from workers import retention


def main() -> None:
    """Remove what no unfinished job needs, however young, and print what is still there."""
    retention.YOUNG_SECONDS = 0
    retention.KEEP_UNSUCCESSFUL_UPLOADS = timedelta(0)
    retention.remove_expired()
    with session.transaction() as db:
        needed = {str(job_id) for job_id in jobs.unfinished_ids(db)}
    configured = settings.load()
    for folder in (configured.upload_folder, configured.scratch_folder):
        if folder.is_dir():
            for entry in sorted(folder.iterdir()):
                if entry.name not in needed:
                    print(folder.name, entry.name)


if __name__ == "__main__":
    main()
