"""A bare guard: every spawned child imports this file again."""

if __name__ == "__main__":
    import signal
    import sys

    from workbench.cli.main import main

    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C while Python shuts down would change the exit code
    sys.exit(code)
