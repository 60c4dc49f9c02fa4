"""The audit beyond its trigger: marks of entries, the chain of seals, its verification, and taking a person out."""
