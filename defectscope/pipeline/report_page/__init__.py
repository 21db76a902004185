"""The page of a report: its markup, style and script, which need nothing from anywhere else."""
