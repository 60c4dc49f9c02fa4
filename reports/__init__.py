"""What leadership reads: pages that look across all the other apps."""
