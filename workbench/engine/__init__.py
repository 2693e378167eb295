"""The running pipeline: supervisor, worker, encoder and writer processes, ring, leases."""
