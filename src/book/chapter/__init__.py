"""What a page imports: the run context, shown code, tables, figures, kept weights."""
