"""Papers That Run: the machinery (`src.book`), shared blocks (`src.common`), one package a part."""
