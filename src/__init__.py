"""Papers That Run: the machinery (`src.book`), shared blocks (`src.common`) and one package a part."""
