"""What limits a run, why, and what would help: pure functions over snapshots."""
