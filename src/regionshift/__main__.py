"""`python -m regionshift`."""

from regionshift.cli import main

main()
