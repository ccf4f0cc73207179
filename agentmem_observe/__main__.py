"""``python -m agentmem_observe``."""

import sys

from agentmem_observe.cli import main

if __name__ == "__main__":
    sys.exit(main())
