"""The Textual screen; never imports torch, transformers or faiss."""
