"""How each report is computed, one file per report type. Heavy: only workers load it."""
