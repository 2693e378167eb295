"""Engines that turn batches into vectors: one file each, one small protocol."""
