"""`python -m onlinedpo.cli`."""

from onlinedpo.cli.main import main

main()
