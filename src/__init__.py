"""Papers That Run: `src.book`, the machinery; `src.common`; one package per part."""
