"""The proof that nothing is lost under fire: a run with faults and kills ends with the same rows as a calm one."""
