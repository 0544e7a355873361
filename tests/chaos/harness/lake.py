"""What imports did to the lake, read from its own log: an import that takes effect twice commits twice."""

import json
from collections import Counter
from pathlib import Path

from tests.chaos.harness.ledger import Ledger
from tests.chaos.harness.running import ChaosStack


def doubled(stack: ChaosStack) -> tuple[str, ...]:
    """Return imports with more than one commit. Each commit carries the job's id as its application transaction."""
    commits = Counter(job_id for entry in _log_entries(stack) for job_id in _transactions(entry))
    return tuple(f"import {job_id}: {count} commits" for job_id, count in commits.items() if count > 1)


def wrong_sums(ledger: Ledger) -> tuple[str, ...]:
    """Return tables whose newest version does not have as many rows as the imports into it have inserted."""
    found = ledger.stack.rows(
        """
        SELECT j.organisation_id::text, j.type, j.inserted, v.row_count
        FROM (
            SELECT organisation_id, type, sum((outcome->'rows'->>'inserted')::bigint) AS inserted FROM jobs
            WHERE kind = 'import' AND status = 'succeeded' AND organisation_id = ANY(%(organisations)s) GROUP BY 1, 2
        ) AS j
        LEFT JOIN LATERAL (
            SELECT row_count FROM dataset_versions WHERE organisation_id = j.organisation_id AND dataset = j.type
            ORDER BY version DESC LIMIT 1
        ) AS v ON true
        """,
        {"organisations": [one.id for one in ledger.organisations]},
    )
    return tuple(
        f"{organisation} {dataset}: {rows} rows after {inserted} were inserted"
        for organisation, dataset, inserted, rows in found
        if rows != inserted
    )


def _log_entries(stack: ChaosStack) -> list[Path]:
    return list(Path(stack.settings.lake_location).glob("**/_delta_log/*.json"))


def _transactions(entry: Path) -> list[str]:
    actions = [json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines() if line]
    return [str(action["txn"]["appId"]) for action in actions if "txn" in action]
