"""Commands and exit codes; nothing else."""
