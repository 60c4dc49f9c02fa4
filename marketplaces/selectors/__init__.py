"""What can be read about accounts, streams and raw documents."""
