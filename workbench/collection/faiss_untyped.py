"""FAISS as `Any`: its wheel brings types for a part of what it offers, and they are wrong for another."""

from __future__ import annotations

import importlib
from typing import Any

faiss: Any = importlib.import_module("faiss")
