"""The folder on disk: shards (truth), manifests, commit, derived FAISS index."""
