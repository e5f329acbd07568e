"""``python -m collector`` is ``wef``."""

from collector.cli.main import main

if __name__ == "__main__":
    main()
