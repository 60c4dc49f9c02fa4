"""The money pages: are we paid, settlements, one settlement with its lines, findings and what is owed."""
