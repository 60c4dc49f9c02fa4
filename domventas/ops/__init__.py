"""Commands that need the whole house: demo, score, bench. Imported by nobody."""
