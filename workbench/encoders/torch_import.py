"""Importing torch with words for what goes wrong; this module itself imports nothing heavy."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import UsageError

VC_RUNTIME = "https://aka.ms/vs/17/release/vc_redist.x64.exe"


def import_torch() -> Any:
    """The torch module. Raises UsageError when it is not installed or Windows lacks its C++ runtime."""
    try:
        import torch
    except OSError as error:
        if getattr(error, "winerror", None) == 126 or "c10.dll" in str(error):
            raise UsageError("PyTorch needs Microsoft's Visual C++ runtime, which is not installed",
                             remedy=f"Install {VC_RUNTIME}") from error
        raise UsageError(f"PyTorch could not be loaded ({error})",
                         remedy="Run `doctor`; with WinError 1455 enlarge the page file") from error
    except ImportError as error:
        raise UsageError(f"PyTorch is not installed or is broken ({error})", remedy="Run the set-up again") from error
    return torch
