"""What a failure does to the data plane: failures as values, what each component answers, and what to mend."""
